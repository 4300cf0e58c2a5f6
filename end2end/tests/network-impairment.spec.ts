import { createSocket } from 'node:dgram';
import { expect, test, type Person } from '../support/test.ts';
import { canCertify } from '../support/certificate.ts';
import { launch } from '../support/chromium.ts';
import { COLOURS, expectVideo, expectAudio, paintCamera, selectedTransports, videoOf } from '../support/media.ts';
import { flood, UdpProxy } from '../support/udp_proxy.ts';
import { keepsResolution, recoveries } from '../support/rtc.ts';
import { receivedMessages } from '../support/protocol_client.ts';

/** Ann, whose media passes a proxy, and Ben in a call through the server. */
async function pair(
  person: (nickname: string, options?: any) => Promise<Person>,
  startServer: (options?: any) => Promise<any>,
  name: string,
  size?: [number, number],
  busy = false,
): Promise<{ ann: Person; ben: Person; proxy: UdpProxy; server: any }> {
  const server = await startServer({ p2pMax: 0 });
  const proxy = await UdpProxy.to(server.mediaPort);
  const ann = await person('Ann', { server });
  const ben = await person('Ben', { server });
  for (const somebody of [ann, ben]) await paintCamera(somebody.page, COLOURS[somebody.name], size, busy);
  await proxy.route(ann.page);
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  return { ann, ben, proxy, server };
}

test('10 % packet loss leaves video and audio flowing', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const { ann, ben, proxy } = await pair(person, startServer, name);
  proxy.set({ loss: 0.1, burst: 2, delayMs: 20, jitterMs: 20, duplicate: 0.01 });
  const before = proxy.lost;
  await expect.poll(() => proxy.lost - before, { message: 'losses', timeout: 60_000 }).toBeGreaterThan(150);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  await expectAudio(ann.page, 1);
  await expect.poll(() => ben.call.words('Ann'), { message: 'Ann has a poor connection', timeout: 30_000 }).toMatch(/poor/i);
  proxy.close();
});

test('300 kbit/s selects a smaller layer or none, keeps audio, and recovers the largest layer', async ({
  person, name, startServer,
}) => {
  test.setTimeout(240_000);
  const { ann, ben, proxy } = await pair(person, startServer, name, [1280, 720], true);
  await keepsResolution(ben);
  await ann.page.setViewportSize({ width: 1900, height: 1060 });
  const height = async () => (await videoOf(ann, 'Ben')).height;
  await expect.poll(height, { message: 'the largest layer', timeout: 60_000 }).toBeGreaterThan(600);
  proxy.set({ rateDown: 300_000 });
  const smaller = async () => (await height()) < 600 || /paused/i.test(await ann.call.words('Ben'));
  await expect.poll(smaller, { message: 'a smaller layer', timeout: 60_000 }).toBe(true);
  await expectAudio(ann.page, 1);
  await expectVideo(ann, 'Ben');
  proxy.set({});
  await expect.poll(height, { message: 'the largest layer again', timeout: 90_000 }).toBeGreaterThan(600);
  proxy.close();
});

test('70 kbit/s pauses video, says so, keeps audio, and recovers by itself', async ({
  person, name, startServer,
}) => {
  test.setTimeout(180_000);
  const { ann, ben, proxy } = await pair(person, startServer, name);
  proxy.set({ rateDown: 70_000 });
  await expect(ann.call.paused('Ben')).toBeVisible({ timeout: 60_000 });
  await expectAudio(ann.page, 1);
  await expectVideo(ben, 'Ann');
  await expect(ann.call.paused('Ben'), 'paused for as long as the rate is low').toBeVisible();
  proxy.set({});
  await expect(ann.call.paused('Ben')).toBeHidden({ timeout: 60_000 });
  await expectVideo(ann, 'Ben');
  await expectAudio(ann.page, 1);
  proxy.close();
});

test('media continues after a change of the source port', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const { ann, ben, proxy } = await pair(person, startServer, name);
  proxy.rebind();
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  proxy.close();
});

test('a path that is cut for a while recovers while all people stay', async ({ person, name, startServer }) => {
  test.setTimeout(180_000);
  const { ann, ben, proxy } = await pair(person, startServer, name);
  const made = await recoveries(ann.page);
  proxy.set({ loss: 1 });
  await expect
    .poll(() => recoveries(ann.page), { message: 'an ICE restart or a fresh connection', timeout: 60_000 })
    .toBeGreaterThan(made);
  proxy.set({});
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  await expectAudio(ann.page, 1);
  await ann.call.expectTiles(2);
  proxy.close();
});

