/** What a person may ask of one element of the procedure, each as the dialog shows it. */

import * as api from './api';
import type { RecipeModel } from './model';
import type { Act } from './state.svelte';
import type { Element, ElementParameter, PhaseOffer, TreeNode } from './types';

export const ORDERS: readonly [string, string][] = [
  ['hold', 'Hold'], ['pause', 'Pause'], ['resume', 'Resume'], ['restart', 'Restart'],
  ['stop', 'Stop'], ['abort', 'Abort'],
];

/** Orders that are possible now, and the others with why they are not. */
export function waysOut(node: TreeNode | undefined): { open: string[]; closed: [string, string][] } {
  const open: string[] = [];
  const closed: [string, string][] = [];
  for (const [verb, title] of ORDERS) {
    const why = node?.orders[verb];
    if (why === undefined) continue;
    if (why === '') open.push(title);
    else closed.push([title, why]);
  }
  return { open, closed };
}

/** Elements above one, the nearest first. */
export function above(tree: readonly TreeNode[], path: string): TreeNode[] {
  const found: TreeNode[] = [];
  let depth = Infinity;
  for (let i = tree.findIndex((node) => node.path === path); i >= 0; i -= 1) {
    const node = tree[i]!;
    if (node.depth >= depth) continue;
    if (node.path !== path) found.push(node);
    depth = node.depth;
  }
  return found;
}

/** What leads out of where an element is: its own orders, and going on where it waits for what is above it. */
export function leadsOut(tree: readonly TreeNode[], path: string): string[] {
  const node = tree.find((each) => each.path === path);
  const found = waysOut(node).open;
  for (const [verb, title] of [['restart', 'Restart'], ['resume', 'Resume']] as const) {
    const higher = above(tree, path).find((each) => each.orders[verb] === '');
    if (node?.orders[verb] && higher) found.unshift(`${title} of ${higher.depth === 0 ? 'the procedure' : higher.title}`);
  }
  return found;
}

export function orderAct(verb: string, title: string, node: TreeNode, words: string): Act {
  return {
    verb, target: node.path, value: '', expected: node.state, title: `${title}: ${node.title}`,
    consequence: words, go: title,
  };
}

function change(element: Element, title: string, go: string, start: string): Act {
  return {
    verb: 'change', target: element.path, value: start, expected: element.expected, title, go,
    look: (value) => api.preview(element.path, value),
  };
}

export function setAct(element: Element, parameter: ElementParameter, name: string): Act {
  return {
    ...change(element, `Change ${parameter.name} of ${name}`, 'Change it', ''),
    fields: [{
      name: 'value', label: `${parameter.name}, now ${parameter.value}`, kind: 'text', start: parameter.value, max: 40,
      hint: `${parameter.low} to ${parameter.high}, with its unit`,
    }],
    compose: (filled) => `set;${parameter.name};${(filled['value'] ?? '').trim()}`,
  };
}

export function extendAct(element: Element, name: string): Act {
  return {
    ...change(element, `Extend the present step of ${name}`, 'Extend it', ''),
    fields: [{ name: 'value', label: 'By how much', kind: 'text', start: '30 min', max: 20, hint: 'for instance 30 min or 2 h' }],
    compose: (filled) => `extend;${(filled['value'] ?? '').trim()}`,
  };
}

export function skipAct(element: Element, name: string): Act {
  return change(element, `Skip ${name}`, 'Skip it', 'skip');
}

export function repeatAct(element: Element, name: string): Act {
  return change(element, `Repeat ${name}`, 'Repeat it', 'repeat');
}

export function insertAct(element: Element, offer: PhaseOffer, name: string): Act {
  return {
    ...change(element, `Insert ${offer.title || offer.use} behind ${name}`, 'Insert it', insertValue(offer, {})),
    fields: offer.parameters.map((parameter) => ({
      name: parameter.name, label: parameter.name, kind: 'text' as const, start: parameter.value, max: 40,
      hint: `${parameter.low} to ${parameter.high}`,
    })),
    compose: (filled) => insertValue(offer, filled),
  };
}

/** Only what differs from the phase's own defaults is said: the record stays readable. */
export function insertValue(offer: PhaseOffer, filled: Record<string, string>): string {
  const given = offer.parameters.flatMap((parameter) => {
    const text = (filled[parameter.name] ?? '').trim();
    return text && text !== parameter.value ? [`${parameter.name}=${text}`] : [];
  });
  return ['insert', offer.use, ...given].join(';');
}

export function deviationAct(node: TreeNode, state: string): Act {
  return {
    verb: 'deviation', target: node.path, value: '', expected: state, title: `Record a deviation: ${node.title}`, go: 'Record it',
    consequence: 'It is recorded as a deviation of this batch, for QA to assess and close. Nothing in the procedure changes.',
    fields: [{ name: 'value', label: 'What was found', kind: 'text', max: 200, hint: 'what happened, where and when' }],
  };
}

/** Lot, pseudonym, and what is entered otherwise than the recipe has it. */
export function openValue(recipe: RecipeModel, filled: Record<string, string>): string {
  const given = recipe.entered.flatMap((each) => {
    const text = (filled[each.name] ?? '').trim();
    return text && text !== each.value ? [`${each.name}=${text}`] : [];
  });
  const codes = [filled['lot'], filled['patient']].map((text) => (text ?? '').trim());
  return [...codes, ...(given.length > 0 ? [given.join(', ')] : [])].join(';');
}
