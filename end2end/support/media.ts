import { expect, type Page } from '@playwright/test';
import { OFTEN } from './poll.ts';
import type { Person } from './test.ts';

export type Colour = [red: number, green: number, blue: number];

/** Colours far enough apart to be distinguished after any encoder. */
export const COLOURS: Record<string, Colour> = {
  Ann: [220, 40, 40],
  Ben: [40, 200, 40],
  Cleo: [50, 60, 220],
  Dan: [220, 210, 40],
  Eve: [210, 50, 210],
};

/**
 * Gives a page a camera of one colour with a moving mark, and a microphone with a tone whose volume
 * `speaking.ts` changes. A busy video flickers around the colour, so that it takes as many bits as a
 * real one. Call before the page loads.
 */
export async function paintCamera(
  page: Page, colour: Colour, size: [number, number] = [640, 360], busy = false, volume = 1, fps = 20,
): Promise<void> {
  await page.addInitScript(
    ({ colour: [red, green, blue], size: [width, height], busy, volume, fps }) => {
      if (typeof MediaDevices === 'undefined') return;
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext('2d')!;
      let drawn = 0;
      let sound: AudioContext | undefined;
      let voice: GainNode | undefined;
      const draw = () => {
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        context.fillRect(0, 0, width, height);
        for (let spot = 0; busy && spot < 300; spot += 1) {
          const shade = Math.random() * 80 - 40;
          context.fillStyle = `rgb(${red + shade} ${green + shade} ${blue + shade})`;
          context.fillRect(Math.random() * width, Math.random() * height, 60, 30);
        }
        context.fillStyle = 'white';
        context.fillRect((drawn++ * 7) % width, 0, 8, 8);
      };
      setInterval(draw, 1_000 / fps);
      draw();
      MediaDevices.prototype.getUserMedia = async ({ video, audio }: MediaStreamConstraints = {}) => {
        const tracks: MediaStreamTrack[] = [];
        if (video) tracks.push(...canvas.captureStream(fps).getTracks());
        if (audio) {
          // One for all tracks: browsers limit the number of audio contexts.
          sound ??= new AudioContext();
          if (!voice) {
            const hum = sound.createOscillator();
            (window as any).__voice = voice = new GainNode(sound, { gain: volume });
            hum.connect(voice);
            hum.start();
          }
          const out = sound.createMediaStreamDestination();
          voice.connect(out);
          await sound.resume();
          tracks.push(...out.stream.getTracks());
        }
        return new MediaStream(tracks);
      };
    },
    { colour, size, busy, volume, fps },
  );
}

/** Gives a page a screen of one colour with audio from `getDisplayMedia`. Call before the page loads. */
export async function paintScreen(page: Page, [red, green, blue]: Colour): Promise<void> {
  await page.addInitScript(
    ({ colour }) => {
      if (typeof MediaDevices === 'undefined') return;
      MediaDevices.prototype.getDisplayMedia = async () => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
        const context = canvas.getContext('2d')!;
        let drawn = 0;
        setInterval(() => {
          context.fillStyle = colour;
          context.fillRect(0, 0, 640, 360);
          context.fillStyle = 'white';
          context.fillRect((drawn++ * 7) % 640, 0, 8, 8);
        }, 100);
        const sound = new AudioContext();
        const hum = sound.createOscillator();
        const out = sound.createMediaStreamDestination();
        hum.connect(out);
        hum.start();
        await sound.resume();
        const given = new MediaStream([...canvas.captureStream(10).getTracks(), ...out.stream.getTracks()]);
        (window as any).__given = given;
        return given;
      };
    },
    { colour: `rgb(${red} ${green} ${blue})` },
  );
}

/** Ends a screen share as the browser's own bar does: the tracks end with an `ended` event. */
export async function endScreenByBrowser(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const track of ((window as any).__given as MediaStream).getTracks()) {
      track.stop();
      track.dispatchEvent(new Event('ended'));
    }
  });
}

/** How the picture in somebody's tile is: its colour, its height, and how many frames it has shown. */
export async function videoOf(viewer: Person, of: string): Promise<{ colour: Colour; height: number; frames: number }> {
  return {
    colour: await viewer.call.colour(of),
    ...(await viewer.call.video(of).evaluate((element) => {
      const video = element as HTMLVideoElement;
      return { height: video.videoHeight, frames: video.getVideoPlaybackQuality().totalVideoFrames };
    })),
  };
}

/**
 * Waits until a person's tile shows their colour and new frames. On a starved machine a page's
 * feedback is late, and the server may pause pictures and resume one of them in 20 s; the deadline is
 * longer.
 */
export async function expectVideo(viewer: Person, of: string): Promise<void> {
  const wanted = COLOURS[of];
  await expect(viewer.call.video(of), `${viewer.name} has video of ${of}`).toBeVisible({ timeout: 30_000 });
  const far = (a: Colour, b: Colour) => Math.max(...a.map((value, place) => Math.abs(value - b[place])));
  await expect
    .poll(async () => far((await videoOf(viewer, of)).colour, wanted), {
      ...OFTEN,
      message: `${viewer.name} sees the colour of ${of}`,
      timeout: 120_000,
    })
    .toBeLessThan(60);
  const { frames } = await videoOf(viewer, of);
  await expect
    .poll(async () => (await videoOf(viewer, of)).frames, { ...OFTEN, message: `${viewer.name} sees ${of} move`, timeout: 120_000 })
    .toBeGreaterThan(frames + 5);
}

