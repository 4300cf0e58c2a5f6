import { expect, test } from '../support/test.ts';

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
