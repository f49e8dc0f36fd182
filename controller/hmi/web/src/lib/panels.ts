/** Which tags share a panel: one dimension each, gas and liquids apart although both are mL/min. */

import type { UnitModel } from './model';

export interface Panel { title: string; unit: string; all: string[]; start: string[] }

const TITLES: readonly [string, string][] = [
  ['Temperature', 'degC'], ['Dissolved oxygen', '%'], ['pH', 'pH'], ['Gas', 'gas'],
  ['Pumps', 'pump'], ['Volume', 'L'],
];
const MAX_TAGS = 6;

export function panels(unit: UnitModel): Panel[] {
  const of = (kind: string): string[] =>
    unit.nodes.filter((node) => node.kind === kind).flatMap((node) => Object.values(node.tags))
      .filter((tag) => unit.tags[tag]?.unit === 'mL/min');
  const shown = new Set(unit.nodes.flatMap((node) => Object.values(node.tags)));
  for (const loop of Object.values(unit.loops)) shown.add(loop.pv);
  return TITLES.map(([title, dimension]) => {
    const mine = dimension === 'gas' ? of('mfc') : dimension === 'pump' ? of('pump')
      : Object.keys(unit.tags).filter((tag) => unit.tags[tag]!.unit === dimension && shown.has(tag));
    const all = [...new Set(mine)].slice(0, MAX_TAGS);
    const loops = all.filter((tag) => Object.values(unit.loops).some((loop) => loop.pv === tag));
    const text = dimension === 'gas' || dimension === 'pump' ? 'mL/min' : dimension;
    return { title, unit: text, all, start: loops.length > 0 ? loops : all };
  }).filter((panel) => panel.all.length > 0);
}
