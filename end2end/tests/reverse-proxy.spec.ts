import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { HttpProxy } from '../support/http_proxy.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { REVERSE_PROXIES, ReverseProxy, hasProxy } from '../support/reverse_proxy.ts';
import { expectFlow } from '../support/rtc.ts';
import { expect, test } from '../support/test.ts';

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
