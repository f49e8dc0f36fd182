import { describe, expect, it } from 'vitest';
import { above, extendAct, insertAct, insertValue, leadsOut, openValue, setAct, waysOut } from '../src/lib/elements';
import { readUnit } from '../src/lib/model';
import { rule } from '../src/lib/rules';
import type { Element, PhaseOffer, TreeNode } from '../src/lib/types';

const node = (path: string, depth: number, state: string, orders: Record<string, string> = {}): TreeNode => ({
  path, depth, state, orders, title: path.toUpperCase(), kind: 'phase', said: '', mark: '', changes: [],
});
const held = 'restart is not possible while Running';
const tree = [
  node('recipe', 0, 'Held', { hold: 'no', restart: '', stop: '' }), node('a', 1, 'Held', { restart: 'a cannot restart: recipe is Held' }),
  node('a/b', 2, 'Complete'), node('a/c', 2, 'Held', { hold: 'no', restart: 'a/c cannot restart: a is Held', stop: '', abort: '' }),
  node('z', 1, 'Idle'),
];
const offer: PhaseOffer = {
  use: 'sample', title: 'Sample',
  parameters: [
    { name: 'at', value: '24 h', frozen: '', low: '1 h', high: '400 h' }, { name: 'ph_offset', value: '0.1 pH', frozen: '', low: '0.05 pH', high: '0.3 pH' },
  ],
};
const element: Element = {
  path: 'a/c', use: 'sample', expected: 'Running, 2 changes so far', protected: false, parameters: offer.parameters, steps: [], exceptions: [], offers: [offer],
};

describe('ways out', () => {
  it('are the orders that are possible now, the others with why they are not', () => {
    const found = waysOut(node('x', 1, 'Running', { hold: '', pause: '', resume: held, restart: held, stop: '', abort: '' }));
    expect(found.open).toEqual(['Hold', 'Pause', 'Stop', 'Abort']);
    expect(found.closed).toEqual([['Resume', held], ['Restart', held]]);
    expect(waysOut(undefined)).toEqual({ open: [], closed: [] });
  });

  it('lead over what is above, where an element waits for that', () => {
    expect(above(tree, 'a/c').map((each) => each.path)).toEqual(['a', 'recipe']);
    expect(leadsOut(tree, 'a/c')).toEqual(['Restart of the procedure', 'Stop', 'Abort']);
    expect(leadsOut(tree, 'nowhere')).toEqual([]);
  });
});

describe('a change', () => {
  it('belongs to what the screen showed, and says the value that is typed', () => {
    const act = setAct(element, offer.parameters[0]!, 'Sample');
    expect([act.verb, act.target, act.expected]).toEqual(['change', 'a/c', 'Running, 2 changes so far']);
    expect(act.compose!({ value: ' 30 h ' })).toBe('set;at;30 h');
    expect(extendAct(element, 'Sample').compose!({ value: '2 h' })).toBe('extend;2 h');
  });

  it('inserts a phase with what differs from its own values, and no more', () => {
    expect(insertValue(offer, {})).toBe('insert;sample');
    expect(insertValue(offer, { at: '24 h', ph_offset: '0.2 pH' })).toBe('insert;sample;ph_offset=0.2 pH');
    const act = insertAct(element, offer, 'Sample');
    expect(act.fields!.map((field) => field.start)).toEqual(['24 h', '0.1 pH']);
    expect(act.compose!({ at: ' 30 h', ph_offset: '' })).toBe('insert;sample;at=30 h');
  });

  it('is signed by the one who makes it and by quality, with a reason', () => {
    expect(rule('change', {})).toMatchObject({ signatures: 2, reason: true, second: ['qa'] });
    expect(rule('deviation', {})).toMatchObject({ signatures: 1, reason: true });
    expect(rule('pause', {})).toMatchObject({ signatures: 0, reason: false });
  });
});

describe('an opening', () => {
  it('says lot and pseudonym, and what is entered otherwise than the recipe has it', () => {
    const { recipes } = readUnit({ recipes: [{ id: 'r', title: 'R', entered: [{ name: 'dose', value: '40000 1e6', low: '1 1e6', high: '9 1e6' }] }] });
    expect(recipes[0]!.entered[0]!.name).toBe('dose');
    expect(openValue(recipes[0]!, { lot: ' L-1 ', patient: 'P-1', dose: '40000 1e6' })).toBe('L-1;P-1');
    expect(openValue(recipes[0]!, { lot: 'L-1', patient: 'P-1', dose: '30000 1e6' })).toBe('L-1;P-1;dose=30000 1e6');
    expect(openValue(recipes[0]!, {})).toBe(';');
  });
});
