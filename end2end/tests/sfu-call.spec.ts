import { expect, test, type Person } from '../support/test.ts';
import {
  COLOURS, endScreenByBrowser, expectVideo, expectLipSync, expectScreen, expectAudio, paintCamera, paintScreen, selectedTransports, videoOf,
} from '../support/media.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { TcpProxy } from '../support/tcp_proxy.ts';
import { everythingFreed, keepsResolution, recoveries, sendsLargest } from '../support/rtc.ts';
import type { Server } from '../support/server.ts';
import { receivedMessages } from '../support/protocol_client.ts';

type Bring = (nickname: string, options?: { server?: Server }) => Promise<Person>;

/** Brings a person with their own colour into the call. */
async function enters(
  person: Bring, server: Server, room: string, nickname: string, size?: [number, number], fps?: number,
): Promise<Person> {
  const somebody = await person(nickname, { server });
  await paintCamera(somebody.page, COLOURS[nickname], size, false, 1, fps);
  await somebody.entersCall(room);
  return somebody;
}

/** Resolves when the server has answered a reconnected `enter_call`. */
async function answersHeard(somebody: Person): Promise<void> {
  const socket = await somebody.page.waitForEvent('websocket');
  await socket.waitForEvent('framereceived', ({ payload }) => String(payload).startsWith('{"type":"call"'));
}

/** The active simulcast layers of a person's camera. */
function layersOn(somebody: Person): Promise<string[]> {
  return somebody.page.evaluate(() => {
    const cameras = window.__rtc.connections.flatMap(({ pc }) =>
      pc.getSenders().flatMap((sender) => sender.getParameters().encodings ?? []),
    );
    return cameras.filter((each: any) => each.rid && each.active).map((each: any) => each.rid);
  });
}

/** Whether a person's screen is encoded; null while none is shared. */
function screenEncoded(somebody: Person): Promise<boolean | null> {
  return somebody.page.evaluate(() => {
    const sending = window.__rtc.connections.flatMap(({ pc }) =>
      pc.connectionState === 'connected' ? pc.getSenders().filter(({ track }) => track?.kind === 'video') : [],
    );
    const single = sending.flatMap((sender) => sender.getParameters().encodings ?? []).filter((each: any) => !each.rid);
    return single.length ? single.some(({ active }) => active) : null;
  });
}

