import type { Page } from '@playwright/test';
import { expect, test } from '../support/test.ts';

/** Mutes or unmutes a local track as the system does (W3C Media Capture: `muted`). */
async function setMuted(page: Page, kind: 'audio' | 'video', muted: boolean): Promise<void> {
  await page.evaluate(
    ([kind, muted]) => {
      const live = window.__rtc.tracks.filter((track) => track.kind === kind && track.readyState === 'live');
      for (const track of live) {
        Object.defineProperty(track, 'muted', { configurable: true, value: muted });
        track.dispatchEvent(new Event(muted ? 'mute' : 'unmute'));
      }
    },
    [kind, muted] as const,
  );
}

test('a microphone that the system mutes shows as off with a reason, and returns by itself', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await ben.call.expectTiles(2);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ben.call.expectSaysNot('Ann', /muted/i);
  const banner = ann.page.getByRole('status').filter({ hasText: /has muted your microphone/i });

  await setMuted(ann.page, 'audio', true);
  await ben.call.expectSays('Ann', /muted/i);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(banner).toBeVisible();

  await setMuted(ann.page, 'audio', false);
  await ben.call.expectSaysNot('Ann', /muted/i);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await expect(banner).toHaveCount(0);

  // "Keep it off" prevents the return.
  await setMuted(ann.page, 'audio', true);
  await banner.getByRole('button', { name: 'Keep it off' }).click();
  await expect(banner).toHaveCount(0);
  await setMuted(ann.page, 'audio', false);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ann.call.microphone.click();
  await ben.call.expectSaysNot('Ann', /muted/i);
});

test('a camera that the system stops shows as off, and returns with the same track', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expect(ben.call.video('Ann')).toBeVisible();
  const asked = await ann.page.evaluate(() => window.__rtc.asked.length);
  await setMuted(ann.page, 'video', true);
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await expect(ann.page.getByRole('status').filter({ hasText: /has stopped|stopped your camera/i })).toBeVisible();
  await ann.call.camera.click();
  await setMuted(ann.page, 'video', false);
  await expect(ben.call.video('Ann')).toBeVisible();
  expect(await ann.page.evaluate(() => window.__rtc.asked.length), 'no other camera is requested').toBe(asked);
});

/** The microphones that a page receives browser to browser: whether each is played, and the bytes so far. */
async function microphones(page: Page): Promise<{ played: boolean; bytes: number }[]> {
  return page.evaluate(async () => {
    const open = window.__rtc.connections.filter(({ pc }) => pc.connectionState === 'connected');
    const found = [];
    for (const { pc } of open) {
      const [microphone] = pc.getReceivers();
      if (!microphone) continue;
      let bytes = 0;
      for (const report of (await microphone.getStats()).values()) {
        if (report.type === 'inbound-rtp') bytes += report.bytesReceived;
      }
      found.push({ played: microphone.track.enabled, bytes });
    }
    return found;
  });
}

test('a page that goes on sending a microphone that the room lists as off is heard by nobody', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await ben.call.expectTiles(2);
  const played = async (): Promise<boolean[]> => (await microphones(ben.page)).map((one) => one.played);
  await expect.poll(played).toEqual([true]);

  // The track goes on: only its page says that it is muted.
  await setMuted(ann.page, 'audio', true);
  await ben.call.expectSays('Ann', /muted/i);
  await expect.poll(played).toEqual([false]);
  const [before] = await microphones(ben.page);
  await expect.poll(async () => (await microphones(ben.page))[0]?.bytes ?? 0).toBeGreaterThan((before?.bytes ?? 0) + 2_000);
  expect(await played()).toEqual([false]);

  await setMuted(ann.page, 'audio', false);
  await ben.call.expectSaysNot('Ann', /muted/i);
  await expect.poll(played).toEqual([true]);
});
