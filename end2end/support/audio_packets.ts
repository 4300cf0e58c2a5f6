import { expect, type Page } from '@playwright/test';
import { OFTEN } from './poll.ts';

/** Packets of audio that a page has received and sent so far. */
export function audioPackets(page: Page): Promise<{ received: number; sent: number }> {
  return page.evaluate(async () => {
    const sum = { received: 0, sent: 0 };
    for (const { pc } of window.__rtc.connections) {
      for (const report of (await pc.getStats()).values()) {
        if (report.kind !== 'audio') continue;
        if (report.type === 'inbound-rtp') sum.received += report.packetsReceived ?? 0;
        if (report.type === 'outbound-rtp') sum.sent += report.packetsSent ?? 0;
      }
    }
    return sum;
  });
}

/** Waits until a page has sent many more packets of audio. */
export async function sendsAudio(page: Page): Promise<void> {
  const { sent } = await audioPackets(page);
  await expect.poll(async () => (await audioPackets(page)).sent, { ...OFTEN, message: 'packets are sent' }).toBeGreaterThan(sent + 50);
}

/** Waits until a page has received many more packets of audio. */
export async function receivesAudio(page: Page): Promise<void> {
  const { received } = await audioPackets(page);
  await expect.poll(async () => (await audioPackets(page)).received, { ...OFTEN, message: 'packets arrive', timeout: 30_000 }).toBeGreaterThan(received + 50);
}

/** Makes a page send its microphone, whatever the program says. */
export const forceMicrophone = (page: Page) =>
  page.evaluate(async () => {
    const track = window.__rtc.tracks.find(({ kind, readyState }) => kind === 'audio' && readyState === 'live')!;
    track.enabled = true;
    for (const { pc } of window.__rtc.connections) {
      const sound = pc.getTransceivers().find(({ sender, receiver }) => (sender.track ?? receiver.track).kind === 'audio' && sender.track);
      if (pc.connectionState === 'connected') await sound?.sender.replaceTrack(track);
    }
  });

/** Leaves the microphone to the program again, as it was before `forceMicrophone`. */
export const leaveMicrophone = (page: Page) =>
  page.evaluate(() => window.__rtc.tracks.forEach((track) => (track.enabled = track.kind !== 'audio')));