test('a third person moves a call to the server, and two people move it back', async ({
  person, name, startServer,
}) => {
  test.setTimeout(180_000);
  const server = await startServer({ p2pMax: 2 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben');
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  const cleo = await enters(person, server, name, 'Cleo');
  for (const [viewer, others] of [[ann, ['Ben', 'Cleo']], [ben, ['Ann', 'Cleo']], [cleo, ['Ann', 'Ben']]] as const) {
    for (const other of others) await expectVideo(viewer, other);
    await expectAudio(viewer.page, 2);
  }
  for (const { page } of [ann, ben]) {
    await expect.poll(() => selectedTransports(page), { message: 'one connection, to the server' }).toHaveLength(1);
  }
  await cleo.call.leave.click();
  await ann.call.expectTiles(2);
  await expect
    .poll(async () => (await server.metric('noom_media_connections')), { message: 'no connection is left at the server', timeout: 30_000 })
    .toBe(0);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  await expectAudio(ann.page, 1);
  await cleo.page.close();
});

test('a third person who soon returns does not move the call', async ({ person, name, startServer }) => {
  test.setTimeout(180_000);
  const server = await startServer({ p2pMax: 2 });
  const ann = await person('Ann', { server });
  await paintCamera(ann.page, COLOURS.Ann);
  const received = receivedMessages(ann.page);
  const moves = () => received.filter(({ type }) => type === 'media_mode').map(({ mode }) => mode);
  await ann.entersCall(name);
  const ben = await enters(person, server, name, 'Ben');
  await expectVideo(ann, 'Ben');
  const cleo = await enters(person, server, name, 'Cleo');
  await expectVideo(ann, 'Cleo');
  await expect.poll(() => selectedTransports(ann.page), { message: 'one connection, to the server' }).toHaveLength(1);
  for (let round = 0; round < 2; round += 1) {
    await cleo.call.leave.click();
    await ann.call.expectTiles(2);
    await cleo.room.joinCall.click();
    await ann.call.expectTiles(3);
    for (const other of ['Ben', 'Cleo']) await expectVideo(ann, other);
  }
  // At 20 frames a second: longer than the delay before a call moves back.
  const { frames } = await videoOf(ann, 'Ben');
  await expect
    .poll(async () => (await videoOf(ann, 'Ben')).frames, { message: 'six seconds of video', timeout: 60_000 })
    .toBeGreaterThan(frames + 120);
  expect(moves()).toEqual(['sfu']);
  await cleo.call.leave.click();
  await expect.poll(moves, { message: 'the call moves back', timeout: 30_000 }).toEqual(['sfu', 'p2p']);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
});

test('five people through the server see the right video of each person and hear three voices', async ({
  person, name, startServer,
}) => {
  test.setTimeout(480_000);
  const server = await startServer({ p2pMax: 0 });
  const people: Person[] = [];
  // Small and few pictures: five pages that encode and decode large ones starve two cores, and the
  // server takes their late feedback for a narrow line and pauses pictures.
  for (const nickname of Object.keys(COLOURS)) people.push(await enters(person, server, name, nickname, [320, 180], 10));
  for (const viewer of people) {
    await viewer.call.expectTiles(5);
    for (const other of people.filter((other) => other !== viewer)) await expectVideo(viewer, other.name);
    await expectAudio(viewer.page, 3);
  }
  await expectLipSync(people[4].page);
  await people[0].call.leave.click();
  await expect.poll(() => everythingFreed(people[0].page)).toBe(true);
  await people[1].call.expectTiles(4);
});

test('all people reconnect after the server is killed during a call', async ({ person, name, pageErrors, startServer }) => {
  test.setTimeout(300_000);
  pageErrors.expects(/WebSocket connection to|net::ERR_/);
  const server = await startServer({ p2pMax: 0 });
  const people = [
    await enters(person, server, name, 'Ann'),
    await enters(person, server, name, 'Ben'),
    await enters(person, server, name, 'Cleo'),
  ];
  const all = async () => {
    for (const viewer of people) {
      for (const other of people.filter((other) => other !== viewer)) await expectVideo(viewer, other.name);
      await expectAudio(viewer.page, 2);
    }
  };
  await all();
  for (let round = 0; round < 2; round += 1) {
    await server.kill();
    await server.run();
    for (const viewer of people) await viewer.call.expectTiles(3);
    await all();
  }
});

test('a closed page disappears at once, and a crashed tab after fifteen seconds of silence', async ({
  person, name, startServer,
}) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben');
  const cleo = await enters(person, server, name, 'Cleo');
  await expectVideo(ann, 'Ben');
  await expectVideo(ann, 'Cleo');
  await ben.page.goto('about:blank');
  // Sooner than the 15 s of silence.
  await expect(ann.call.tile('Ben')).toHaveCount(0, { timeout: 8_000 });

  const session = await cleo.context.newCDPSession(cleo.page);
  const crashed = cleo.page.waitForEvent('crash');
  session.send('Page.crash').catch(() => undefined);
  await crashed;
  await expect(ann.call.tile('Cleo')).toHaveCount(0, { timeout: 20_000 });
  await ben.entersCall(name);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
});

test('a broken room connection does not interrupt a call through the server', async ({
  person, name, pageErrors, startServer,
}) => {
  test.setTimeout(150_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer({ p2pMax: 0 });
  const proxy = await TcpProxy.before(server.port);
  const ann = await person('Ann', { server: proxy });
  await paintCamera(ann.page, COLOURS.Ann);
  await ann.entersCall(name);
  const ben = await enters(person, server, name, 'Ben', [1280, 720]);
  await keepsResolution(ben);
  await expectVideo(ann, 'Ben');
  await expectVideo(ben, 'Ann');
  await ann.page.evaluate(() => {
    const said = ((window as any).__said = [] as string[]);
    const look = () => said.push(...[...document.querySelectorAll('.tile__link')].map((sign) => sign.textContent ?? ''));
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const made = await recoveries(ann.page);
  for (let round = 0; round < 3; round += 1) {
    const answered = answersHeard(ann);
    proxy.resetMidFrame();
    // A subscription that is lost with the connection is sent again.
    await ann.page.setViewportSize(round % 2 ? { width: 420, height: 420 } : { width: 1900, height: 1060 });
    await answered;
    await expectVideo(ann, 'Ben');
  }
  await expect.poll(async () => (await videoOf(ann, 'Ben')).height, { message: 'the largest layer', timeout: 60_000 }).toBeGreaterThan(600);
  const said: string[] = await ann.page.evaluate(() => (window as any).__said);
  expect(said.filter((sign) => /connecting/i.test(sign))).toEqual([]);
  expect(await recoveries(ann.page), 'the connection is the same one').toBe(made);
  await ann.call.expectTiles(2);
  proxy.close();
});

test('a larger tile gets a larger layer, and a smaller tile a smaller one', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben', [1280, 720]);
  await keepsResolution(ben);
  await ann.page.setViewportSize({ width: 420, height: 420 });
  await expectVideo(ann, 'Ben');
  await expect.poll(async () => (await videoOf(ann, 'Ben')).height, { message: 'a small layer', timeout: 40_000 }).toBeLessThan(400);
  await ann.page.setViewportSize({ width: 1900, height: 1060 });
  await expect.poll(async () => (await videoOf(ann, 'Ben')).height, { message: 'the largest layer', timeout: 60_000 }).toBeGreaterThan(600);
  await ann.page.setViewportSize({ width: 420, height: 420 });
  await expect.poll(async () => (await videoOf(ann, 'Ben')).height, { message: 'a small layer again', timeout: 40_000 }).toBeLessThan(400);
  await expectVideo(ben, 'Ann');
});

test('a layer that is no longer sent is replaced by a smaller one, and used again when it returns', async ({
  person, name, startServer,
}) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben', [1280, 720]);
  await keepsResolution(ben);
  await ann.page.setViewportSize({ width: 1900, height: 1060 });
  const height = async () => (await videoOf(ann, 'Ben')).height;
  await expect.poll(height, { message: 'the largest layer', timeout: 60_000 }).toBeGreaterThan(600);
  await sendsLargest(ben, false);
  await expect.poll(height, { message: 'a smaller layer', timeout: 10_000 }).toBeLessThan(600);
  await sendsLargest(ben, true);
  await expect.poll(height, { message: 'the largest layer again', timeout: 60_000 }).toBeGreaterThan(600);
});

test('a small camera is seen in full resolution', async ({ person, name, startServer }) => {
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  await enters(person, server, name, 'Ben', [640, 360]);
  await ann.page.setViewportSize({ width: 1900, height: 1060 });
  await expect.poll(async () => (await videoOf(ann, 'Ben')).height, { message: 'all of its lines', timeout: 40_000 }).toBe(360);
});

test('a late joiner sees a camera that had no viewers', async ({ person, name, startServer }) => {
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann', [1280, 720]);
  // Alone until every layer is inactive.
  await expect
    .poll(() => layersOn(ann), { message: 'no layer is encoded without a viewer', timeout: 20_000 })
    .toEqual([]);
  const ben = await enters(person, server, name, 'Ben');
  await expectVideo(ben, 'Ann');
  await expect.poll(() => layersOn(ann), { message: 'the viewed layer is encoded' }).toContain('q');
});

test('a shared screen is seen beside the camera, and disappears when it ends', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben');
  await expectVideo(ben, 'Ann');
  await ann.call.shareScreen.click();
  await expectScreen(ben, 'Ann');
  await expectVideo(ben, 'Ann');
  await ann.call.shareScreen.click();
  await expect(ben.call.screen('Ann')).toHaveCount(0);
  await expectVideo(ben, 'Ann');
});

test('a screen without viewers is not encoded, and a late joiner sees it', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  await ann.call.shareScreen.click();
  await expect.poll(() => screenEncoded(ann), { message: 'not encoded without a viewer', timeout: 30_000 }).toBe(false);
  const ben = await enters(person, server, name, 'Ben');
  await expectScreen(ben, 'Ann');
  expect(await screenEncoded(ann)).toBe(true);
});

