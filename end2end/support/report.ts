import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallStats } from './call_stats.ts';

/** A target of a figure; printed, never asserted. */
export interface Target {
  what: string;
  found: number | null;
  below: number;
  unit: '%' | 's' | 'ms';
}

/** The figures of one network at one page. */
export interface Row {
  line: string;
  /** The person at that page. */
  at: string;
  figures?: CallStats;
  /** Further times and counts; null never happened. */
  more: Record<string, number | null>;
  targets: Target[];
  /** Load average of the machine. */
  load?: number;
}

const whole = (value: number | null) => (value === null ? '–' : String(Math.round(value)));

/** The columns of the table. */
const COLUMNS: [name: string, write: (figures: CallStats) => string][] = [
  ['concealed %', ({ concealed }) => (concealed * 100).toFixed(2)],
  ['audio gap', ({ audioGapMs }) => whole(audioGapMs)],
  ['video gap', ({ videoGapMs }) => whole(videoGapMs)],
  ['fps', ({ fps }) => fps.toFixed(1)],
  ['freezes', ({ freezes, frozenMs }) => (freezes ? `${freezes} (${whole(frozenMs)})` : '0')],
  ['buffer a', ({ audioBufferMs }) => whole(audioBufferMs)],
  ['buffer v', ({ videoBufferMs }) => whole(videoBufferMs)],
  ['nack', ({ nacks }) => whole(nacks)],
  ['pli', ({ plis }) => whole(plis)],
  ['rtx', ({ retransmitted }) => whole(retransmitted)],
  ['fec', ({ fec }) => whole(fec)],
  ['rtt', ({ rttMs, roundTrips }) => (rttMs === null ? '–' : `${whole(rttMs)} (${roundTrips})`)],
  ['kbit/s (path)', ({ kbps, pathKbps }) => `${whole(kbps)} (${whole(pathKbps)})`],
  ['lines', ({ height }) => whole(height)],
];

/** Rounds to two decimals. */
const short = (value: number) => String(Math.round(value * 100) / 100);

function writeTarget({ what, found, below, unit }: Target): string {
  const verdict = found === null ? 'never' : found < below ? 'met' : `MISSED: ${short(found)}`;
  return `${what} < ${below} ${unit} ${verdict}`;
}

/** Formats rows as a table; times without a unit are in ms. */
export function table(rows: Row[]): string {
  const head = ['line', 'at', ...COLUMNS.map(([name]) => name), 'load', 'targets and further figures'];
  const cells = rows.map(({ line, at, figures, more, targets, load = 0 }) => [
    line,
    at,
    ...COLUMNS.map(([, write]) => (figures ? write(figures) : '')),
    load.toFixed(1),
    [...targets.map(writeTarget), ...Object.entries(more).map(([name, value]) => `${name} ${value === null ? 'never' : short(value)}`)].join('; '),
  ]);
  const widths = head.map((_, place) => Math.max(...[head, ...cells].map((row) => row[place].length)));
  return [head, ...cells].map((row) => row.map((cell, place) => cell.padEnd(widths[place])).join('  ').trimEnd()).join('\n');
}

/** Writes figures to target/bench. */
export async function keep(file: string, figures: object): Promise<void> {
  const folder = join(import.meta.dirname, '../../target/bench');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, file), JSON.stringify(figures, null, 2));
}
