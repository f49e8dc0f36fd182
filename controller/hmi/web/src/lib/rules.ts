/**
 * What a dialog asks for before a request leaves. The desk decides again: this only spares people a
 * refusal. The unit's description may carry the table of the station; these are its defaults.
 */

export interface Rule {
  signatures: 0 | 1 | 2;
  reason: boolean;
  meaning: string;
  secondMeaning: string;
  /** Roles that may sign first, and second; empty: whoever asks, any other person. */
  signers: string[];
  second: string[];
}
export type RuleTable = Record<string, Rule>;

const PLAIN: Rule = { signatures: 0, reason: false, meaning: '', secondMeaning: 'verified', signers: [], second: [] };
const DEFAULTS: Record<string, Partial<Rule>> = {
  open_batch: { signatures: 1, meaning: 'opened' },
  start: { signatures: 1, meaning: 'started' },
  resume: { signatures: 1, meaning: 'resumed' },
  restart: { signatures: 1, reason: true, meaning: 'restarted' },
  stop: { signatures: 1, reason: true, meaning: 'stopped' },
  abort: { signatures: 1, reason: true, meaning: 'aborted', signers: ['supervisor'] },
  answer: { meaning: 'performed', second: ['operator', 'supervisor', 'qa'] },
  end_environment: {
    signatures: 2, reason: true, meaning: 'confirmed the vessel empty or discarded',
    secondMeaning: 'verified the vessel empty or discarded', second: ['supervisor', 'qa'],
  },
  bypass: {
    signatures: 2, reason: true, meaning: 'bypassed', secondMeaning: 'agreed to the bypass',
    second: ['supervisor', 'qa'],
  },
  change: {
    signatures: 2, reason: true, meaning: 'performed the change', secondMeaning: 'agreed to the change',
    second: ['qa'],
  },
  deviation: { signatures: 1, reason: true, meaning: 'recorded' },
  set_flag: { signatures: 2, reason: true, meaning: 'set', second: ['supervisor', 'qa'] },
  set_output: { signatures: 1, meaning: 'moved by hand' },
  reset: { reason: true },
  shelve: { reason: true },
  out_of_service: { signatures: 1, reason: true, meaning: 'taken out of service' },
  in_service: { signatures: 1, reason: true, meaning: 'put back into service' },
  identify_hold: { reason: true },
};

export function rule(verb: string, table: RuleTable): Rule {
  return table[verb] ?? { ...PLAIN, ...DEFAULTS[verb] };
}

/** The station's own table, as far as it is one. */
export function readRules(raw: unknown): RuleTable {
  const table: RuleTable = {};
  if (typeof raw !== 'object' || raw === null) return table;
  const words = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
  for (const [verb, cell] of Object.entries(raw as Record<string, unknown>)) {
    if (typeof cell !== 'object' || cell === null || Array.isArray(cell)) continue;
    const found = cell as Record<string, unknown>;
    const number = Number(found['signatures'] ?? 0);
    table[verb] = {
      signatures: number >= 2 ? 2 : number >= 1 ? 1 : 0,
      reason: found['reason'] === true,
      meaning: String(found['meaning'] ?? ''),
      secondMeaning: String(found['second_meaning'] ?? 'verified'),
      signers: words(found['signers']),
      second: words(found['second'] ?? found['second_roles']),
    };
  }
  return table;
}
