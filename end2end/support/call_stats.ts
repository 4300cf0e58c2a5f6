import type { Page } from '@playwright/test';

/** Interval between samples of the statistics, in ms. */
const SAMPLE_INTERVAL_MS = 100;
/** Audio counts as new above 10 ms, in samples of 48 kHz: NetEq corrects its counts by less. */
const NEW_SAMPLES = 480;

type Numbers = Record<string, number>;

/** The statistics of a page's calls at one moment. */
export interface Sample {
  /** Time in ms since 1970: pages and tests share this clock. */
  at: number;
  /** Numbers of each received stream, by kind, index of the connection and SSRC. */
  streams: Record<string, Numbers>;
  /** Numbers of the selected candidate pair. */
  pair: Numbers;
}

/** Times of shown frames, and samples of the statistics. */
export interface Recording {
  frames: number[];
  samples: Sample[];
}

/** Quality of a call at one person for a while. */
export interface CallStats {
  seconds: number;
  /** Share of concealed audio samples, without silence. */
  concealed: number;
  /** Longest time without received audio, at a resolution of 100 ms. */
  audioGapMs: number;
  /** Longest time without a new frame on the screen. */
  videoGapMs: number;
  /** Decoded frames per second. */
  fps: number;
  freezes: number;
  frozenMs: number;
  /** Average jitter buffer delay. */
  audioBufferMs: number | null;
  videoBufferMs: number | null;
  nacks: number;
  plis: number;
  /** Retransmitted packets: requested ones, and padding of probes. */
  retransmitted: number;
  /** Audio packets recovered by FEC. */
  fec: number;
  /** Mean STUN round-trip time, and the number of round trips. */
  rttMs: number | null;
  roundTrips: number;
  /** Received media, and everything received on the path, in kbit/s. */
  kbps: number;
  pathKbps: number;
  /** Height of the last video frame. */
  height: number;
}

/** The clock of `Sample.at`. */
export const clock = () => performance.timeOrigin + performance.now();

/** Records what a page receives from now on. */
export class StatsRecorder {
  private constructor(private readonly page: Page) {}

  static async over(page: Page): Promise<StatsRecorder> {
    await page.evaluate(collect, SAMPLE_INTERVAL_MS);
    return new StatsRecorder(page);
  }

  /** The recording since a time. */
  since(from: number): Promise<Recording> {
    return this.page.evaluate((from) => {
      const { frames, samples } = (window as any).__watch as Recording;
      return { frames: frames.filter((at) => at >= from), samples: samples.filter(({ at }) => at >= from) };
    }, from);
  }

  /** The quality since a time. */
  async figures(from: number): Promise<CallStats> {
    const to = clock();
    return summarise(await this.since(from), from, to);
  }

  /** Number of connections so far, which is the index of the next. */
  connections(): Promise<number> {
    return this.page.evaluate(() => window.__rtc.connections.length);
  }
}

/** Runs in the page: records shown frames and the statistics of received streams. */
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
    // A connection that closes meanwhile has no statistics; the next sample follows soon.
    await look().catch(() => undefined);
    setTimeout(again, Math.max(0, every - (performance.now() - began)));
  };
  void again();
}

/**
 * Summarises a recording. Throws if it has too few samples, or no played audio.
 */
export function summarise({ frames, samples }: Recording, from: number, to: number): CallStats {
  const seconds = (to - from) / 1_000;
  if (samples.length < seconds * 2) throw new Error(`only ${samples.length} samples in ${seconds} s`);
  const grown = (kind: string, field: string) => growth(samples, kind, field);
  const played = grown('audio', 'totalSamplesReceived');
  if (played === 0) throw new Error('no audio was played, not even concealment');
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
    retransmitted: grown('', 'retransmittedPacketsReceived'),
    fec: grown('audio', 'fecPacketsReceived'),
    rttMs: share(pairGrowth(samples, 'totalRoundTripTime') * 1_000, roundTrips),
    roundTrips,
    kbps: (grown('', 'bytesReceived') * 8) / 1_000 / seconds,
    pathKbps: (pairGrowth(samples, 'bytesReceived') * 8) / 1_000 / seconds,
    height: heightOf(samples.at(-1)!),
  };
}

/** Growth of a number over all streams of a kind that received packets. */
function growth(samples: Sample[], kind: string, field: string): number {
  const last = new Map<string, Numbers>();
  for (const { streams } of samples) for (const [key, numbers] of Object.entries(streams)) last.set(key, numbers);
  let sum = 0;
  for (const [key, numbers] of last) {
    // A new stream started from zero.
    const first = samples[0].streams[key] ?? {};
    const grew = (name: string) => (numbers[name] ?? 0) - (first[name] ?? 0);
    if (key.startsWith(kind) && grew('packetsReceived') > 0) sum += grew(field);
  }
  return sum;
}

/** Growth of a number of the selected pair; a new pair starts from zero. */
function pairGrowth(samples: Sample[], field: string): number {
  let [sum, before] = [0, samples[0].pair[field] ?? 0];
  for (const { pair } of samples) {
    const now = pair[field] ?? before;
    sum += now >= before ? now - before : now;
    before = now;
  }
  return sum;
}

/** Times of samples with new received audio. */
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
      // An idle stream plays silence without energy.
      if (real - was.real <= NEW_SAMPLES || energy - was.energy < 1e-6) continue;
      counted[key] = { real, energy };
      news = true;
    }
    if (news) found.push(at);
  }
  return found;
}

/** Longest interval without an event, in ms. */
export function longestGap(moments: number[], from: number, to: number): number {
  const all = [from, ...moments.filter((at) => at >= from && at <= to), to];
  return Math.max(...all.slice(1).map((at, place) => at - all[place]));
}

/** Largest height of the received videos. */
export function heightOf({ streams }: Sample): number {
  const heights = Object.entries(streams).map(([key, numbers]) => (key.startsWith('video') ? (numbers.frameHeight ?? 0) : 0));
  return Math.max(0, ...heights);
}

/** Times of the first video and audio of a connection with this index or a later one. */
export function firstBy(samples: Sample[], place: number): { picture?: number; sound?: number } {
  const fresh = samples.map(({ at, streams, pair }) => ({
    at,
    pair,
    streams: Object.fromEntries(Object.entries(streams).filter(([key]) => Number(key.split(' ')[1]) >= place)),
  }));
  const decoded = ({ streams }: Sample) => Object.values(streams).some(({ framesDecoded }) => framesDecoded > 0);
  return { picture: fresh.find(decoded)?.at, sound: heard(fresh)[0] };
}
