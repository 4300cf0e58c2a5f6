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

declare global {
  interface Window {
    /** Requested screen wake locks; the browser may release them. */
    __locks: { kind: string; released: boolean }[];
  }
}

test('a screen wake lock is held during a call, also after the page was hidden', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.context.addInitScript(() => {
    window.__locks = [];
    const request = async (kind: string) => {
      const lock = { kind, released: false, release: async () => void (lock.released = true) };
      window.__locks.push(lock);
      return lock;
    };
    Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: { request } });
  });
  const locks = () => ann.page.evaluate(() => window.__locks.map(({ kind, released }) => `${kind} ${released ? 'off' : 'on'}`));
  await ann.entersRoom(name);
  expect(await locks()).toEqual([]);
  await ann.room.joinCall.click();
  await ann.call.expectEntered();
  await expect.poll(locks).toEqual(['screen on']);
  const seen = () => ann.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await seen();
  expect(await locks(), 'a held lock is not requested again').toEqual(['screen on']);
  await ann.page.evaluate(() => (window.__locks[0].released = true));
  await seen();
  await expect.poll(locks).toEqual(['screen off', 'screen on']);
  await ann.call.leave.click();
  await expect.poll(locks).toEqual(['screen off', 'screen off']);
});

test('a browser without wake locks enters the call', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.context.addInitScript(() => {
    Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: undefined });
  });
  await ann.entersCall(name);
  await ann.call.expectTiles(1);
});
