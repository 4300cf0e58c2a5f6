import { loadavg } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { expect, test, type Person } from '../support/test.ts';
import { COLOURS, expectVideo, expectAudio, paintCamera, selectedTransports } from '../support/media.ts';
import { RateMeter, OPTIONAL } from '../support/rate_meter.ts';
import { UdpProxy, type Impairments } from '../support/udp_proxy.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { keep, table, type Target, type Row } from '../support/report.ts';
import { recoveries } from '../support/rtc.ts';
import { clock, firstBy, heard, heightOf, StatsRecorder, type CallStats } from '../support/call_stats.ts';
import type { Server } from '../support/server.ts';

/** Duration of each measurement, in s; LINE_SECONDS overrides it. */
const SECONDS = Number(process.env.LINE_SECONDS ?? 20);
/** Number of server kills; RESTARTS overrides it. */
const RESTARTS = Number(process.env.RESTARTS ?? 10);
/** Pattern that selects measurements: LINES. */
const CHOSEN = new RegExp(process.env.LINES ?? '');
/** Time for buffers and estimates to adapt to an impairment, in ms. */
const SETTLE_MS = 3_000;
/** Longest wait for a recovery, in ms. */
const NEVER_MS = 45_000;

/** Camera sizes: below 540 lines Chromium sends two simulcast layers only. */
const [SIZE, LARGE]: [number, number][] = [[960, 540], [1280, 720]];

/** An impairment, and its targets: concealed audio in %, video gap, jitter buffer. */
type Line = [name: string, impairments: Impairments, targets?: { concealed?: number; videoGapS?: number; bufferMs?: number }];

const LINES: Line[] = [
  ['good', {}],
  ['loss 1 %', { loss: 0.01 }, { concealed: 2 }],
  ['loss 5 %', { loss: 0.05 }, { concealed: 5 }],
  ['loss 10 %', { loss: 0.1 }, { concealed: 10, videoGapS: 2 }],
  ['loss 20 %', { loss: 0.2 }, { concealed: 25 }],
  ['loss 5 % in fives', { loss: 0.05, burst: 5 }],
  ['delay 50 ms ± 25', { delayMs: 25, jitterMs: 50 }],
  ['delay 200 ms ± 100', { delayMs: 100, jitterMs: 200 }, { bufferMs: 400 }],
  // Separates the effect of jitter from that of reordering.
  ['delay 200 ms ± 100 in order', { delayMs: 100, jitterMs: 200, inOrder: true }, { bufferMs: 400 }],
  ['delay 400 ms ± 200', { delayMs: 200, jitterMs: 400 }],
  ['reorder 5 %', { reorder: 0.05 }],
  ['duplicate 1 %', { duplicate: 0.01 }],
];

/** A call through the server: the media of Ben passes a proxy, that of Ann does not. */
interface Pair {
  ann: Person;
  ben: Person;
  line: UdpProxy;
  server: Server;
  /** Recorders of what Ann and Ben receive. */
  at: { ann: StatsRecorder; ben: StatsRecorder };
}

interface Means {
  person: (nickname: string, options?: { server?: Server }) => Promise<Person>;
  startServer: (options?: { p2pMax?: number }) => Promise<Server>;
  name: string;
}

/** Measures in a new call, which ends in any case. */
async function inCall(means: Means, measure: (call: Pair) => Promise<Row[]>, options: CallOptions = {}): Promise<Row[]> {
  const server = await means.startServer({ p2pMax: 0 });
  const line = await UdpProxy.to(server.mediaPort);
  const ann = await means.person('Ann', { server });
  const ben = await means.person('Ben', { server });
  try {
    return await measure({ ...(await meet(means.name, ann, ben, line, options)), server });
  } finally {
    await Promise.all([ann.context.close(), ben.context.close()]);
    line.close();
    await server.stop();
  }
}

interface CallOptions {
  /** Whether Ann has the large camera. */
  large?: boolean;
  /** Whether TCP candidates are kept. */
  tcp?: boolean;
}

/** Both enter, see and hear each other, and are recorded. */
async function meet(name: string, ann: Person, ben: Person, line: UdpProxy, { large, tcp }: CallOptions): Promise<Omit<Pair, 'server'>> {
  await paintCamera(ann.page, COLOURS.Ann, large ? LARGE : SIZE, true);
  await paintCamera(ben.page, COLOURS.Ben, SIZE, !large);
  await line.route(ben.page, { tcp });
  for (const { page } of [ann, ben]) await page.setViewportSize({ width: 1900, height: 1060 });
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  for (const { page } of [ann, ben]) await expectAudio(page, 1);
  return { ann, ben, line, at: { ann: await StatsRecorder.over(ann.page), ben: await StatsRecorder.over(ben.page) } };
}

