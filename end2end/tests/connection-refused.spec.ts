import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { roomPath } from '../pages/room.ts';

const REFUSED = /status of (403|429)/;
/** The server's `Retry-After`, in ms. */
const RETRY_AFTER_MS = 10_000;

let proxies: HttpProxy[] = [];

test.afterEach(async () => {
  for (const proxy of proxies) await proxy.stop();
  proxies = [];
});

test('a page above the connection limit of its address says so, waits for Retry-After, and joins', async ({
  person, name, pageErrors, startServer,
}) => {
  pageErrors.expects(CONNECTION_LOST, REFUSED);
  const server = await startServer({ env: { NOOM_SOCKETS_PER_ADDRESS: '1' } });
  const proxy = await HttpProxy.before(server, { from: '127.0.0.2' });
  proxies.push(proxy);
  const ann = await person('Ann', { server: proxy });
  await ann.entersRoom(name);

  const before = proxy.attempts.length;
  const ben = await person('Ben', { server: proxy });
  await ben.page.goto(roomPath(name) + ben.query);
  const banner = ben.page.getByRole('status').filter({ hasText: /reached the connection limit/ });
  await expect(banner).toBeVisible();
  await expect(ben.room.banner).toHaveCount(0);
  // One WebSocket and one long poll, whose answer gives the reason. A focus event makes no further attempt.
  await expect.poll(() => proxy.attempts.length - before).toBe(2);
  await ben.page.evaluate(() => window.dispatchEvent(new Event('focus')));
  const refused = proxy.attempts.at(-1)!;
  await expect.poll(() => proxy.attempts.length - before, { timeout: 30_000 }).toBeGreaterThan(2);
  expect(proxy.attempts[before + 2] - refused).toBeGreaterThanOrEqual(RETRY_AFTER_MS - 500);
  await expect(banner).toBeVisible();

  await ann.page.close();
  await expect.poll(() => server.metric('noom_sockets')).toBe(0);
  await ben.page.getByRole('button', { name: /retry now/i }).click();
  await ben.room.expectLive();
  await expect(banner).toHaveCount(0);
  expect(server.log).toMatch(/connections were refused/);
  expect(server.log).toContain(`host="127.0.0.1:`);
});

for (const [locale, words] of [['en', /does not accept connections from the address/], ['ko', /이 페이지를 연 주소로는/]] as const) {
  test(`a page opened at an address that the server refuses says to ask the operator: ${locale}`, async ({
    person, name, pageErrors, startServer,
  }) => {
    pageErrors.expects(CONNECTION_LOST, REFUSED);
    const server = await startServer();
    const proxy = await HttpProxy.before(server, { host: '127.0.0.1:1' });
    proxies.push(proxy);
    const ann = await person('Ann', { server: proxy, locale });
    await ann.page.goto(roomPath(name) + ann.query);
    await expect(ann.page.getByRole('status').filter({ hasText: words })).toBeVisible();
    expect(server.log).toMatch(/requests of another origin were refused/);
    expect(server.log).toContain(`origin="${proxy.url}"`);
    expect(server.log).toContain('host="127.0.0.1:1"');
  });
}
