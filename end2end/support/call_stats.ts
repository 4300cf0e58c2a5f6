import type { Page } from '@playwright/test';

/** How often a page looks at its statistics, in ms. */
const LOOK_EVERY_MS = 100;
/** Sound counts as new once there is more of it than 10 ms, in samples of 48 kHz: NetEq corrects its counts by less. */
const NEW_SAMPLES = 480;

type Numbers = Record<string, number>;

/** What the statistics of a page's calls said at one moment. */
export interface Sample {
  /** When, in ms since 1970, as everywhere here: pages and tests share this clock. */
  at: number;
  /** What comes in: `audio` or `video`, the place of its connection, and its SSRC, to all its numbers. */
  streams: Record<string, Numbers>;
  /** The path that is used. */
  pair: Numbers;
}

/** What a page saw since some moment: the times of the frames it showed, and its statistics. */
export interface Recording {
  frames: number[];
  samples: Sample[];
}

/** What somebody had of a call for a while. */
export interface CallStats {
  seconds: number;
  /** Share of the sound that was made up, silence not counted. */
  concealed: number;
  /** Longest time without new sound that was not made up; looked at each 100 ms. */
  audioGapMs: number;
  /** Longest time without another frame on the screen. */
  videoGapMs: number;
  /** Frames decoded a second. */
  fps: number;
  freezes: number;
  frozenMs: number;
  /** How long sound and pictures wait before they are played, on average. */
  audioBufferMs: number | null;
  videoBufferMs: number | null;
  nacks: number;
  plis: number;
  /** Packets that came again: what was asked for, and what fills a probe. */
  again: number;
  /** Packets of sound repaired from the ones after them. */
  fec: number;
  /** The mean of the STUN round trips there were, and how many. */
  rttMs: number | null;
  roundTrips: number;
  /** What came in of sound and pictures, and with everything else on the path, in kbit/s. */
  kbps: number;
  pathKbps: number;
  /** Lines of the last picture. */
  height: number;
}

/** The clock of `Sample.at`, here. */
export const clock = () => performance.timeOrigin + performance.now();

/** Watches what one page receives from now on. */
export class StatsRecorder {
  private constructor(private readonly page: Page) {}

  static async over(page: Page): Promise<StatsRecorder> {
    await page.evaluate(collect, LOOK_EVERY_MS);
    return new StatsRecorder(page);
  }

  /** What was seen from then on. */
  since(from: number): Promise<Recording> {
    return this.page.evaluate((from) => {
      const { frames, samples } = (window as any).__watch as Recording;
      return { frames: frames.filter((at) => at >= from), samples: samples.filter(({ at }) => at >= from) };
    }, from);
  }

  /** What happened from then to now. */
  async figures(from: number): Promise<CallStats> {
    const to = clock();
    return summarise(await this.since(from), from, to);
  }

  /** How many connections the page has made; the next one gets this place. */
  connections(): Promise<number> {
    return this.page.evaluate(() => window.__rtc.connections.length);
  }
}

/** Runs in the page: keeps when frames were shown, and all numbers of what comes in. */
function collect(every: number): void {
  const seen: Recording = { frames: [], samples: [] };
  (window as any).__watch = seen;
  const clock = () => performance.timeOrigin + performance.now();
  const numbers = (report: object = {}) =>
    Object.fromEntries(Object.entries(report).filter(([, value]) => typeof value === 'number'));
  const followed = new WeakSet<HTMLVideoElement>();
  const follow = (video: HTMLVideoElement) => {
    if (followed.has(video)) return;
    followed.add(video);
    const shown = () => {
      seen.frames.push(clock());
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  };
  const look = async () => {
    document.querySelectorAll<HTMLVideoElement>('.stage .tile:not(.tile--me) video').forEach(follow);
    const sample: Sample = { at: 0, streams: {}, pair: {} };
    for (const [place, { pc }] of window.__rtc.connections.entries()) {
      if (pc.connectionState === 'closed') continue;
      const reports = await pc.getStats();
      for (const report of reports.values()) {
        if (report.type === 'inbound-rtp') sample.streams[`${report.kind} ${place} ${report.ssrc}`] = numbers(report);
        if (report.type === 'transport') sample.pair = numbers(reports.get(report.selectedCandidatePairId));
      }
    }
    sample.at = clock();
    seen.samples.push(sample);
  };
  const again = async () => {
    const began = performance.now();
    // A connection closed while it was asked says nothing; the next look is soon.
    await look().catch(() => undefined);
    setTimeout(again, Math.max(0, every - (performance.now() - began)));
  };
  void again();
}

/**
 * What was seen, in figures.
 *
 * Throws where too little was seen to say anything: no statistics, or no sound played at all.
 */
export function summarise({ frames, samples }: Recording, from: number, to: number): CallStats {
  const seconds = (to - from) / 1_000;
  if (samples.length < seconds * 2) throw new Error(`only ${samples.length} looks in ${seconds} s`);
  const grown = (kind: string, field: string) => growth(samples, kind, field);
  const played = grown('audio', 'totalSamplesReceived');
  if (played === 0) throw new Error('no sound was played, not even a made up one');
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : null);
  const buffer = (kind: string) => share(grown(kind, 'jitterBufferDelay') * 1_000, grown(kind, 'jitterBufferEmittedCount'));
  const roundTrips = pairGrowth(samples, 'responsesReceived');
  return {
    seconds,
    concealed: (grown('audio', 'concealedSamples') - grown('audio', 'silentConcealedSamples')) / played,
    audioGapMs: longestGap(heard(samples), from, to),
    videoGapMs: longestGap(frames, from, to),
    fps: grown('video', 'framesDecoded') / seconds,
    freezes: grown('video', 'freezeCount'),
    frozenMs: grown('video', 'totalFreezesDuration') * 1_000,
    audioBufferMs: buffer('audio'),
    videoBufferMs: buffer('video'),
    nacks: grown('', 'nackCount'),
    plis: grown('video', 'pliCount'),
    again: grown('', 'retransmittedPacketsReceived'),
    fec: grown('audio', 'fecPacketsReceived'),
    rttMs: share(pairGrowth(samples, 'totalRoundTripTime') * 1_000, roundTrips),
    roundTrips,
    kbps: (grown('', 'bytesReceived') * 8) / 1_000 / seconds,
    pathKbps: (pairGrowth(samples, 'bytesReceived') * 8) / 1_000 / seconds,
    height: heightOf(samples.at(-1)!),
  };
}