const BEN = 'Ben, impaired';
const ANN = 'Ann, not impaired';

/** Measures one impairment. */
async function badLine(call: Pair, [line, impairments, targets = {}]: Line): Promise<Row[]> {
  // A busy machine may not send the largest layer; the call is measured as it is.
  await until(async () => (await heightNow(call.at.ben)) >= SIZE[1] && (await heightNow(call.at.ann)) >= SIZE[1], 15_000);
  call.line.set(impairments);
  await wait(SETTLE_MS);
  const [from, passed, lost] = [clock(), call.line.passed, call.line.lost];
  await wait(SECONDS * 1_000);
  const figures = [await call.at.ben.figures(from), await call.at.ann.figures(from)];
  const gone = call.line.lost - lost;
  const more = { 'lost %': (gone * 100) / (gone + call.line.passed - passed) };
  if (line === 'good') expectGood(figures);
  return figures.map((figures, place) => ({
    line, at: place === 0 ? BEN : ANN, figures, more: place === 0 ? more : {}, targets: targetsOf(figures, targets),
  }));
}

const heightNow = async (watch: StatsRecorder) => {
  const { samples } = await watch.since(clock() - 1_000);
  return samples.length > 0 ? heightOf(samples.at(-1)!) : 0;
};

/** Checks the unimpaired call, without which the other figures mean nothing. */
function expectGood(figures: CallStats[]): void {
  for (const { fps, concealed, roundTrips, audioBufferMs, videoBufferMs } of figures) {
    expect(fps, 'frames are decoded on a good line').toBeGreaterThan(1);
    expect(concealed, 'sound comes on a good line').toBeLessThan(0.5);
    expect(audioBufferMs, 'sound goes through a buffer').not.toBeNull();
    expect(videoBufferMs, 'pictures go through a buffer').not.toBeNull();
    expect(roundTrips, 'a round trip is measured').toBeGreaterThan(0);
  }
}

function targetsOf(figures: CallStats, { concealed, videoGapS, bufferMs }: NonNullable<Line[2]>): Target[] {
  const targets: Target[] = [];
  if (concealed) targets.push({ what: 'concealed', found: figures.concealed * 100, below: concealed, unit: '%' });
  if (videoGapS) targets.push({ what: 'video gap', found: figures.videoGapMs / 1_000, below: videoGapS, unit: 's' });
  if (bufferMs) {
    targets.push({ what: 'audio buffer', found: figures.audioBufferMs, below: bufferMs, unit: 'ms' });
    targets.push({ what: 'video buffer', found: figures.videoBufferMs, below: bufferMs, unit: 'ms' });
  }
  return targets;
}

/** The rate towards Ben falls below the second layer, and recovers. */
async function rateSteps(call: Pair): Promise<Row[]> {
  await largeNow(call);
  const rows = [await step(call, '2 M', 2_000_000)];
  // The fall shows only from the largest layer.
  await largeNow(call);
  rows.push(await step(call, '2 M → 300 k', 300_000, (height) => height < 600));
  rows.push(await step(call, '300 k → 2 M', 2_000_000, (height) => height > 600));
  return rows;
}

const largeNow = ({ at }: Pair) =>
  expect.poll(() => heightNow(at.ben), { message: 'the largest layer', timeout: 60_000 }).toBeGreaterThan(600);

/** Measures one rate until the layer has changed and stayed, and at least for SECONDS. */
async function step({ at, ben, line }: Pair, name: string, rateDown: number, wanted?: (height: number) => boolean): Promise<Row> {
  const flow = new RateMeter(line);
  const from = clock();
  line.set({ rateDown });
  let changed: number | undefined;
  const over = () => clock() > from + SECONDS * 1_000 && (!wanted || clock() > Math.min((changed ?? Infinity) + 5_000, from + NEVER_MS));
  while (!over()) {
    await wait(200);
    const { samples } = await at.ben.since(from);
    changed ??= wanted && (samples.find((sample) => wanted(heightOf(sample)))?.at ?? (await paused(ben, rateDown)));
  }
  flow.end();
  const [figures, flowed] = [await at.ben.figures(from), flow.figures(rateDown)];
  const pictureS = changed ? (changed - from) / 1_000 : null;
  return { line: `rate ${name}`, at: BEN, figures, more: flowed, targets: wanted ? stepTargets(figures, rateDown, pictureS, flowed['sends less after s']) : [] };
}

