import { AxeBuilder } from '@axe-core/playwright';
import { request } from '@playwright/test';
import { readFile } from 'node:fs/promises';
import { canTrust, privateHost, trusting } from '../support/certificate.ts';
import { Firefox, firefoxPath } from '../support/firefox.ts';
import { videoOf } from '../support/media.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import type { Server } from '../support/server.ts';
import { expect, note, test } from '../support/test.ts';

/** How many WebSockets were opened by this version of HTTP. */
async function websockets(server: Server, version: '1.1' | '2'): Promise<number> {
  const line = new RegExp(`^noom_http_websockets_total\\{version="${version}"\\} (\\d+)$`, 'm');
  return Number(line.exec(await server.metrics())?.[1]);
}

test('a device that trusts the authority calls over https at an address of the network', async ({ name, person, startServer }) => {
  const host = privateHost();
  test.skip(!host || !canTrust(), 'no private address, or certutil is not installed');
  test.setTimeout(120_000);
  const server = await startServer({ selfSigned: true, host, p2pMax: 0, turn: true });
  const { browser, end } = await trusting(server);
  try {
    const [ann, bob] = [await person('Ann', { server, browser }), await person('Bob', { server, browser })];
    await ann.entersCall(name);
    await bob.entersCall(name);

    await expect.poll(async () => (await videoOf(ann, 'Bob')).frames).toBeGreaterThan(20);
    await expect.poll(async () => (await videoOf(bob, 'Ann')).frames).toBeGreaterThan(20);
    expect(await ann.page.evaluate(() => isSecureContext)).toBe(true);
    const protocol = await ann.page.evaluate(() => {
      const [page] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
      return page.nextHopProtocol;
    });
    expect(protocol).toBe('h2');
    note('address', server.url);
  } finally {
    await end();
  }
});

test('Chromium chats by a WebSocket on the HTTP/2 connection of its page, also after a restart', async ({ name, pageErrors, person, startServer }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer({ selfSigned: true });
  const insecure = { server, context: { ignoreHTTPSErrors: true } };
  const [ann, bob] = [await person('Ann', insecure), await person('Bob', insecure)];
  const network = await ann.context.newCDPSession(ann.page);
  const statuses: number[] = [];
  network.on('Network.webSocketHandshakeResponseReceived', ({ response }) => statuses.push(response.status));
  await network.send('Network.enable');
  await ann.entersRoom(name);
  await bob.entersRoom(name);
  const long = 'from Ann '.repeat(300).trim();
  await ann.room.says(long);
  await bob.room.sees(long);
  await bob.room.says('from Bob');
  await ann.room.sees('from Bob');
  expect(statuses, '200 is the answer to CONNECT, 101 that to an upgrade').toEqual([200]);
  expect([await websockets(server, '2'), await websockets(server, '1.1')]).toEqual([2, 0]);

  await server.kill('SIGTERM');
  await server.run();
  await ann.room.says('after the restart');
  await bob.room.sees('after the restart');
  // There is no connection yet on which a WebSocket could be opened, so Chromium may use HTTP/1.1. A
  // page whose WebSocket came late has begun to poll, and tries another after five seconds.
  const all = async () => (await websockets(server, '2')) + (await websockets(server, '1.1'));
  await expect.poll(all, { timeout: 45_000 }).toBe(2);
});

test('Firefox and Chromium chat over TLS', async ({ name, person, startServer }) => {
  test.skip(!firefoxPath(), 'Firefox is not installed');
  test.setTimeout(120_000);
  const server = await startServer({ selfSigned: true });
  const ann = await person('Ann', { server, context: { ignoreHTTPSErrors: true } });
  await ann.entersRoom(name);
  const firefox = await Firefox.start(true);
  try {
    await firefox.open(`${server.url}/room/${encodeURIComponent(name)}?name=Fox`);
    await expect(ann.room.person('Fox')).toBeVisible();
    await ann.room.says('hello Fox');
    const sees = () => firefox.evaluate(() => document.querySelector('[role=log]')?.textContent?.includes('hello Fox') ?? false);
    await expect.poll(sees).toBe(true);
    note('WebSockets by HTTP/2', String(await websockets(server, '2')));
    expect((await websockets(server, '2')) + (await websockets(server, '1.1')), 'nobody polls').toBe(2);
    expect(firefox.console).toEqual([]);
  } finally {
    await firefox.close();
  }
});