/** Waits until a person's screen shows new frames. */
export async function expectScreen(viewer: Person, of: string): Promise<void> {
  const screen = viewer.call.screen(of).locator('video');
  await expect(screen).toBeVisible();
  const shown = () => screen.evaluate((video) => (video as HTMLVideoElement).getVideoPlaybackQuality().totalVideoFrames);
  const before = await shown();
  await expect.poll(shown, { ...OFTEN, message: `frames of ${of}'s screen`, timeout: 30_000 }).toBeGreaterThan(before + 2);
}

/** Audio energy of a voice; decoded silence has less in a minute. */
const VOICE_ENERGY = 1e-6;

/**
 * Waits until the audio energy of `count` streams grows. More than that begins another observation:
 * one of several slots may have carried another voice meanwhile.
 */
export async function expectAudio(page: Page, count: number): Promise<void> {
  const energies = () =>
    page.evaluate(async () => {
      const found: Record<string, number> = {};
      for (const [place, { pc }] of window.__rtc.connections.entries()) {
        if (pc.connectionState === 'closed') continue;
        for (const report of (await pc.getStats()).values()) {
          if (report.type === 'inbound-rtp' && report.kind === 'audio') {
            found[`${place} ${report.ssrc}`] = report.totalAudioEnergy ?? 0;
          }
        }
      }
      return found;
    });
  let before = await energies();
  const growing = async () => {
    const now = await energies();
    const grown = Object.entries(now).filter(([key, energy]) => energy > (before[key] ?? 0) + VOICE_ENERGY).length;
    if (grown > count) before = now;
    return grown;
  };
  await expect.poll(growing, { ...OFTEN, message: `${count} voices`, timeout: 30_000 }).toBe(count);
}

/**
 * Waits until audio and video of each stream have been played in sync: their estimated playout
 * timestamps, from sender reports, differ by less than a person notices. Not all at one moment:
 * where five pages decode on two cores, one of three streams may wait for its turn. A stream with
 * a constant difference is never in sync. A paused picture is observed when it returns.
 */
export async function expectLipSync(page: Page): Promise<void> {
  /** Difference of audio and video of each stream with both, in ms. */
  const apart = () =>
    page.evaluate(async () => {
      const found: [string, number][] = [];
      for (const { pc } of window.__rtc.connections) {
        if (pc.connectionState !== 'connected') continue;
        const streams = new Map<string, string>();
        for (const section of pc.remoteDescription!.sdp.split('\nm=').slice(1)) {
          const [mid, stream] = ['mid', 'msid'].map((name) => section.match(`a=${name}:(\\S+)`)?.[1]);
          if (mid && stream) streams.set(mid, stream);
        }
        const played = new Map<string, number>();
        for (const report of (await pc.getStats()).values()) {
          if (report.type !== 'inbound-rtp' || !report.estimatedPlayoutTimestamp) continue;
          const stream = streams.get(report.mid)!;
          const other = played.get(stream);
          if (other === undefined) played.set(stream, report.estimatedPlayoutTimestamp);
          else found.push([stream, Math.abs(other - report.estimatedPlayoutTimestamp)]);
        }
      }
      return found;
    });
  const least = new Map<string, number>();
  await expect
    .poll(
      async () => {
        for (const [stream, ms] of await apart()) least.set(stream, Math.min(ms, least.get(stream) ?? Infinity));
        return least.size > 0 && [...least.values()].every((ms) => ms < 150);
      },
      { ...OFTEN, message: 'audio and video are in sync', timeout: 120_000 },
    )
    .toBe(true);
}

/** Measures the longest time without a new frame in a person's tile, in ms. */
export async function watchFrameGaps(viewer: Person, of: string): Promise<{ longest(): Promise<number> }> {
  const tile = await viewer.call.tile(of).elementHandle();
  await viewer.page.evaluate(
    ({ tile, of }) => {
      const gaps = ((window as any).__gaps ??= {});
      let [last, at] = ['', performance.now()];
      gaps[of] = 0;
      setInterval(() => {
        const video = tile!.querySelector('video');
        // `currentTime` advances without frames.
        const now = `${video?.getVideoPlaybackQuality().totalVideoFrames}`;
        if (now !== last) [last, at] = [now, performance.now()];
        else gaps[of] = Math.max(gaps[of], performance.now() - at);
      }, 20);
    },
    { tile, of },
  );
  return { longest: () => viewer.page.evaluate((of) => (window as any).__gaps[of] as number, of) };
}

/** The transport of each connected peer connection: `udp`, `tcp`, or `relay` with its protocol. */
export function selectedTransports(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const found: string[] = [];
    for (const { pc } of window.__rtc.connections) {
      if (pc.connectionState !== 'connected') continue;
      const reports = await pc.getStats();
      const transport = [...reports.values()].find(({ type }) => type === 'transport');
      const pair = transport && reports.get(transport.selectedCandidatePairId);
      const local = pair && reports.get(pair.localCandidateId);
      if (local) found.push(local.candidateType === 'relay' ? `relay ${local.relayProtocol}` : local.protocol);
    }
    return found;
  });
}
