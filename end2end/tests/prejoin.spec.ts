import { createServer, type Server as Site } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { expect, test as base, type Person } from '../support/test.ts';
import { COLOURS, expectVideo, paintCamera } from '../support/media.ts';
import { roomPath } from '../pages/room.ts';
import { devicesAsked, expectFlow } from '../support/rtc.ts';
import { receivedMessages, ProtocolClient } from '../support/protocol_client.ts';

/** Another site with pages that the test defines. */
class Elsewhere {
  /** HTML of `/`. */
  page = '';
  /** Redirect target of `/hop`. */
  target = '';

  constructor(private readonly site: Site) {
    site.on('request', (request, response) => {
      if (request.url === '/hop') return response.writeHead(302, { location: this.target }).end();
      if (request.url !== '/') return response.writeHead(204).end();
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>elsewhere</title>${this.page}`);
    });
  }

  /** Another host name than the server under test: another site, not only another port. */
  get url(): string {
    return `http://localhost:${(this.site.address() as AddressInfo).port}/`;
  }
}

const test = base.extend<{ elsewhere: Elsewhere }>({
  elsewhere: async ({}, use) => {
    const site = createServer();
    site.listen(0, 'localhost');
    await once(site, 'listening');
    await use(new Elsewhere(site));
    site.closeAllConnections();
    site.close();
  },
});

/** The types of the messages that a page sends from now on; the list grows. */
function sentTypes(page: Page): string[] {
  const types: string[] = [];
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => types.push(JSON.parse(String(payload)).type)),
  );
  return types;
}

/** The page has joined the room and asks before the call: no device, no connection, not in the call. */
async function expectOnlyAsks(somebody: Person, sent: string[], room: ProtocolClient): Promise<void> {
  await somebody.call.expectAsks();
  await room.next(({ type, person }) => type === 'entered' && person.nickname === somebody.name);
  expect(await devicesAsked(somebody.page), 'no device is requested').toEqual([]);
  expect(await somebody.page.evaluate(() => window.__rtc.connections.length), 'no peer connection').toBe(0);
  expect(sent).toContain('join');
  expect(sent, 'the call is not entered').not.toContain('enter_call');
  expect(room.messages.filter(({ type }) => type === 'call_entered')).toEqual([]);
}

for (const [how, script] of [
  ['leads', (target: string) => `location.href = ${JSON.stringify(target)}`],
  ['redirects', () => "location.href = '/hop'"],
] as const) {
  test(`another site that ${how} into a call opens neither camera nor microphone`, async ({ elsewhere, name, person, server }) => {
    const ben = await ProtocolClient.join(server, name, 'Ben');
    const ann = await person('Ann');
    const sent = sentTypes(ann.page);
    elsewhere.target = `${server.url}${roomPath(name)}/call${ann.query}&prejoin=0`;
    elsewhere.page = `<script>${script(elsewhere.target)}</script>`;
    await ann.page.goto(elsewhere.url);
    await ann.page.waitForURL(elsewhere.target);
    await expectOnlyAsks(ann, sent, ben);
    // A press on the same page enters.
    await ann.call.joinNow.click();
    await ann.call.expectEntered();
    await ben.next(({ type }) => type === 'call_entered');
    expect(await devicesAsked(ann.page)).not.toEqual([]);
    ben.close();
  });
}

test('a link of our own pages skips the prejoin page, and history navigation does not', async ({ elsewhere, name, person, server }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const call = `${roomPath(name)}/call${ann.query}&prejoin=0`;
  await ann.page.evaluate((call) => location.assign(call), call);
  await ann.call.expectEntered();

  elsewhere.page = "<button onclick='history.back()'>Back</button>";
  await ann.page.goto(elsewhere.url);
  const sent = sentTypes(ann.page);
  await ann.page.getByRole('button', { name: 'Back' }).click();
  await ann.page.waitForURL((url) => url.href === server.url + call);
  await ann.call.expectAsks();
  await expect.poll(() => sent).toContain('join');
  expect(await devicesAsked(ann.page)).toEqual([]);
  expect(sent).not.toContain('enter_call');
});