test('two pages connect by TURN over TLS alone, with the certificate of the pages', async ({ name, person, startServer }) => {
  const host = privateHost();
  test.skip(!host || !canTrust(), 'no private address, or certutil is not installed');
  test.setTimeout(120_000);
  const server = await startServer({ selfSigned: true, host, turn: true });
  const { browser, end } = await trusting(server);
  try {
    const pages = [];
    for (const nickname of ['Ann', 'Bob']) {
      const { page } = await person(nickname, { server, browser });
      await page.goto('/');
      pages.push(page);
      // The socket stays open: the credentials are valid for as long as the person is in the call.
      const urls = await page.evaluate(async ([room, nickname]) => {
        const socket = new WebSocket(`wss://${location.host}/ws`);
        await new Promise((opened) => (socket.onopen = opened));
        socket.send(JSON.stringify({ type: 'join', room, nickname }));
        socket.send(JSON.stringify({ type: 'enter_call', leg: 7, devices: { microphone: true, camera: false } }));
        const servers = await new Promise<RTCIceServer[]>((received, refused) => {
          socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (message.type === 'call') received(message.ice_servers);
            if (message.type === 'error') refused(new Error(data));
          };
        });
        setInterval(() => socket.send('{"type":"ping"}'), 4_000);
        const secure = servers.flatMap((server) => {
          const urls = [server.urls].flat().filter((url) => url.startsWith('turns:'));
          return urls.length > 0 ? [{ ...server, urls }] : [];
        });
        const connection = new RTCPeerConnection({ iceServers: secure, iceTransportPolicy: 'relay' });
        Object.assign(window, { socket, connection });
        return secure.flatMap(({ urls }) => urls);
      }, [name, nickname] as const);
      expect(urls).toEqual([expect.stringMatching(/^turns:.+\?transport=tcp$/)]);
    }
    const [ann, bob] = pages;
    /** Applies a description and returns the next one with all its candidates. */
    const describe = async (page: typeof ann, remote?: RTCSessionDescriptionInit) =>
      page.evaluate(async (remote) => {
        const { connection } = window as unknown as { connection: RTCPeerConnection };
        if (remote) await connection.setRemoteDescription(remote);
        else connection.createDataChannel('test');
        await connection.setLocalDescription();
        while (connection.iceGatheringState !== 'complete') {
          await new Promise((changed) => connection.addEventListener('icegatheringstatechange', changed, { once: true }));
        }
        const { type, sdp } = connection.localDescription!;
        return { type, sdp };
      }, remote);
    const offer = await describe(ann);
    expect(offer.sdp).toMatch(/ typ relay /);
    expect(offer.sdp).not.toMatch(/ typ (host|srflx) /);
    const answer = await describe(bob, offer);
    await ann.evaluate(async (answer) => {
      const { connection } = window as unknown as { connection: RTCPeerConnection };
      await connection.setRemoteDescription(answer);
      while (connection.connectionState !== 'connected') {
        if (connection.connectionState === 'failed') throw new Error('no connection');
        await new Promise((changed) => connection.addEventListener('connectionstatechange', changed, { once: true }));
      }
    }, answer);
    for (const page of pages) {
      const relay = await page.evaluate(async () => {
        const { connection } = window as unknown as { connection: RTCPeerConnection };
        const stats = [...(await connection.getStats()).values()];
        const { selectedCandidatePairId } = stats.find(({ type }) => type === 'transport');
        const pair = stats.find(({ id }) => id === selectedCandidatePairId);
        const { candidateType, relayProtocol, url } = stats.find(({ id }) => id === pair.localCandidateId);
        return { candidateType, relayProtocol, url };
      });
      expect(relay).toEqual({ candidateType: 'relay', relayProtocol: 'tls', url: expect.stringMatching(/^turns:/) });
    }
    expect(await server.metric('noom_turn_relayed_bytes_total')).toBeGreaterThan(0);
    expect(await server.metrics()).toMatch(/noom_turn_relayed_bytes_total\{[^}]*transport="tls"[^}]*\} [1-9]/);
  } finally {
    await end();
  }
});

test('a device that does not trust the authority yet is shown how, in both languages', async ({ browser, startServer }) => {
  const server = await startServer({ selfSigned: true });
  for (const [lang, title] of [['en', 'Trust this server on your device'], ['ko', '기기에서 이 서버를 신뢰하기']] as const) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: true, viewport: { width: 390, height: 844 } });
    const page = await context.newPage();
    await page.goto(`${server.url}/lan?lang=${lang}`);
    await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible();
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('a[download]').click()]);
    expect(await readFile(await download.path(), 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await context.close();
  }
});

test('an address typed without https leads to https', async ({ startServer }) => {
  const server = await startServer({ selfSigned: true });
  const client = await request.newContext({ ignoreHTTPSErrors: true });
  const answer = await client.get(`http://127.0.0.1:${server.port}/?lang=ko`);
  expect(answer.status()).toBe(200);
  expect(answer.url()).toBe(`${server.url}/?lang=ko`);
  await client.dispose();
});
