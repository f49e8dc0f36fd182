/** The words of the server, as they cross the wire. What people typed is only ever shown as text. */

export type Quality = 'good' | 'uncertain' | 'bad';
/** value, quality, reason, age in ms */
export type TagValue = [number | null, Quality, string, number];

export interface LinkState { state: string; age_ms: number }

export interface LoopState {
  sp: number | string | null;
  op: number | null;
  mode: string;
  tracking: boolean;
  fallback: boolean | string;
}

export type Proof = 'none' | 'pending' | 'proven' | 'not_confirmed';
export interface OutputState {
  request: number | null;
  value: number | null;
  forced_by: string;
  adopting: boolean;
  proof: Proof;
}

export interface Cause {
  row: string;
  title: string;
  kind: string;
  active: boolean;
  latched: boolean;
  bypassed: boolean;
  first_out: boolean;
  order: number;
  /** Its place in its first-out group: 0 came first, -1: it has none. */
  place: number;
  group: string;
  bad: boolean;
  holds: string[];
  valid: boolean;
  /** What is left of its bypass, in s; -1: it is not bypassed. */
  bypass_s: number;
  /** What is done by hand while it is bypassed. */
  measure: string;
  /** Why it cannot be reset now; empty: it can. */
  missing: string[];
}

export interface Asleep { row: string; title: string; why: string }

export interface NotConfirmed { row: string; output: string; second: string }

export interface Place {
  path: string;
  title: string;
  state: string;
  text: string;
  elapsed_s: number | null;
  remaining_s: number | null;
  waits_for: string;
  /** Which steps: running, holding, restarting, stopping, aborting. */
  logic: string;
  /** Step number of how many; 0: none has begun. */
  step: number;
  steps: number;
  parts: WaitPart[];
  /** A value that the step follows is not known now. */
  unknown: boolean;
  timeout: Overdue | null;
  next: string;
  /** Why it is held. */
  causes: string[];
}

/** One part of what a step waits for; `met` null: it cannot be known now. */
export interface WaitPart { text: string; now: string; met: boolean | null; inner: boolean }
/** In how many seconds a step is overdue, what follows, and how often it was overdue. */
export interface Overdue { in_s: number; then: string; times: number }

export interface TreeNode {
  path: string;
  title: string;
  kind: string;
  state: string;
  depth: number;
  /** What a loop, a selection or an alternative says of itself. */
  said: string;
  /** inserted, skipped, repeated, changed, extended; or nothing. */
  mark: string;
  /** Each change of it in words, with its deviation. */
  changes: string[];
  /** Why each order is not possible now; empty: it is. None for what is not at work. */
  orders: Record<string, string>;
}

export interface ElementParameter {
  name: string;
  value: string;
  /** As the frozen recipe has it. */
  frozen: string;
  low: string;
  high: string;
}
export interface ElementStep { number: number; text: string; here: boolean }
export interface PhaseOffer { use: string; title: string; parameters: ElementParameter[] }
/** One element of the procedure in full, asked for when somebody looks at it. */
export interface Element {
  path: string;
  use: string;
  /** What the screen shows of it: a change belongs to this. */
  expected: string;
  protected: boolean;
  parameters: ElementParameter[];
  steps: ElementStep[];
  exceptions: string[];
  offers: PhaseOffer[];
}
/** What a change would do, before anybody signs it. */
export interface Preview {
  allowed: boolean;
  why: string;
  old: string;
  new: string;
  follows: string[];
  expected: string;
}

export interface Procedure {
  batch_id: string;
  state: string;
  recipe: string;
  use: string;
  notice: string;
  set_lot: string;
  identity: string;
  opened_by: string;
  opened_utc: string;
  restart_needs_identity: boolean;
  /** Changes of the recipe so far. */
  changes: number;
  /** Why the whole is held. */
  causes: string[];
  places: Place[];
  tree: TreeNode[];
}

export interface Prompt {
  prompt_id: string;
  path: string;
  kind: string;
  text: string;
  unit: string;
  low: string;
  high: string;
  people: number;
  options: string[];
  repeat: string;
  /** Why a result was not accepted and is to be measured again. */
  again: string;
  /** The code a scan must give; empty: any. */
  expect: string;
  /** What the sample's tube is labelled. */
  sample: string;
  /** Why an answer would not count now; empty: it counts. */
  blocked: string;
}

export interface Order { allowed: boolean; why: string; consequence: string }

export type Priority = 'critical' | 'high' | 'medium' | 'low';
export interface Alarm {
  name: string;
  state: string;
  priority: Priority;
  text: string;
  /** `normal`, `stands` or `latched`: what the process says, also of a hidden one. */
  condition: string;
  /** This and `due`, `shelved_until`: ns on the clock of `mono_ns`, as text; empty: not now. */
  since: string;
  expected: string;
  consequence: string;
  action: string;
  respond_s: number;
  due: string;
  /** Escalations so far. */
  calls: number;
  silenced: boolean;
  /** The longest time it may be shelved, 0: never. */
  shelve_s: number;
  shelved_until: string;
  /** Why it is hidden, and who hid it; of a person's own doing only. */
  reason: string;
  by: string;
  /** The alarms that explain it. */
  suppressed_by: string[];
}

export interface CommandInFeed {
  id: number;
  verb: string;
  target: string;
  value: string;
  who: string;
  state: string;
  why: string;
}

export interface Health { scans: number; late: number; missed: number; policy: string | number }

export interface Snapshot {
  seq: number;
  scan: number;
  generation: number;
  mono_ns: string;
  utc: string;
  speed: number;
  scan_age_ms: number;
  links: Record<string, LinkState>;
  tags: Record<string, TagValue>;
  loops: Record<string, LoopState>;
  outputs: Record<string, OutputState>;
  causes: Cause[];
  not_valid: Asleep[];
  not_confirmed: NotConfirmed[];
  procedure: Procedure;
  prompts: Prompt[];
  orders: Record<string, Order>;
  /** Shown; and shelved, suppressed or out of service. */
  alarms: Alarm[];
  hidden_alarms: Alarm[];
  horn: boolean;
  commands: CommandInFeed[];
  /** Since when the controller knows of requests: its last start. */
  since: string;
  records: { last: number };
  log: { failed: string };
  health: Health;
}

export interface Full extends Snapshot { type: 'full' }
export interface Delta extends Partial<Snapshot> { type: 'delta'; base: number }
export interface Beat { type: 'beat'; seq: number }
export type FeedMessage = Full | Delta | Beat;

export interface Me {
  user: string;
  name: string;
  role: string;
  rights: string[];
  must_change?: boolean;
  view_only?: boolean;
  demo?: boolean;
  simulated?: boolean;
}

export interface SignatureInput { user: string; password: string; meaning: string }

export interface CommandRequest {
  verb: string;
  target: string;
  value: string;
  reason: string;
  expected: string;
  seen: string;
  signatures: SignatureInput[];
  /** The bytes of a file of results, in base64. */
  file?: string;
}

/** What the server answered, or that it did not. `status` 0: not reached. */
export interface CommandAnswer {
  accepted: boolean;
  id: number | null;
  kind: string;
  why: string;
  status: number;
}

export interface RecordRow {
  n: number;
  utc: string;
  actor: string;
  role: string;
  event: string;
  severity: string;
  words: string;
  reason: string;
}
