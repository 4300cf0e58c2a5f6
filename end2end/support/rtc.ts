import type { Person } from './test.ts';
import { expect, type BrowserContext, type Page } from '@playwright/test';
import { OFTEN } from './poll.ts';

/** The WebRTC state of a page, recorded by `observeCalls`. */
export interface Observed {
  connections: {
    pc: RTCPeerConnection;
    /** Calls of setLocalDescription. */
    descriptions: number;
    negotiations: number;
    /** ICE user name fragments; each after the first is a restart. */
    fragments: string[];
  }[];
  /** Every getUserMedia request. */
  asked: { audio: boolean; video: boolean }[];
  /** Every track from getUserMedia. */
  tracks: MediaStreamTrack[];
  /** Error with which getUserMedia fails, while set. */
  refuse: string | null;
  /** Whether only requests with video fail. */
  refuseVideoOnly: boolean;
}

declare global {
  interface Window {
    __rtc: Observed;
  }
}

export interface Refusal {
  error: 'NotAllowedError' | 'NotFoundError' | 'NotReadableError';
  videoOnly?: boolean;
}

/** Records the use of RTCPeerConnection and getUserMedia. */
export async function observeCalls(context: BrowserContext, refusal?: Refusal): Promise<void> {
  await context.addInitScript((refused: Refusal | undefined) => {
    if (typeof RTCPeerConnection === 'undefined' || typeof MediaDevices === 'undefined') return;
    const seen: Observed = {
      connections: [],
      asked: [],
      tracks: [],
      refuse: refused?.error ?? null,
      refuseVideoOnly: refused?.videoOnly ?? false,
    };
    window.__rtc = seen;
    const Native = RTCPeerConnection;
    class Watched extends Native {
      #entry: Observed['connections'][number];
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        this.#entry = { pc: this, descriptions: 0, negotiations: 0, fragments: [] };
        seen.connections.push(this.#entry);
        this.addEventListener('negotiationneeded', () => (this.#entry.negotiations += 1));
      }
      override async setLocalDescription(description?: RTCLocalSessionDescriptionInit): Promise<void> {
        this.#entry.descriptions += 1;
        await super.setLocalDescription(description);
        const fragment = /a=ice-ufrag:(\S+)/.exec(this.localDescription?.sdp ?? '')?.[1];
        if (fragment && !this.#entry.fragments.includes(fragment)) this.#entry.fragments.push(fragment);
      }
    }
    Object.defineProperty(Watched, 'name', { value: 'RTCPeerConnection' });
    window.RTCPeerConnection = Watched as unknown as typeof RTCPeerConnection;
    // No encoder takes the depth images of Chromium's second fake camera, so it shows a red wall
    // instead, which differs from the green of the first.
    const redWall = (real: MediaStream): MediaStream => {
      const camera = real.getVideoTracks()[0];
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
      const paint = canvas.getContext('2d')!;
      const timer = setInterval(() => {
        paint.fillStyle = `rgb(220 ${Math.floor(Math.random() * 20)} 20)`;
        paint.fillRect(0, 0, 640, 480);
      }, 50);
      const wall = canvas.captureStream(20).getVideoTracks()[0];
      const stop = wall.stop.bind(wall);
      wall.getSettings = () => camera.getSettings();
      wall.getConstraints = () => camera.getConstraints();
      wall.applyConstraints = async () => undefined;
      Object.defineProperty(wall, 'label', { value: camera.label });
      wall.stop = () => (clearInterval(timer), camera.stop(), stop());
      return new MediaStream([wall, ...real.getAudioTracks()]);
    };
    const ask = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = async function (constraints?: MediaStreamConstraints) {
      const video = Boolean(constraints?.video);
      seen.asked.push({ audio: Boolean(constraints?.audio), video });
      if (seen.refuse && (video || !seen.refuseVideoOnly)) {
        throw new DOMException('refused by the test', seen.refuse);
      }
      let stream = await ask.call(this, constraints);
      if (video && stream.getVideoTracks()[0]?.label === 'fake_device_1') stream = redWall(stream);
      seen.tracks.push(...stream.getTracks());
      return stream;
    };
  }, refusal);
}

/** Lets getUserMedia succeed from now on. */
export async function allowDevices(page: Page): Promise<void> {
  await page.evaluate(() => {
    window.__rtc.refuse = null;
  });
}

export interface Inbound {
  /** Index of the connection, in order of creation. */
  connection: number;
  frames: number;
  energy: number;
  bytes: number;
}

/** What each open connection has received so far. */
export function inbound(page: Page): Promise<Inbound[]> {
  return page.evaluate(async () => {
    const all = window.__rtc.connections.map(({ pc }, connection) => ({ pc, connection }));
    return Promise.all(
      all
        .filter(({ pc }) => pc.connectionState !== 'closed')
        .map(async ({ pc, connection }) => {
          const sum = { connection, frames: 0, energy: 0, bytes: 0 };
          for (const report of (await pc.getStats()).values()) {
            if (report.type !== 'inbound-rtp') continue;
            sum.bytes += report.bytesReceived ?? 0;
            if (report.kind === 'video') sum.frames += report.framesDecoded ?? 0;
            if (report.kind === 'audio') sum.energy += report.totalAudioEnergy ?? 0;
          }
          return sum;
        }),
    );
  });
}

/** Waits until `from` connections receive media: decoded frames and audio energy grow. */
export async function expectFlow(
  page: Page,
  from: number,
  { video = true, audio = true }: { video?: boolean; audio?: boolean } = {},
): Promise<void> {
  // The first values of each connection, so that a replacement counts as well.
  const first = new Map<number, Inbound>();
  const grows = (now: Inbound) => {
    const was = first.get(now.connection) ?? now;
    first.set(now.connection, was);
    // One or two frames may have been in flight before.
    return (!video || now.frames >= was.frames + 10) && (!audio || now.energy > was.energy);
  };
  await expect
    .poll(async () => (await inbound(page)).filter(grows).length, {
      ...OFTEN,
      message: `${[video && 'video', audio && 'audio'].filter(Boolean).join(' and ')} from ${from}`,
      timeout: 40_000,
    })
    .toBe(from);
}

/** Number of local descriptions so far: constant while nothing is renegotiated. */
export function descriptions(page: Page): Promise<number> {
  return page.evaluate(() => window.__rtc.connections.reduce((sum, one) => sum + one.descriptions, 0));
}

/** ICE restarts and new connections so far. */
export function recoveries(page: Page): Promise<number> {
  return page.evaluate(() =>
    window.__rtc.connections.reduce((sum, one) => sum + Math.max(one.fragments.length, 1), 0),
  );
}

/** Whether every connection is closed and every device released. */
export function everythingFreed(page: Page): Promise<boolean> {
  return page.evaluate(
    () =>
      window.__rtc.connections.every(({ pc }) => pc.connectionState === 'closed') &&
      window.__rtc.tracks.every((track) => track.readyState === 'ended'),
  );
}

/**
 * The media path of a page, which can be cut and restored. Affects connections created after
 * this call only, so call it before the page enters a call.
 */
export async function pathOf(page: Page): Promise<{ cut(): Promise<void>; restore(): Promise<void> }> {
  const session = await page.context().newCDPSession(page);
  const lose = async (packetLoss: number) => {
    await session.send('Network.emulateNetworkConditionsByRule' as any, {
      offline: false,
      matchedNetworkConditions: [
        { urlPattern: '', latency: 0, downloadThroughput: -1, uploadThroughput: -1, packetLoss },
      ],
    } as any);
  };
  await session.send('Network.enable');
  await lose(0);
  return { cut: () => lose(100), restore: () => lose(0) };
}

export function devicesAsked(page: Page): Promise<Observed['asked']> {
  return page.evaluate(() => window.__rtc.asked);
}

/** Stops or resumes a browser's largest simulcast layer, as a busy encoder does. */
export function sendsLargest(somebody: Person, sends: boolean): Promise<void> {
  return somebody.page.evaluate(async (sends) => {
    for (const sender of window.__rtc.connections.flatMap(({ pc }) => pc.getSenders())) {
      const parameters = sender.getParameters();
      const largest = parameters.encodings?.find(({ rid }: any) => rid === 'f');
      if (largest) largest.active = sends;
      if (largest) await sender.setParameters(parameters);
    }
  }, sends);
}

/**
 * Lets a browser send fewer frames instead of smaller ones when its encoder is short of time, so that
 * the height of a picture tells its simulcast layer on a busy machine too.
 */
export function keepsResolution(somebody: Person): Promise<void> {
  return somebody.page.evaluate(async () => {
    for (const sender of window.__rtc.connections.flatMap(({ pc }) => pc.getSenders())) {
      if (sender.track?.kind !== 'video') continue;
      const parameters = sender.getParameters();
      await sender.setParameters({ ...parameters, degradationPreference: 'maintain-resolution' } as RTCRtpSendParameters);
    }
  });
}
