import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from '../support/test.ts';
import { TcpProxy } from '../support/tcp_proxy.ts';
import { ChatClient, verify, wholeLog } from '../support/chat_client.ts';
import type { Server } from '../support/server.ts';

// Short by default; `make chaos` sets CHAOS=long.
const LONG = process.env.CHAOS === 'long';
const ROUNDS = LONG ? 30 : 3;
const ROOMS = LONG ? 10 : 2;
const CLIENTS = LONG ? 200 : 20;
/** Messages of a client per round; a new socket may send forty at once. */
const A_ROUND = LONG ? 30 : 20;
/** Largest allowed resident memory of the server, in KiB. */
const MEMORY_KIB = 300 * 1024;

/** Seeds the random delays, so that a failed run can be repeated. */
const seed = Number(process.env.CHAOS_SEED ?? 1);
const random = ((state: number) => () => {
  state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
  return state / 4_294_967_296;
})(seed);

const memory = (server: Server) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]);

/** Waits until a condition holds; returns the time that took, in ms. */
async function until(holds: () => boolean, what: string, within = 120_000): Promise<number> {
  const start = Date.now();
  while (!holds()) {
    if (Date.now() - start > within) throw new Error(`not within ${within} ms: ${what}`);
    await wait(20);
  }
  return Date.now() - start;
}

/** Every message is acknowledged, and every client's log equals the stored one. Returns the number of messages. */
async function expectComplete(server: Server, clients: ChatClient[]): Promise<number> {
  await until(() => clients.every(({ live, unacknowledged }) => live && unacknowledged.size === 0), 'everything is acknowledged');
  let messages = 0;
  for (const room of new Set(clients.map((client) => client.room))) {
    const log = await wholeLog(server.url, room);
    const inRoom = clients.filter((client) => client.room === room);
    await until(() => inRoom.every((client) => client.log.size >= log.length), 'all clients have caught up');
    expect(verify(inRoom, log), room).toEqual([]);
    messages += log.length;
  }
  return messages;
}

test('acknowledged messages survive random crashes, once and in one order', async ({ startServer }) => {
  test.setTimeout(LONG ? 1_800_000 : 180_000);
  const server = await startServer();
  const clients = Array.from({ length: CLIENTS }, (_, i) => new ChatClient(() => server.url, `room ${i % ROOMS}`, `C${i}`));
  await until(() => clients.every(({ live }) => live), 'all clients have joined');
  const back: number[] = [];
  let peak = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const client of clients) for (let i = 0; i < A_ROUND; i += 1) client.say(`round ${round}, ${i}`);
    await wait(random() * 2_000);
    peak = Math.max(peak, memory(server));
    await server.kill();
    await server.run();
    back.push(await until(() => clients.every(({ live }) => live), 'all clients have resumed'));
  }
  const messages = await expectComplete(server, clients);
  const sum = (of: (client: ChatClient) => number) => clients.reduce((sum, client) => sum + of(client), 0);
  const acknowledged = sum(({ acknowledged }) => acknowledged.size);
  expect(acknowledged).toBe(CLIENTS * A_ROUND * ROUNDS);
  expect(messages).toBe(acknowledged);
  expect(Math.max(peak, memory(server))).toBeLessThan(MEMORY_KIB);
  back.sort((a, b) => a - b);
  console.log(
    `seed ${seed}: ${ROUNDS} kills, ${acknowledged} acknowledged, 0 lost, 0 duplicated; resumed ${sum((c) => c.resumed)}, ` +
      `snapshots ${sum((c) => c.snapshots)}, refused ${sum((c) => c.refused)}; ${CLIENTS} clients live again after ` +
      `${back[Math.floor(back.length / 2)]} ms (median), ${back.at(-1)} ms (worst); peak ${Math.round(peak / 1024)} MiB`,
  );
  for (const client of clients) client.stop();
});

test('connections that break in the middle of a frame lose no message', async ({ startServer }) => {
  test.setTimeout(LONG ? 600_000 : 120_000);
  const server = await startServer();
  const proxy = await TcpProxy.before(server.port);
  const clients = Array.from({ length: 20 }, (_, i) => new ChatClient(() => proxy.url, 'cut', `C${i}`));
  await until(() => clients.every(({ live }) => live), 'all clients have joined');
  for (let round = 0; round < (LONG ? 60 : 6); round += 1) {
    for (const client of clients) for (let i = 0; i < 10; i += 1) client.say(`round ${round}, ${i}`);
    await wait(random() * 1_000);
    proxy.resetMidFrame();
  }
  const messages = await expectComplete(server, clients);
  console.log(`seed ${seed}: ${proxy.resets} connections broken, ${messages} messages, 0 lost, 0 duplicated`);
  for (const client of clients) client.stop();
  proxy.close();
});

