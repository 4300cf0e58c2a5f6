import { expect, test, type Person } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { expectFlow } from '../support/rtc.ts';
import type { Server } from '../support/server.ts';

let proxies: HttpProxy[] = [];

/** The network of one person, as a proxy. */
async function network(server: Server): Promise<HttpProxy> {
  const proxy = await HttpProxy.before(server);
  proxies.push(proxy);
  return proxy;
}

test.afterEach(async () => {
  for (const proxy of proxies) await proxy.stop();
  proxies = [];
});

/** Two people send these texts in turn; each sees every text exactly once. */
async function talk(one: Person, other: Person, texts: string[]): Promise<void> {
  for (const [index, text] of texts.entries()) {
    const [speaker, listener] = index % 2 === 0 ? [one, other] : [other, one];
    await speaker.room.says(text);
    await listener.room.sees(text);
  }
  for (const somebody of [one, other]) {
    for (const text of texts) await expect(somebody.room.said(text)).toHaveCount(1);
    await somebody.room.expectPeople(2);
  }
}

test('two people chat where WebSocket is blocked', async ({ person, name, pageErrors, server }) => {
  pageErrors.expects(CONNECTION_LOST);
  const blocked = await network(server);
  blocked.block();
  const ann = await person('Ann', { server: blocked });
  const ben = await person('Ben');
  await ben.entersRoom(name);
  const start = Date.now();
  await ann.entersRoom(name);
  expect(Date.now() - start, 'long polling starts without waiting for a WebSocket').toBeLessThan(8_000);
  await expect(ann.room.banner).toBeHidden();
  await talk(ann, ben, ['안녕하세요', 'hello', 'one', 'two', 'three', 'four']);
  expect(blocked.sockets).toBe(0);
  expect(blocked.polls).toBeGreaterThan(0);

  // Leaving shows at once.
  await ann.room.leave.click();
  await ben.room.expectPeople(1);
});

test('a call works where WebSocket is blocked', async ({ person, name, pageErrors, server }) => {
  pageErrors.expects(CONNECTION_LOST);
  const blocked = await network(server);
  blocked.block();
  const [ann, ben] = [await person('Ann', { server: blocked }), await person('Ben')];
  await ben.entersCall(name);
  await ann.entersCall(name);
  for (const somebody of [ann, ben]) {
    await somebody.call.expectTiles(2);
    await expectFlow(somebody.page, 1);
  }
  await ann.call.microphone.click();
  await ben.call.expectSays('Ann', /muted|microphone off/i);
  expect(blocked.sockets).toBe(0);
});

test('two people on long polling lose and duplicate no message when responses are lost', async ({
  person, name, pageErrors, server,
}) => {
  pageErrors.expects(CONNECTION_LOST, /status of 502/, /^answer 502/);
  const blocked = await network(server);
  blocked.block();
  const [ann, ben] = [await person('Ann', { server: blocked }), await person('Ben', { server: blocked })];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  blocked.losing = 2;
  await talk(ann, ben, ['one', 'two', 'three', 'four']);
  expect(blocked.losing).toBe(0);
  await ann.room.renames('Annabel');
  await expect(ben.room.person('Annabel')).toBeVisible();
});

test('long polling replaces a broken WebSocket until the WebSocket works again', async ({
  person, name, pageErrors, server,
}) => {
  pageErrors.expects(CONNECTION_LOST);
  const proxy = await network(server);
  const ann = await person('Ann', { server: proxy });
  const ben = await person('Ben');
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await talk(ann, ben, ['by socket', 'heard by socket']);
  expect(proxy.polls).toBe(0);

  proxy.block();
  await ann.room.says('sent into the gap');
  await ben.room.says('and from outside');
  await ben.room.sees('sent into the gap');
  await ann.room.sees('and from outside');
  await expect(ann.room.banner).toBeHidden();
  await talk(ann, ben, ['by polling', 'heard by polling']);
  expect(proxy.polls).toBeGreaterThan(0);

  proxy.blocked = false;
  await ann.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await expect.poll(() => proxy.sockets).toBe(1);
  await talk(ann, ben, ['by socket again', 'heard by socket again']);
  await expect.poll(() => pollsWithin(proxy, 2_000)).toBe(0);
  for (const text of ['sent into the gap', 'and from outside']) {
    for (const somebody of [ann, ben]) await expect(somebody.room.said(text)).toHaveCount(1);
  }
  await expect(ben.room.notice('Ann left')).toHaveCount(0);
});

test('a WebSocket is retried without a user action', async ({ person, name, pageErrors, server }) => {
  pageErrors.expects(CONNECTION_LOST);
  const proxy = await network(server);
  proxy.block();
  const ann = await person('Ann', { server: proxy });
  const ben = await person('Ben');
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  proxy.blocked = false;
  // The first retry comes within 7.5 s. Both chat meanwhile.
  for (let n = 0; proxy.sockets === 0 && n < 40; n += 1) {
    await talk(ann, ben, [`from Ann ${n}`, `from Ben ${n}`]);
    await ann.page.waitForTimeout(300);
  }
  await expect.poll(() => proxy.sockets).toBe(1);
  await talk(ann, ben, ['after the move', 'seen after the move']);
  await expect(ann.room.banner).toBeHidden();
});

test('a tab on long polling keeps its membership over a reload and loses it when closed', async ({
  person, name, pageErrors, server,
}) => {
  pageErrors.expects(CONNECTION_LOST);
  const blocked = await network(server);
  blocked.block();
  const ann = await person('Ann', { server: blocked });
  const ben = await person('Ben');
  await ben.entersRoom(name);
  await ann.entersRoom(name);
  await ann.page.reload();
  await ann.room.expectLive();
  await ben.room.expectPeople(2);
  await expect(ben.room.notice('Ann left')).toHaveCount(0);
  await talk(ann, ben, ['still me', 'still you']);
  await ann.page.close({ runBeforeUnload: false });
  await ben.room.expectPeople(1);
});

/** Counts the requests to `/poll` within a time, in ms. */
async function pollsWithin(proxy: HttpProxy, milliseconds: number): Promise<number> {
  const before = proxy.polls;
  await new Promise((done) => setTimeout(done, milliseconds));
  return proxy.polls - before;
}