const narrow = (rateDown: number) => rateDown < 1_000_000;

/** `pictureS`: time of the layer change; `sendsS`: time when the server sent less than the limit. */
function stepTargets({ audioGapMs }: CallStats, rateDown: number, pictureS: number | null, sendsS: number | null): Target[] {
  if (!narrow(rateDown)) return [{ what: 'layer up', found: pictureS, below: 15, unit: 's' }];
  return [
    { what: 'smaller picture', found: pictureS, below: 3, unit: 's' },
    { what: 'sends less', found: sendsS, below: 3, unit: 's' },
    { what: 'audio gap', found: audioGapMs, below: 500, unit: 'ms' },
  ];
}

/** The current time, if the tile says that video is paused. */
async function paused(ben: Person, rateDown: number): Promise<number | undefined> {
  return narrow(rateDown) && /paused/i.test(await ben.call.words('Ann')) ? clock() : undefined;
}

/** Cuts the path for a while and measures the recovery after it. */
async function cut(call: Pair, seconds: number): Promise<Row[]> {
  const made = await recoveries(call.ben.page);
  const from = clock();
  call.line.set({ loss: 1 });
  await wait(seconds * 1_000);
  call.line.set({});
  const back = clock();
  const rows = await Promise.all(
    ([[BEN, call.at.ben], [ANN, call.at.ann]] as const).map(async ([at, watch]) => {
      const first = await comesBack(watch, back);
      return { line: `cut for ${seconds} s`, at, figures: await watch.figures(from), more: first, targets: [] };
    }),
  );
  Object.assign(rows[0].more, { 'restarts and connections': (await recoveries(call.ben.page)) - made });
  return rows;
}

/** Seconds from a time to the first shown frame and the first audio after it. */
async function comesBack(watch: StatsRecorder, since: number): Promise<Record<string, number | null>> {
  const found: { frame?: number; sound?: number } = {};
  await until(async () => {
    const { frames, samples } = await watch.since(since);
    found.frame ??= frames[0];
    found.sound ??= heard(samples)[0];
    return Boolean(found.frame && found.sound);
  });
  const after = (at?: number) => (at ? (at - since) / 1_000 : null);
  return { 'frame after s': after(found.frame), 'sound after s': after(found.sound) };
}

/** Polls until a condition holds, or for at most `within`. */
async function until(holds: () => Promise<boolean>, within = NEVER_MS): Promise<void> {
  const deadline = clock() + within;
  while (!(await holds()) && clock() < deadline) await wait(200);
}

/** Changes the source port of Ben. */
async function newPort(call: Pair): Promise<Row[]> {
  const made = await recoveries(call.ben.page);
  const rows = await change(call, 'another port', () => call.line.rebind());
  const anew = (await recoveries(call.ben.page)) - made;
  for (const row of rows) {
    row.targets.push({ what: 'without frames', found: row.more['without frames s'], below: anew > 1 ? 10 : 4, unit: 's' });
  }
  rows[0].more['restarts and connections'] = anew;
  return rows;
}

/** Blocks UDP and keeps TCP. */
async function onlyTcp(call: Pair): Promise<Row[]> {
  expect(await selectedTransports(call.ben.page), 'the call begins by UDP').toEqual(['udp']);
  const made = await recoveries(call.ben.page);
  const rows = await change(call, 'UDP dead, TCP left', () => call.line.set({ loss: 1 }));
  for (const row of rows) row.targets.push({ what: 'without frames', found: row.more['without frames s'], below: 10, unit: 's' });
  rows[0].more['by TCP'] = (await selectedTransports(call.ben.page)).filter((path) => path === 'tcp').length;
  rows[0].more['restarts and connections'] = (await recoveries(call.ben.page)) - made;
  return rows;
}

/** Measures the longest time without frames and audio after an event. */
async function change({ at }: Pair, line: string, happens: () => void): Promise<Row[]> {
  const from = clock();
  happens();
  await wait(SECONDS * 1_000);
  return Promise.all(
    ([[BEN, at.ben], [ANN, at.ann]] as const).map(async ([who, watch]) => {
      const goesOn = await flows(watch, from);
      const figures = await watch.figures(from);
      const more = { 'without frames s': goesOn ? figures.videoGapMs / 1_000 : null, 'without sound s': goesOn ? figures.audioGapMs / 1_000 : null };
      return { line, at: who, figures, more, targets: [] as Target[] };
    }),
  );
}

