import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { roomPath } from '../pages/room.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { REVERSE_PROXIES, ReverseProxy, hasProxy } from '../support/reverse_proxy.ts';
import { expectFlow } from '../support/rtc.ts';
import { expect, test, type Person } from '../support/test.ts';

/** The status of a WebSocket upgrade that a client with this address asks for, and its end. */
function upgrade(port: number, from: string): Promise<{ status: number; close: () => void }> {
  return new Promise((done, failed) => {
    const asked = request({
      port,
      host: '127.0.0.1',
      localAddress: from,
      path: '/ws',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
    });
    asked.on('upgrade', (answer, socket) => done({ status: answer.statusCode ?? 0, close: () => socket.destroy() }));
    asked.on('response', (answer) => {
      answer.resume();
      done({ status: answer.statusCode ?? 0, close: () => {} });
    });
    asked.on('error', failed);
    asked.end();
  });
}

for (const name of REVERSE_PROXIES) {
  test(`${name} passes pages, WebSocket, long polling, a call and the client's address`, async ({
    name: room,
    pageErrors,
    person,
    startServer,
  }) => {
    test.skip(!hasProxy(name), `${name} is not installed`);
    test.setTimeout(120_000);
    pageErrors.expects(CONNECTION_LOST);
    const env = { NOOM_TRUSTED_PROXIES: '127.0.0.1', NOOM_SOCKETS_PER_ADDRESS: '4' };
    const server = await startServer({ env, p2pMax: 0 });
    const proxy = await ReverseProxy.before(server, name);
    const blocked = await HttpProxy.before(proxy);
    blocked.block();
    try {
      // One person by WebSocket, one by long polling; both through the proxy.
      const [ann, ben] = [await person('Ann', { server: proxy }), await person('Ben', { server: blocked })];
      await ann.welcome.page.goto('/');
      await ann.entersRoom(room);
      await ben.entersRoom(room);
      for (const [speaker, listener, text] of [
        [ann, ben, 'hello'],
        [ben, ann, '안녕하세요'],
      ] as const) {
        await speaker.room.says(text);
        await listener.room.sees(text);
      }
      expect(blocked.polls).toBeGreaterThan(0);
      await ann.entersCall(room);
      await ben.entersCall(room);
      for (const somebody of [ann, ben]) await expectFlow(somebody.page, 1);

      // Limits count the client, not the proxy.
      const held = [];
      for (let number = 0; number < 4; number += 1) held.push(await upgrade(proxy.port, '127.0.0.2'));
      expect(held.map(({ status }) => status)).toEqual([101, 101, 101, 101]);
      expect((await upgrade(proxy.port, '127.0.0.2')).status).toBe(429);
      const other = await upgrade(proxy.port, '127.0.0.3');
      expect(other.status).toBe(101);
      for (const socket of [...held, other]) socket.close();
    } finally {
      await blocked.stop();
      await proxy.stop();
    }
  });
}

/** The path below which the server is mounted. */
const BASE = '/noom';

/** Collects the addresses outside the path that the browser of a person asks for. */
function collectStrays(somebody: Person, strays: string[]): void {
  const look = (address: string) => {
    const { pathname, protocol } = new URL(address);
    if (/^(http|ws)s?:$/.test(protocol) && !`${pathname}/`.startsWith(`${BASE}/`)) strays.push(address);
  };
  somebody.context.on('request', (asked) => look(asked.url()));
  somebody.page.on('websocket', (socket) => look(socket.url()));
}