test('a half-open connection is noticed, and its client resumes without a gap', async ({ startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer();
  const proxy = await TcpProxy.before(server.port);
  const ann = new ChatClient(() => proxy.url, 'half-open', 'Ann');
  const ben = new ChatClient(() => server.url, 'half-open', 'Ben');
  await until(() => ann.live && ben.live, 'both have joined');
  proxy.blackhole = true;
  ann.say('not delivered yet');
  for (let i = 0; i < 30; i += 1) ben.say(`meanwhile ${i}`);
  const noticed = await until(() => ann.closed.length > 0, 'Ann closes the half-open connection', 25_000);
  proxy.blackhole = false;
  await expectComplete(server, [ann, ben]);
  console.log(`a half-open connection was noticed after ${noticed} ms`);
  ann.stop();
  ben.stop();
  proxy.close();
});

test('a server that is stopped for three seconds continues without loss', async ({ startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer();
  const clients = Array.from({ length: 10 }, (_, i) => new ChatClient(() => server.url, 'still', `C${i}`));
  await until(() => clients.every(({ live }) => live), 'all clients have joined');
  process.kill(server.pid!, 'SIGSTOP');
  for (const client of clients) for (let i = 0; i < 20; i += 1) client.say(`still ${i}`);
  await wait(3_000);
  process.kill(server.pid!, 'SIGCONT');
  expect(await expectComplete(server, clients)).toBe(200);
  for (const client of clients) client.stop();
});

test('a client that reads one kilobyte a second delays no other client, costs little memory, and catches up', async ({ startServer }) => {
  test.setTimeout(360_000);
  const server = await startServer();
  const proxy = await TcpProxy.before(server.port);
  proxy.bytesPerSecond = 1_000;
  const slow = new ChatClient(() => proxy.url, 'slow', 'Slow');
  await until(() => slow.live, 'the slow client has joined');
  const quick = Array.from({ length: 30 }, (_, i) => new ChatClient(() => server.url, 'slow', `Q${i}`));
  await until(() => quick.every(({ live }) => live), 'the quick clients have joined');
  const start = Date.now();
  // More than the socket buffers of both ends and the server's queue hold. Each round waits for
  // the quick clients.
  for (let round = 0; round < 18; round += 1) {
    for (const client of quick) for (let i = 0; i < 2; i += 1) client.say('가'.repeat(4_000));
    await until(() => quick.every(({ unacknowledged }) => unacknowledged.size === 0), 'the quick clients are acknowledged');
  }
  const said = Date.now() - start;
  while ((await server.metric('noom_slow_clients_total')) < 1) await wait(100);
  expect(quick.flatMap(({ closed }) => closed)).toEqual([]);
  expect(memory(server)).toBeLessThan(MEMORY_KIB);
  proxy.bytesPerSecond = Infinity;
  proxy.resetAll();
  const messages = await expectComplete(server, [slow, ...quick]);
  console.log(`${messages} messages of 12 kB said in ${said} ms beside a slow reader; peak ${Math.round(memory(server) / 1024)} MiB`);
  for (const client of [slow, ...quick]) client.stop();
  proxy.close();
});

const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));

test('clock jumps of an hour and a day, forwards and backwards, change no order and close no connection', async ({ startServer }) => {
  test.skip(!FAKETIME, 'libfaketime is not installed');
  test.setTimeout(120_000);
  const clock = join(await mkdtemp(join(tmpdir(), 'noom-clock-')), 'clock');
  await writeFile(clock, '+0\n');
  const server = await startServer({
    env: { LD_PRELOAD: FAKETIME!, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
  });
  const clients = Array.from({ length: 6 }, (_, i) => new ChatClient(() => server.url, 'clock', `C${i}`));
  await until(() => clients.every(({ live }) => live), 'all clients have joined');
  for (const jump of ['+3600', '-3600', '+86400', '-86400', '+0']) {
    await writeFile(clock, `${jump}\n`);
    for (const client of clients) for (let i = 0; i < 5; i += 1) client.say(`${jump}, ${i}`);
    await until(() => clients.every(({ unacknowledged }) => unacknowledged.size === 0), `all messages are acknowledged at ${jump}`);
  }
  // Longer than the 15 s after which a silent connection is closed.
  await wait(17_000);
  expect(await expectComplete(server, clients)).toBe(150);
  const times = (await wholeLog(server.url, 'clock')).map(({ at }) => at);
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2 * 86_000_000);
  expect(clients.flatMap(({ closed }) => closed)).toEqual([]);
  for (const client of clients) client.stop();
});

test('control: loss, duplicates and wrong order are reported', () => {
  const log = [{ seq: 1, id: 'a' }, { seq: 2, id: 'b' }];
  const client = () => {
    const client = new ChatClient(() => 'http://127.0.0.1:1', 'r', 'C');
    client.stop();
    for (const { seq, id } of log) client.log.set(seq, id);
    client.acknowledged.set('a', 1);
    return client;
  };
  expect(verify([client()], log)).toEqual([]);
  expect(verify([client()], log.slice(1)).join()).toContain('acknowledged');
  expect(verify([client()], [...log, { seq: 3, id: 'a' }]).join()).toContain('twice');
  expect(verify([client()], [{ seq: 1, id: 'b' }, { seq: 2, id: 'a' }]).join()).toContain('received');
  const short = client();
  short.log.delete(2);
  expect(verify([short], log).join()).toContain('knows 1 of 2');
});
