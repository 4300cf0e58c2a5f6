import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallStats } from './call_stats.ts';

/** What a figure should be; printed beside it, never asserted. */
export interface Target {
  what: string;
  found: number | null;
  below: number;
  unit: '%' | 's' | 'ms';
}

/** What was measured of one line at one page. */
export interface Row {
  line: string;
  /** Who looked. */
  at: string;
  figures?: CallStats;
  /** Times and counts of this line alone; null is what never came. */
  more: Record<string, number | null>;
  targets: Target[];
  /** How busy the machine was in that minute. */
  load?: number;
}

const whole = (value: number | null) => (value === null ? '–' : String(Math.round(value)));

/** The columns of the table, and how each is written. */
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
  ['again', ({ again }) => whole(again)],
  ['fec', ({ fec }) => whole(fec)],
  ['rtt', ({ rttMs, roundTrips }) => (rttMs === null ? '–' : `${whole(rttMs)} (${roundTrips})`)],
  ['kbit/s (path)', ({ kbps, pathKbps }) => `${whole(kbps)} (${whole(pathKbps)})`],
  ['lines', ({ height }) => whole(height)],
];

/** Two digits after the point are as much as any of it means. */
const short = (value: number) => String(Math.round(value * 100) / 100);

function writeAim({ what, found, below, unit }: Target): string {
  const verdict = found === null ? 'never' : found < below ? 'met' : `MISSED: ${short(found)}`;
  return `${what} < ${below} ${unit} ${verdict}`;
}

/** The rows as a table; times in ms where nothing else is said. */
export function table(rows: Row[]): string {
  const head = ['line', 'at', ...COLUMNS.map(([name]) => name), 'load', 'targets, and what else was seen'];
  const cells = rows.map(({ line, at, figures, more, targets, load = 0 }) => [
    line,
    at,
    ...COLUMNS.map(([, write]) => (figures ? write(figures) : '')),
    load.toFixed(1),
    [...targets.map(writeAim), ...Object.entries(more).map(([name, value]) => `${name} ${value === null ? 'never' : short(value)}`)].join('; '),
  ]);
  const widths = head.map((_, place) => Math.max(...[head, ...cells].map((row) => row[place].length)));
  return [head, ...cells].map((row) => row.map((cell, place) => cell.padEnd(widths[place])).join('  ').trimEnd()).join('\n');
}

/** Keeps what was measured beside the other figures. */
export async function keep(file: string, figures: object): Promise<void> {
  const folder = join(import.meta.dirname, '../../target/bench');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, file), JSON.stringify(figures, null, 2));
}
