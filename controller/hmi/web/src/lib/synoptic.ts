/**
 * Where everything stands in the picture of the unit. Nodes come from the profile; their kind says
 * in which zone they are drawn, connections say whether a line leads into the vessel or out of it.
 */

import type { Connection, SynopticNode, UnitModel } from './model';

export interface Inlet { pump: SynopticNode; valve: SynopticNode | null; source: string; y: number }
export interface Branch { valve: SynopticNode; sink: string; y: number }
export interface Outlet { pump: SynopticNode; branches: Branch[]; y: number }
export interface Reading { label: string; tag: string }
export interface Picture {
  vessel: SynopticNode | null;
  gas: SynopticNode[];
  header: SynopticNode | null;
  inlets: Inlet[];
  outlets: Outlet[];
  readings: Reading[];
  heater: SynopticNode | null;
  stirrer: SynopticNode | null;
  balance: SynopticNode | null;
}

const INLET = { top: 266, step: 104 };
const OUTLET = { top: 352, step: 120, branch: 84 };
/** Of the vessel itself, in this order; the level is drawn. */
const OF_VESSEL: readonly (readonly [string, string])[] = [
  ['temperature', 'T'], ['pressure', 'P'], ['volume', 'Volume'],
];

export function layout(unit: UnitModel): Picture {
  const of = (...kinds: string[]): SynopticNode[] => unit.nodes.filter((node) => kinds.includes(node.kind));
  const vessel = of('vessel')[0] ?? null;
  const next = (from: string, kind: string): SynopticNode[] =>
    of(kind).filter((node) => unit.connections.some((line) => line.from === from && line.to === node.id));
  const before = (to: string, kind: string): SynopticNode[] =>
    of(kind).filter((node) => unit.connections.some((line) => line.to === to && line.from === node.id));
  const gas = of('mfc');
  const inward = (pump: SynopticNode): boolean => vessel !== null && leads(unit.connections, pump.id, vessel.id);
  const pumps = of('pump');
  return {
    vessel, gas,
    header: of('valve').find((valve) => gas.some((mfc) => leads(unit.connections, mfc.id, valve.id))) ?? null,
    inlets: pumps.filter(inward).map((pump, i) => ({
      pump, y: INLET.top + i * INLET.step, valve: next(pump.id, 'valve')[0] ?? before(pump.id, 'valve')[0] ?? null,
      source: before(pump.id, 'source')[0]?.label ?? '',
    })),
    outlets: pumps.filter((pump) => !inward(pump)).map((pump, i) => {
      const y = OUTLET.top + i * OUTLET.step;
      const valves = next(pump.id, 'valve');
      return {
        pump, y, branches: valves.map((valve, k) => ({
          valve, y: y + (k - (valves.length - 1) / 2) * OUTLET.branch, sink: next(valve.id, 'sink')[0]?.label ?? '',
        })),
      };
    }),
    readings: readings(vessel, of('probe')),
    heater: of('heater', 'jacket')[0] ?? null,
    stirrer: of('stirrer')[0] ?? null,
    balance: of('balance')[0] ?? null,
  };
}

function readings(vessel: SynopticNode | null, probes: readonly SynopticNode[]): Reading[] {
  const found: Reading[] = [];
  for (const [what, label] of OF_VESSEL) {
    const tag = vessel?.tags[what];
    if (tag) found.push({ label, tag });
  }
  for (const probe of probes) {
    const tag = probe.tags['value'] ?? Object.values(probe.tags)[0];
    if (tag) found.push({ label: probe.label === tag ? 'T2' : probe.label, tag });
  }
  return found;
}

/** Whether connections lead from one node to another, over any number of steps. */
export function leads(connections: readonly Connection[], from: string, to: string): boolean {
  const seen = new Set([from]);
  let edge = [from];
  while (edge.length > 0) {
    edge = connections.filter((line) => edge.includes(line.from) && !seen.has(line.to)).map((line) => line.to);
    if (edge.includes(to)) return true;
    for (const id of edge) seen.add(id);
  }
  return false;
}

export type Position = 'OPEN' | 'CLOSED' | 'BETWEEN' | 'CONTRADICTS' | 'UNKNOWN';

/** What the two end switches of a valve prove. */
export function position(open: boolean | null, closed: boolean | null): Position {
  if (open === null || closed === null) return 'UNKNOWN';
  if (open && closed) return 'CONTRADICTS';
  if (open) return 'OPEN';
  return closed ? 'CLOSED' : 'BETWEEN';
}

/** What forces an output, as short as the picture has room for; the list beside it has the title. */
export function byRow(row: string, kind: string): string {
  if (kind === 'permit') return 'no permit';
  if (kind === 'procedure') return row.startsWith('hold.') ? 'by Hold' : 'by the phase';
  return `row ${row}`;
}
