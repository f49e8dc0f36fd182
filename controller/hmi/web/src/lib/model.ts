/** What the unit is: read once from the server, made whole here so that pages need not doubt it. */

import { readRules, type RuleTable } from './rules';

export interface Limit { at: number; side: 'high' | 'low'; row: string }
export interface TagModel { unit: string; title: string; low: number; high: number; limits: Limit[] }
export interface LoopModel {
  title: string;
  pv: string;
  unit: string;
  spLow: number;
  spHigh: number;
  opLow: number;
  opHigh: number;
  opUnit: string;
  master: string;
  modes: string[];
}
export interface OutputModel { unit: string; title: string; low: number; high: number }
export interface RowModel { title: string; kind: string; holds: string[]; bypassable: boolean }
export interface SynopticNode {
  id: string;
  kind: string;
  label: string;
  tags: Record<string, string>;
  actuator: string;
  valve: string;
}
export interface Connection { from: string; to: string; kind: string }
/** What can be opened here; `entered`: parameters that are given at the opening. */
export interface Entered { name: string; value: string; low: string; high: string }
export interface RecipeModel { id: string; title: string; entered: Entered[] }
export interface UnitModel {
  id: string;
  title: string;
  tags: Record<string, TagModel>;
  loops: Record<string, LoopModel>;
  outputs: Record<string, OutputModel>;
  rows: Record<string, RowModel>;
  nodes: SynopticNode[];
  connections: Connection[];
  recipes: RecipeModel[];
  /** What each order to one element does. */
  elementOrders: Record<string, string>;
  rules: RuleTable;
}

type Raw = Record<string, unknown>;
const asObject = (value: unknown): Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};
const asText = (value: unknown, other = ''): string => (typeof value === 'string' ? value : other);
const asNumber = (value: unknown, other: number): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : other;
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function span(value: unknown, low: number, high: number): [number, number] {
  const list = asList(value);
  return [asNumber(list[0], low), asNumber(list[1], high)];
}

function named<T>(raw: unknown, read: (cell: Raw, name: string) => T): Record<string, T> {
  const found: Record<string, T> = {};
  for (const [name, cell] of Object.entries(asObject(raw))) found[name] = read(asObject(cell), name);
  return found;
}

function readTag(cell: Raw, name: string): TagModel {
  const [low, high] = span(cell['range'], 0, 100);
  const limits = asList(cell['limits']).map(asObject).flatMap((item): Limit[] => {
    const at = asNumber(item['at'] ?? item['value'], NaN);
    const side = item['side'] === 'low' ? 'low' : 'high';
    return Number.isFinite(at) ? [{ at, side, row: asText(item['row']) }] : [];
  });
  return { unit: asText(cell['unit'], '1'), title: asText(cell['title'], name), low, high, limits };
}

function readLoop(cell: Raw, name: string): LoopModel {
  const [spLow, spHigh] = span(cell['setpoint'] ?? cell['sp'], 0, 100);
  const [opLow, opHigh] = span(cell['output'] ?? cell['op'], 0, 100);
  const master = asText(cell['master']);
  const modes = asList(cell['modes']).map(String);
  return {
    title: asText(cell['title'], name), pv: asText(cell['pv']), unit: asText(cell['unit'], '1'),
    spLow, spHigh, opLow, opHigh, opUnit: asText(cell['op_unit']), master,
    modes: modes.length > 0 ? modes : ['off', 'manual', 'auto', ...(master ? ['cascade'] : [])],
  };
}

function readNode(raw: unknown): SynopticNode {
  const cell = asObject(raw);
  const tags: Record<string, string> = {};
  const given = cell['tags'];
  if (Array.isArray(given)) for (const tag of given) tags[String(tag)] = String(tag);
  else for (const [what, tag] of Object.entries(asObject(given))) tags[what] = String(tag);
  return {
    id: asText(cell['id']), kind: asText(cell['kind']), label: asText(cell['label'], asText(cell['id'])),
    tags, actuator: asText(cell['actuator']), valve: asText(cell['valve']),
  };
}

function readConnection(raw: unknown): Connection {
  if (Array.isArray(raw)) {
    return { from: String(raw[0] ?? ''), to: String(raw[1] ?? ''), kind: String(raw[2] ?? '') };
  }
  const cell = asObject(raw);
  return { from: asText(cell['from']), to: asText(cell['to']), kind: asText(cell['kind']) };
}

function readRecipe(cell: Raw): RecipeModel {
  return {
    id: asText(cell['id']), title: asText(cell['title'], asText(cell['id'])),
    entered: asList(cell['entered']).map(asObject).map((item) => ({
      name: asText(item['name']), value: asText(item['value']), low: asText(item['low']), high: asText(item['high']),
    })),
  };
}

export function readUnit(given: unknown): UnitModel {
  const raw = asObject(given);
  const head = asObject(raw['unit']);
  const synoptic = asObject(raw['synoptic']);
  return {
    id: asText(head['id'] ?? raw['id'] ?? raw['unit'], 'unit'),
    title: asText(head['title'] ?? raw['title']),
    tags: named(raw['tags'], readTag),
    loops: named(raw['loops'], readLoop),
    outputs: named(raw['outputs'], (cell, name) => {
      const [low, high] = span(cell['range'], 0, 100);
      return { unit: asText(cell['unit'], '1'), title: asText(cell['title'], name), low, high };
    }),
    rows: named(raw['rows'], (cell, name) => ({
      title: asText(cell['title'], name), kind: asText(cell['kind']), bypassable: cell['bypassable'] === true,
      holds: asList(cell['holds']).map(String),
    })),
    nodes: asList(synoptic['nodes']).map(readNode),
    connections: asList(synoptic['connections']).map(readConnection),
    recipes: asList(raw['recipes']).map(asObject).map(readRecipe),
    elementOrders: Object.fromEntries(Object.entries(asObject(raw['element_orders'])).map(([verb, words]) => [verb, asText(words)])),
    rules: readRules(raw['rules'] ?? raw['rights']),
  };
}
