import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { expectFlow, pathOf } from '../support/rtc.ts';

/** An unreachable address (RFC 5737). */
const UNREACHABLE = '192.0.2.1';

test('media that does not reach the server is reported to users and operator until it does', async ({
  person, name, pageErrors, startServer,
}) => {
  test.setTimeout(150_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer({ p2pMax: 0, mediaIp: UNREACHABLE });
  const ann = await person('Ann', { server });
  const minji = await person('민지', { server, locale: 'ko' });
  await ann.entersCall(name);
  await minji.entersCall(name);
  const banner = ann.page.getByRole('status').filter({ hasText: /no sound or video gets through between you and the server/i });
  await expect(banner).toHaveCount(0);
  await expect(banner).toBeVisible({ timeout: 30_000 });
  await expect(banner).toContainText(/try another network/i);
  const koreanBanner = minji.page.getByRole('status').filter({ hasText: /서버와 소리와 영상을 주고받지 못하고/ });
  await expect(koreanBanner).toBeVisible({ timeout: 30_000 });

  // Chat works meanwhile.
  await ann.page.getByRole('textbox', { name: 'Message' }).fill('do you hear me?');
  await ann.page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await minji.room.sees('do you hear me?');

  expect(await server.metrics()).toMatch(/noom_media_blocked_total\{obstacle="server_ice"\} 2/);
  const ready = await (await fetch(`${server.url}/readyz`)).json();
  expect(ready.ready).toBe(true);
  expect(ready.notes.media).toMatch(/^2 reports/);
  expect(server.log.match(/media of calls does not reach this server/g)).toHaveLength(1);

  // The operator corrects the setting.
  await server.kill('SIGTERM');
  server.options.mediaIp = '127.0.0.1';
  await server.run();
  for (const somebody of [ann, minji]) await expectFlow(somebody.page, 1);
  await expect(banner).toHaveCount(0);
  await expect(koreanBanner).toHaveCount(0);
});

test('two people whose media does not connect see the name of the other, until it connects', async ({ person, name, server }) => {
  test.setTimeout(120_000);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const path = await pathOf(ann.page);
  await path.cut();
  await ann.entersCall(name);
  await ben.entersCall(name);
  const banner = ann.page.getByRole('status').filter({ hasText: /no sound or video gets through between you and Ben/i });
  await expect(banner).toBeVisible({ timeout: 40_000 });
  await expect(banner).toContainText(/hide my address/i);
  await path.restore();
  await expectFlow(ann.page, 1);
  await expect(banner).toHaveCount(0);
  expect(await server.metric('noom_media_blocked_total')).toBeGreaterThan(0);
});

test('a browser without WebRTC shows so at once, and its chat works', async ({ person, name, server }) => {
  const ann = await person('Ann');
  const ben = await person('Ben');
  await ben.entersRoom(name);
  await ann.context.addInitScript(() => Reflect.deleteProperty(window, 'RTCPeerConnection'));
  await ann.call.visit(name, ann.query);
  const banner = ann.page.getByRole('status').filter({ hasText: /this browser cannot make calls/i });
  await expect(banner).toBeVisible();
  const before = await server.metric('noom_media_blocked_total');
  await ann.call.joinNow.click();
  await ann.call.expectEntered();
  await expect(banner).toBeVisible();
  await ann.page.getByRole('textbox', { name: 'Message' }).fill('I only write');
  await ann.page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await ben.room.sees('I only write');
  await expect.poll(() => server.metric('noom_media_blocked_total')).toBe(before + 1);
});