test('the address bar leads to the prejoin page, whatever the query says', async ({ name, person }) => {
  const ann = await person('Ann');
  await ann.call.visit(name, `${ann.query}&prejoin=0&audio=0`);
  await expect(ann.page.getByRole('heading', { level: 1 })).toHaveText(name);
  expect(await devicesAsked(ann.page)).toEqual([]);
  await ann.call.joinNow.click();
  await ann.call.expectEntered();
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'true');
});

test('a reload re-enters the call, and asks again after leaving', async ({ name, person }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ben.entersCall(name);
  await ann.entersCall(name);
  await ben.call.expectTiles(2);
  await ann.page.reload();
  await ann.call.expectEntered();
  await expectFlow(ben.page, 1);
  await ann.call.leave.click();
  await ben.call.expectTiles(1);
  // Also with history navigation within one document.
  await ann.page.goBack();
  await ann.call.expectAsks();
  await ann.page.reload();
  await ann.call.expectAsks();
  expect(await devicesAsked(ann.page)).toEqual([]);
  await ben.call.expectTiles(1);
});

test('"Join call" skips the prejoin page, also where the browser follows the link', async ({ name, person }) => {
  for (const room of [name, `${name} 50%41`]) {
    const ann = await person('Ann');
    await ann.entersRoom(room);
    await ann.room.joinCall.click();
    await ann.call.expectEntered();
  }
});

test('the prejoin page works with the keyboard alone', async ({ name, person }) => {
  const ann = await person('Ann');
  await ann.call.visit(name, ann.query);
  await expect(ann.call.joinNow).toBeFocused();
  await ann.page.keyboard.press('Shift+Tab');
  await expect(ann.call.hideAddress).toBeFocused();
  await ann.page.keyboard.press('Space');
  await expect(ann.call.hideAddress).toBeChecked();
  await ann.page.keyboard.press('Space');
  await expect(ann.call.hideAddress).not.toBeChecked();
  await ann.page.keyboard.press('Tab');
  await ann.page.keyboard.press('Enter');
  await ann.call.expectEntered();
});

test('a key held down since another site enters no call', async ({ elsewhere, name, person, server }) => {
  const ann = await person('Ann');
  elsewhere.page = `<script>addEventListener('keydown', () => (location.href = '/hop'))</script>`;
  elsewhere.target = `${server.url}${roomPath(name)}/call${ann.query}`;
  await ann.page.goto(elsewhere.url);
  await ann.page.keyboard.down('Enter');
  await ann.page.waitForURL(elsewhere.target);
  await expect(ann.call.joinNow).toBeFocused();
  // Key repeats.
  for (let turn = 0; turn < 5; turn += 1) await ann.page.keyboard.down('Enter');
  await ann.call.expectAsks();
  expect(await devicesAsked(ann.page)).toEqual([]);
  await ann.page.keyboard.up('Enter');
  await ann.page.keyboard.press('Enter');
  await ann.call.expectEntered();
});

test('the prejoin page works in Korean on a phone', async ({ name, person }) => {
  const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const ann = await person('안나', { locale: 'ko', context });
  await ann.call.visit(name, ann.query);
  await expect(ann.call.hideAddress).toBeVisible();
  await ann.call.joinNow.tap();
  await ann.call.expectEntered();
});

test('without JavaScript the prejoin page says that a call needs it', async ({ name, person }) => {
  const ann = await person('Ann', { context: { javaScriptEnabled: false } });
  await ann.page.goto(`${roomPath(name)}/call`);
  await expect(ann.call.joinNow).toBeDisabled();
  await expect(ann.page.getByText(/need JavaScript/)).toBeVisible();
});