/** Waits until frames and audio have arrived within the last second. */
async function flows(watch: StatsRecorder, from: number): Promise<boolean> {
  let flowing = false;
  await until(async () => {
    const { frames, samples } = await watch.since(Math.max(from, clock() - 1_000));
    flowing = frames.length > 3 && heard(samples).length > 3;
    return flowing;
  });
  return flowing;
}

/** Kills and restarts the server during a call, repeatedly. */
async function restarts(call: Pair): Promise<Row[]> {
  const times: (number | null)[] = [];
  let [tracks, starts] = [0, 0];
  for (let turn = 0; turn < RESTARTS; turn += 1) {
    const found = await restart(call);
    tracks += found.back.filter((at) => at !== null).length;
    starts += found.startS;
    times.push(found.back.includes(null) ? null : Math.max(...(found.back as number[])));
    if (found.back.includes(null)) break;
    await wait(2_000 + Math.random() * 2_000);
  }
  const order = times.map((time) => time ?? Infinity).sort((a, b) => a - b);
  const share = (part: number) => finite(order[Math.min(order.length - 1, Math.floor(part * order.length))]);
  return [{
    line: `server killed, ${times.length} times`, at: 'both',
    more: { 'p50 s': share(0.5), 'tracks back': tracks, 'tracks of': times.length * 4, 'start of the process s': starts / times.length },
    targets: [
      { what: 'all back, p95', found: share(0.95), below: 5, unit: 's' },
      { what: 'worst', found: share(1), below: 10, unit: 's' },
    ],
  }];
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);

/** Seconds from the kill to the first video and audio of a new connection at each page. */
async function restart({ at, server }: Pair): Promise<{ back: (number | null)[]; startS: number }> {
  const watches = [at.ben, at.ann];
  const places = await Promise.all(watches.map((watch) => watch.connections()));
  const from = clock();
  await server.kill();
  await server.run();
  const startS = (clock() - from) / 1_000;
  const back = await Promise.all(watches.map((watch, who) => byNewConnection(watch, places[who], from)));
  return { back: back.flat(), startS };
}

async function byNewConnection(watch: StatsRecorder, place: number, from: number): Promise<(number | null)[]> {
  let found: ReturnType<typeof firstBy> = {};
  await until(async () => {
    found = firstBy((await watch.since(from)).samples, place);
    return Boolean(found.picture && found.sound);
  });
  return [found.picture, found.sound].map((moment) => (moment ? (moment - from) / 1_000 : null));
}

/** All measurements, by name. */
const MEASURED: [name: string, measure: (call: Pair) => Promise<Row[]>, options?: CallOptions][] = [
  ...LINES.map((line): (typeof MEASURED)[number] => [line[0], (call) => badLine(call, line)]),
  ['rate', rateSteps, { large: true }],
  ['cut for 3 s', (call) => cut(call, 3)],
  ['cut for 8 s', (call) => cut(call, 8)],
  ['another port', newPort],
  ['UDP dead', onlyTcp, { tcp: true }],
  ['restart', restarts],
];

test('a call through the server with impaired networks and restarts', async ({ person, name, startServer, pageErrors }) => {
  const chosen = MEASURED.filter(([what]) => CHOSEN.test(what));
  test.setTimeout((chosen.length * (SECONDS + 150) + RESTARTS * 60 + 240) * 1_000);
  pageErrors.expects(CONNECTION_LOST);
  const rows: Row[] = [];
  const untaken: string[] = [];
  for (const [what, measure, options] of chosen) {
    // A failed measurement does not stop the others; it fails the run in the end.
    const found = await inCall({ person, name: `${name} ${what}`, startServer }, measure, options).catch((error: Error) => {
      untaken.push(`${what}: ${firstLines(error)}`);
      return [];
    });
    const [load] = loadavg();
    rows.push(...found.map((row) => ({ ...row, load })));
    untaken.push(...found.flatMap(nothings).map((nothing) => `${what}: ${nothing}`));
    console.log(`${what}: ${found.length} rows`);
    await keep('lines.json', { seconds: SECONDS, restarts: RESTARTS, rows, untaken });
  }
  console.log(table(rows));
  expect(untaken, 'everything was measured, and everything came back').toEqual([]);
});

/** The first lines of an error, without colours. */
function firstLines({ message }: Error): string {
  return stripVTControlCharacters(message).split('\n').filter(Boolean).slice(0, 5).join(' ');
}

/** The figures that are missing. */
function nothings({ at, targets, more }: Row): string[] {
  const found = [...targets.map(({ what, found }) => [what, found] as const), ...Object.entries(more)];
  return found.filter(([what, value]) => value === null && !OPTIONAL.includes(what)).map(([what]) => `${what} never came at ${at}`);
}