test('two screens are seen and heard at once, and disappear when the browser ends them', async ({ person, name, startServer }) => {
  test.setTimeout(180_000);
  const server = await startServer({ p2pMax: 0 });
  const people: Person[] = [];
  for (const nickname of ['Ann', 'Ben', 'Cleo']) {
    const somebody = await person(nickname, { server });
    await paintCamera(somebody.page, COLOURS[nickname]);
    await paintScreen(somebody.page, COLOURS[nickname]);
    await somebody.entersCall(name);
    people.push(somebody);
  }
  const [ann, ben, cleo] = people;
  await expectAudio(cleo.page, 2);
  for (const somebody of [ann, ben]) await somebody.call.shareScreen.click();
  for (const { name } of [ann, ben]) await expectScreen(cleo, name);
  await expectAudio(cleo.page, 4);
  for (const somebody of [ann, ben]) {
    await endScreenByBrowser(somebody.page);
    await expect(cleo.call.screen(somebody.name)).toHaveCount(0);
    await expect(somebody.call.shareScreen).toHaveAttribute('aria-pressed', 'false');
  }
  await expect(cleo.page.locator('audio'), 'two voices are left').toHaveCount(2);
  await expectVideo(cleo, 'Ann');
});

test('connection statistics are shown, and copied as JSON', async ({ person, name, startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await enters(person, server, name, 'Ann');
  const ben = await enters(person, server, name, 'Ben');
  await expectVideo(ann, 'Ben');
  await ann.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await ann.call.settings.click();
  const dialog = ann.page.getByRole('dialog');
  await dialog.getByText('Connection', { exact: true }).click();
  for (const figure of [/UDP/, /\d+ ms/, /VP8 [qhf] · \d+×\d+ · \d+ fps · \d+ kbit\/s/, /opus/i]) {
    await expect(dialog).toContainText(figure, { timeout: 20_000 });
  }
  await dialog.getByRole('button', { name: 'Copy' }).click();
  const copied = () => ann.page.evaluate(() => navigator.clipboard.readText());
  await expect.poll(async () => (await copied()).length, { message: 'something is copied' }).toBeGreaterThan(2);
  const reports = JSON.parse(await copied()).flat();
  expect(new Set(reports.map(({ type }: { type: string }) => type))).toContain('inbound-rtp');
  await ben.call.leave.click();
});

test('a pinned person is larger, and heard in addition to the loudest three', async ({ person, name, startServer }) => {
  test.setTimeout(480_000);
  const server = await startServer({ p2pMax: 0 });
  const people: Person[] = [];
  for (const nickname of Object.keys(COLOURS)) {
    const somebody = await person(nickname, { server });
    await paintCamera(somebody.page, COLOURS[nickname], [320, 180], false, nickname === 'Eve' ? 0.1 : 1, 10);
    await somebody.entersCall(name);
    people.push(somebody);
  }
  const [ann] = people;
  await expectVideo(ann, 'Eve');
  await expectAudio(ann.page, 3);
  const tile = ann.call.tile('Eve');
  const before = (await tile.boundingBox())!;
  await tile.hover();
  await tile.getByRole('button', { name: 'Keep Eve in view' }).click();
  await expectAudio(ann.page, 4);
  const after = (await tile.boundingBox())!;
  expect(after.height).toBeGreaterThan(before.height);
});
