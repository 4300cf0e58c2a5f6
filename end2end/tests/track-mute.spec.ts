import type { Page } from '@playwright/test';
import { expect, test } from '../support/test.ts';

/** The system holds the track back, or does not any more: as a browser says it. */
async function hold(page: Page, kind: 'audio' | 'video', muted: boolean): Promise<void> {
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

test('a microphone that the system mutes shows as off, says why, and comes back by itself', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await ben.call.expectTiles(2);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ben.call.expectSaysNot('Ann', /muted/i);
  const banner = ann.page.getByRole('status').filter({ hasText: /has muted your microphone/i });

  await hold(ann.page, 'audio', true);
  await ben.call.expectSays('Ann', /muted/i);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(banner).toBeVisible();

  await hold(ann.page, 'audio', false);
  await ben.call.expectSaysNot('Ann', /muted/i);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await expect(banner).toHaveCount(0);

  // Whoever does not want it back by itself says so.
  await hold(ann.page, 'audio', true);
  await banner.getByRole('button', { name: 'Keep it off' }).click();
  await expect(banner).toHaveCount(0);
  await hold(ann.page, 'audio', false);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ann.call.microphone.click();
  await ben.call.expectSaysNot('Ann', /muted/i);
});

test('a camera that the system stops shows as off and comes back with the same track', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expect(ben.call.video('Ann')).toBeVisible();
  const asked = await ann.page.evaluate(() => window.__rtc.asked.length);
  await hold(ann.page, 'video', true);
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await expect(ann.page.getByRole('status').filter({ hasText: /has stopped|stopped your camera/i })).toBeVisible();
  await ann.call.camera.click();
  await hold(ann.page, 'video', false);
  await expect(ben.call.video('Ann')).toBeVisible();
  expect(await ann.page.evaluate(() => window.__rtc.asked.length), 'no other camera is asked for').toBe(asked);
});

declare global {
  interface Window {
    /** Locks of the screen that were asked for; the browser may take them back. */
    __locks: { kind: string; released: boolean }[];
  }
}

test('the screen stays on in a call, also after the page was hidden, and not longer', async ({ person, name }) => {
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
  expect(await locks(), 'one that holds is not asked for again').toEqual(['screen on']);
  await ann.page.evaluate(() => (window.__locks[0].released = true));
  await seen();
  await expect.poll(locks).toEqual(['screen off', 'screen on']);
  await ann.call.leave.click();
  await expect.poll(locks).toEqual(['screen off', 'screen off']);
});

test('a browser that keeps no screen on loses nothing by it', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.context.addInitScript(() => {
    Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: undefined });
  });
  await ann.entersCall(name);
  await ann.call.expectTiles(1);
});