for (const name of REVERSE_PROXIES) {
  for (const strips of [false, true]) {
    test(`a site below a path works through ${name} that ${strips ? 'strips' : 'passes on'} the path`, async ({
      name: room,
      pageErrors,
      person,
      startServer,
    }) => {
      test.skip(!hasProxy(name), `${name} is not installed`);
      test.setTimeout(120_000);
      pageErrors.expects(CONNECTION_LOST);
      const server = await startServer({ env: { NOOM_TRUSTED_PROXIES: '127.0.0.1', NOOM_BASE_PATH: BASE } });
      const proxy = await ReverseProxy.before(server, name, { below: BASE, strips });
      const blocked = await HttpProxy.before(proxy);
      blocked.block();
      try {
        // By WebSocket, by long polling in Korean, and without script.
        const ann = await person('Ann', { server: proxy });
        const ben = await person('Ben', { server: blocked, locale: 'ko' });
        const cho = await person('Cho', { server: proxy, context: { javaScriptEnabled: false } });
        const strays: string[] = [];
        for (const somebody of [ann, ben, cho]) collectStrays(somebody, strays);
        const roomIs = (url: URL) => url.pathname === BASE + roomPath(room);

        await ann.page.goto(`${BASE}/`);
        await ann.welcome.enters(room, 'Ann');
        await ann.room.expectLive();
        expect(roomIs(new URL(ann.page.url()))).toBe(true);
        await expect(async () => {
          await ben.page.goto(BASE);
          await expect(ben.welcome.entry(room)).toBeVisible({ timeout: 500 });
        }).toPass();
        expect(new URL(ben.page.url()).pathname).toBe(`${BASE}/`);
        await ben.welcome.entry(room).click();
        await ben.room.expectLive();
        await expect(ben.page.locator('html')).toHaveAttribute('lang', 'ko');
        for (const [speaker, listener, text] of [
          [ann, ben, 'hello'],
          [ben, ann, '안녕하세요'],
        ] as const) {
          await speaker.room.says(text);
          await listener.room.sees(text);
        }
        expect(blocked.polls).toBeGreaterThan(0);

        await cho.page.goto(`${BASE}/`);
        await cho.welcome.enters(room, 'Cho');
        await cho.page.waitForURL(roomIs);
        await cho.room.message.fill('without script');
        await cho.room.send.click();
        await cho.page.waitForURL(roomIs);
        await ann.room.sees('without script');
        // Chromium warns after some seconds that a page without script does not use what it preloads.
        await cho.context.close();

        for (const somebody of [ann, ben]) {
          await somebody.room.joinCall.locator('visible=true').first().click();
          await somebody.call.expectEntered();
          expect(new URL(somebody.page.url()).pathname).toBe(`${BASE}${roomPath(room)}/call`);
        }
        for (const somebody of [ann, ben]) await expectFlow(somebody.page, 1);
        await ben.call.leave.click();
        await ben.page.waitForURL(roomIs);

        // Navigation of the page: back from the call, a search, the way out, and back again.
        await ann.call.leave.click();
        await ann.page.waitForURL(roomIs);
        await ann.room.search.fill('hello');
        await ann.room.search.press('Enter');
        await ann.page.waitForURL((url) => roomIs(url) && url.search === '?q=hello');
        await expect(ann.page.getByRole('region', { name: 'Search' })).toContainText('hello');
        await ann.page.goBack();
        await ann.room.expectLive();
        await ann.room.leave.click();
        await ann.page.waitForURL((url) => url.pathname === `${BASE}/`);
        await expect(ann.welcome.join).toBeVisible();
        await ann.page.goBack();
        await ann.room.expectLive();
        await ann.page.reload();
        await ann.room.sees('without script');
        expect(strays, 'nothing outside the path is asked for').toEqual([]);
      } finally {
        await blocked.stop();
        await proxy.stop();
      }
    });
  }
}

test('an address without the base path leads to the one with it', async ({ name: room, person, startServer }) => {
  const server = await startServer({ env: { NOOM_BASE_PATH: BASE } });
  const ann = await person('Ann', { server });
  await ann.page.goto(`${roomPath(room)}?name=Ann`);
  await ann.page.waitForURL((url) => url.pathname === BASE + roomPath(room) && url.search === '?name=Ann');
  await ann.room.expectLive();
  await ann.room.says('hello');
  await ann.room.sees('hello');
});
