/** How numbers, units and times are written. One place, so that a value looks the same everywhere. */

const DIGITS: Record<string, number> = {
  degC: 2, K: 2, pH: 2, '%': 1, 'mL/min': 1, L: 3, mL: 1, g: 1, mbar: 1, rpm: 0, 'g/min': 2, '1': 0,
};
const UNITS: Record<string, string> = { degC: '°C', '1': '', '1e6/mL': '10⁶/mL' };

export function digits(unit: string, span = 100): number {
  const base = DIGITS[unit] ?? 2;
  if (unit === '1' || span > 2) return base;
  return Math.max(base, span <= 0.5 ? 4 : 3);
}

export function numeral(value: number | null | undefined, unit: string, span = 100): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '---';
  const text = value.toFixed(digits(unit, span));
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}

/** `2 h 05 min`, `4 min 10 s`, `12 s`. */
export function duration(s: number | null | undefined): string {
  if (s === null || s === undefined || !Number.isFinite(s)) return '–';
  const whole = Math.max(0, Math.floor(s));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

export interface WallTime { date: string; time: string; offset: string }

/** RFC 3339 as sent: nothing is moved to the time zone of the browser. */
export function wallTime(utc: string): WallTime {
  const found = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})$/.exec(utc);
  if (!found) return { date: '', time: '--:--:--', offset: '' };
  const [, date = '', time = '', offset = ''] = found;
  return { date, time, offset: offset === 'Z' ? '+00:00' : offset };
}

export function clock(utc: string): string {
  return wallTime(utc).time;
}

/** Seconds since 1970 of an RFC 3339 time, or NaN. */
export function epoch(utc: string): number {
  return Date.parse(utc) / 1000;
}

export function speedText(speed: number): string {
  return `${Number.isInteger(speed) ? speed : speed.toFixed(1)}×`;
}

/** ` (sample_day_2)` where another node has the same title, else nothing. */
export function leafName(path: string, title: string, nodes: readonly { path: string; title: string }[]): string {
  const twins = nodes.filter((node) => node.title === title).length;
  return twins > 1 ? ` (${path.split('/').at(-1) ?? path})` : '';
}