test('TCP carries the call where UDP is blocked', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const proxy = await UdpProxy.to(server.mediaPort);
  proxy.set({ loss: 1 });
  const ann = await person('Ann', { server });
  const ben = await person('Ben', { server });
  await proxy.route(ann.page, { tcp: true });
  for (const somebody of [ann, ben]) {
    await paintCamera(somebody.page, COLOURS[somebody.name]);
    await somebody.entersCall(name);
  }
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  expect(await selectedTransports(ann.page)).toEqual(['tcp']);
  expect(await selectedTransports(ben.page)).toEqual(['udp']);
  expect(proxy.lost, 'UDP was tried').toBeGreaterThan(0);
  proxy.close();
});

/** Restricts a page to relay candidates of a TURN server that it reaches by one transport. */
const relayOnly = (page: import('@playwright/test').Page, by: 'udp' | 'tcp' | 'tls') =>
  page.addInitScript((by) => {
    const Native = window.RTCPeerConnection;
    if (!Native) return;
    const only = (configuration: RTCConfiguration = {}): RTCConfiguration => ({
      ...configuration,
      iceTransportPolicy: 'relay',
      iceServers: configuration.iceServers?.map((server) => ({
        ...server,
        urls: [server.urls].flat().filter((url) => (url.startsWith('turns:') ? by === 'tls' : url.endsWith(`transport=${by}`))),
      })).filter(({ urls }) => urls.length),
    });
    window.RTCPeerConnection = class extends Native {
      constructor(configuration?: RTCConfiguration) {
        super(only(configuration));
      }
      setConfiguration(configuration?: RTCConfiguration) {
        super.setConfiguration(only(configuration));
      }
    };
  }, by);

for (const [how, p2pMax, by] of [
  ['through the server', 0, 'tls'], ['browser to browser', 2, 'udp'], ['browser to browser', 2, 'tcp'],
] as const) {
  test(`the relay alone, reached by ${by}, carries a call ${how}`, async ({
    person, name, playwright, startServer,
  }) => {
    test.skip(by === 'tls' && !canCertify(), 'openssl is not installed');
    test.setTimeout(150_000);
    const server = await startServer({ p2pMax, turn: by === 'tls' ? by : true });
    const takes = server.certificate && `--ignore-certificate-errors-spki-list=${server.certificate.fingerprint}`;
    const browser = takes ? await playwright.chromium.launch(launch([takes])) : undefined;
    const ann = await person('Ann', { server, browser });
    const ben = await person('Ben', { server, browser });
    const received = receivedMessages(ben.page);
    for (const somebody of [ann, ben]) {
      await paintCamera(somebody.page, COLOURS[somebody.name]);
      await relayOnly(somebody.page, by);
      await somebody.entersCall(name);
    }
    await expectVideo(ann, 'Ben');
    await expectVideo(ben, 'Ann');
    await expectAudio(ann.page, 1);
    expect(await selectedTransports(ann.page)).toEqual([`relay ${by}`]);
    expect(await server.metric('noom_turn_allocations')).toBeGreaterThan(1);
    // Ann's signals contain relay candidates only.
    const signals = received.filter(({ type }) => type === 'signal').map((frame) => JSON.stringify(frame)).join('\n');
    const kinds = new Set([...signals.matchAll(/ typ (\w+)/g)].map(([, kind]) => kind));
    expect([...kinds]).toEqual(p2pMax ? ['relay'] : []);
    await browser?.close();
  });
}

test('20,000 junk datagrams a second at the media port do not stop a call', async ({ person, name, startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await person('Ann', { server });
  const ben = await person('Ben', { server });
  for (const somebody of [ann, ben]) {
    await paintCamera(somebody.page, COLOURS[somebody.name]);
    await somebody.entersCall(name);
  }
  await expectVideo(ann, 'Ben');
  const dropped = await server.metric('noom_media_dropped_datagrams_total');
  await flood(createSocket('udp4'), server.mediaPort, 20_000, 5);
  await expectVideo(ann, 'Ben');
  expect((await server.metric('noom_media_dropped_datagrams_total')) - dropped).toBeGreaterThan(10_000);
});
