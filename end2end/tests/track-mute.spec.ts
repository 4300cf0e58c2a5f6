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