/** The remote candidates of all peer connections of a page. */
function remoteCandidates(page: Page): Promise<{ address: string; port: number }[]> {
  return page.evaluate(async () => {
    const found: { address: string; port: number }[] = [];
    for (const { pc } of window.__rtc.connections) {
      for (const report of (await pc.getStats()).values()) {
        if (report.type === 'remote-candidate') found.push({ address: report.address, port: report.port });
      }
    }
    return found;
  });
}

/** What reveals a page's address: the ports of its candidates and its ICE user name fragments. */
function addressTraces(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const found: string[] = [];
    for (const { pc, fragments } of window.__rtc.connections) {
      found.push(...fragments);
      for (const report of (await pc.getStats()).values()) {
        if (report.type === 'local-candidate' && report.port > 9) found.push(` ${report.port} typ `);
      }
    }
    return found;
  });
}

/** Two people see each other, and neither page learns an address other than the server's. */
async function expectOnlyTheServer(server: { mediaPort: number }, ann: Person, ben: Person, received: object[]): Promise<void> {
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  for (const { page } of [ann, ben]) {
    const candidates = await remoteCandidates(page);
    expect(candidates.length).toBeGreaterThan(0);
    for (const { port } of candidates) expect(port).toBe(server.mediaPort);
  }
  const frames = JSON.stringify(received);
  expect(frames).toContain('call_entered');
  const traces = await addressTraces(ann.page);
  expect(traces.length).toBeGreaterThan(0);
  expect(traces.filter((trace) => frames.includes(trace)), 'no trace of Ann reaches Ben').toEqual([]);
  expect(received.filter((frame) => (frame as { type: string }).type === 'signal')).toEqual([]);
}

test('a hidden address keeps the call on the server until it is shown', async ({ name, person, startServer }) => {
  test.setTimeout(180_000);
  const server = await startServer({ p2pMax: 64 });
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  for (const somebody of [ann, ben]) await paintCamera(somebody.page, COLOURS[somebody.name]);
  const received = receivedMessages(ben.page);
  await ben.entersCall(name);
  await ann.call.visit(name, ann.query);
  await ann.call.hideAddress.check();
  await ann.call.joinNow.click();
  await ann.call.expectEntered();
  await expectOnlyTheServer(server, ann, ben, received);

  // The device remembers the choice, and the settings show it.
  await ann.page.reload();
  await ann.call.expectEntered();
  await ann.call.openSettings();
  await expect(ann.call.hideAddress).toBeChecked();
  await expectOnlyTheServer(server, ann, ben, received);

  await ann.call.hideAddress.uncheck();
  await ann.call.closeSettings();
  const modes = () => received.filter(({ type }) => type === 'media_mode').map(({ mode }) => mode);
  await expect.poll(modes, { timeout: 30_000 }).toEqual(['sfu', 'p2p']);
  const direct = async () => (await remoteCandidates(ben.page)).some(({ port }) => port !== server.mediaPort);
  await expect.poll(direct, { message: 'they meet browser to browser', timeout: 30_000 }).toBe(true);
  await expectVideo(ben, 'Ann');

  await ann.call.openSettings();
  await ann.call.hideAddress.check();
  await ann.call.closeSettings();
  await expect.poll(modes, { timeout: 30_000 }).toEqual(['sfu', 'p2p', 'sfu']);
  await expectVideo(ben, 'Ann');
});

test('a server that hides all addresses disables the choice', async ({ name, person, startServer }) => {
  const server = await startServer({ p2pMax: 64, env: { NOOM_HIDE_ADDRESSES: 'true' } });
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  for (const somebody of [ann, ben]) await paintCamera(somebody.page, COLOURS[somebody.name]);
  const received = receivedMessages(ben.page);
  await ben.entersCall(name);
  await ann.call.visit(name, ann.query);
  await expect(ann.call.hideAddress).toBeChecked();
  await expect(ann.call.hideAddress).toBeDisabled();
  await ann.call.joinNow.click();
  await ann.call.expectEntered();
  await expectOnlyTheServer(server, ann, ben, received);
});