/** How much a number grew, over all streams of a kind that brought packets. */
function growth(samples: Sample[], kind: string, field: string): number {
  const last = new Map<string, Numbers>();
  for (const { streams } of samples) for (const [key, numbers] of Object.entries(streams)) last.set(key, numbers);
  let sum = 0;
  for (const [key, numbers] of last) {
    // A stream that was not there at first began from nothing.
    const first = samples[0].streams[key] ?? {};
    const grew = (name: string) => (numbers[name] ?? 0) - (first[name] ?? 0);
    if (key.startsWith(kind) && grew('packetsReceived') > 0) sum += grew(field);
  }
  return sum;
}

/** How much a number of the path grew; where another path was taken, from nothing. */
function pairGrowth(samples: Sample[], field: string): number {
  let [sum, before] = [0, samples[0].pair[field] ?? 0];
  for (const { pair } of samples) {
    const now = pair[field] ?? before;
    sum += now >= before ? now - before : now;
    before = now;
  }
  return sum;
}

/** When sound came that was not made up: the moments of the looks that found some. */
export function heard(samples: Sample[]): number[] {
  const counted: Record<string, { real: number; energy: number }> = {};
  const found: number[] = [];
  for (const [turn, { at, streams }] of samples.entries()) {
    let news = false;
    for (const [key, numbers] of Object.entries(streams)) {
      if (!key.startsWith('audio')) continue;
      const real = (numbers.totalSamplesReceived ?? 0) - (numbers.concealedSamples ?? 0);
      const energy = numbers.totalAudioEnergy ?? 0;
      const was = (counted[key] ??= turn === 0 ? { real, energy } : { real: 0, energy: 0 });
      // An idle stream plays silence, which has no energy.
      if (real - was.real <= NEW_SAMPLES || energy - was.energy < 1e-6) continue;
      counted[key] = { real, energy };
      news = true;
    }
    if (news) found.push(at);
  }
  return found;
}

/** The longest time in which nothing happened, in ms. */
export function longestGap(moments: number[], from: number, to: number): number {
  const all = [from, ...moments.filter((at) => at >= from && at <= to), to];
  return Math.max(...all.slice(1).map((at, place) => at - all[place]));
}

/** Lines of the largest picture that comes in. */
export function heightOf({ streams }: Sample): number {
  const heights = Object.entries(streams).map(([key, numbers]) => (key.startsWith('video') ? (numbers.frameHeight ?? 0) : 0));
  return Math.max(0, ...heights);
}

/** When pictures and sound first came by a connection with this place or a later one. */
export function firstBy(samples: Sample[], place: number): { picture?: number; sound?: number } {
  const fresh = samples.map(({ at, streams, pair }) => ({
    at,
    pair,
    streams: Object.fromEntries(Object.entries(streams).filter(([key]) => Number(key.split(' ')[1]) >= place)),
  }));
  const decoded = ({ streams }: Sample) => Object.values(streams).some(({ framesDecoded }) => framesDecoded > 0);
  return { picture: fresh.find(decoded)?.at, sound: heard(fresh)[0] };
}
