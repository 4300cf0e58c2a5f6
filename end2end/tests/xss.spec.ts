import { readFileSync } from 'node:fs';
import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** One attack per entry; each must appear as typed, but for the syntax of Markdown, and run nothing. */
const CORPUS: string[] = JSON.parse(readFileSync(new URL('../corpus/xss.json', import.meta.url), 'utf8'));
/** Names have one line. */
const LINES = CORPUS.filter((text) => !text.includes('\n'));
const NICKNAMES = LINES.filter((text) => [...text].length <= 32);
/** Attacks in room names, cut to the limit of 64 characters. */
const ROOMS = LINES.map((text) => [...text].slice(0, 64).join('').trim());
/** What one socket may send at once (docs/protocol.md, limits): each writer stays below it. */
const BURST = 40;

/** The text of a message without the syntax of its marks (docs/protocol.md). */
function shownText({ text, marks = [] }: { text: string; marks?: [number, number, string][] }): string {
  const syntax = marks.filter(([, , kind]) => kind === 'syntax').reverse();
  return syntax.reduce((rest, [start, end]) => rest.slice(0, start) + rest.slice(end), text);
}

const injectedValue = (page: import('@playwright/test').Page) => page.evaluate(() => (window as any).__xss);

test('control: the corpus has a hundred attacks', () => {
  expect(CORPUS.length).toBeGreaterThanOrEqual(100);
  expect(NICKNAMES.length).toBeGreaterThanOrEqual(40);
});

test('every attack in a message appears as typed, live and in the HTML, and runs nothing', async ({ person, name, server }) => {
  test.setTimeout(180_000);
  const reader = await person('Ann');
  await reader.entersRoom(name);
  const writers: ProtocolClient[] = [];
  while (writers.length * BURST <= CORPUS.length) writers.push(await ProtocolClient.join(server, name, `Mallory ${writers.length}`));
  const texts: string[] = [];
  for (const [i, text] of CORPUS.entries()) {
    const copy = await writers[i % writers.length].sendChat(text);
    expect(copy.type, text).toBe('chat');
    expect(copy.text).toBe(text);
    texts.push(shownText(copy));
  }
  await reader.room.sees(CORPUS.at(-1)!);
  const shown = await reader.room.log.evaluate((log) => log.textContent ?? '');
  for (const text of texts) expect(shown).toContain(text);
  await reader.page.reload();
  await reader.room.sees(CORPUS.at(-1)!);
  const again = await reader.room.log.evaluate((log) => log.textContent ?? '');
  for (const text of texts.slice(-40)) expect(again).toContain(text);
  expect(await injectedValue(reader.page)).toBeUndefined();
  await expect(reader.room.log.locator('img, script, iframe, object, embed, style, form, input')).toHaveCount(0);
  for (const href of await reader.room.log.getByRole('link').evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).protocol))) {
    expect(['http:', 'https:']).toContain(href);
  }
  for (const writer of writers) writer.close();
});

test('attacks typed into the form arrive as typed', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  for (const text of CORPUS.slice(0, 20)) {
    await ann.room.says(text);
    await expect(ben.room.log).toContainText(text);
  }
  expect(await injectedValue(ben.page)).toBeUndefined();
});

test('every attack as a nickname appears as typed and runs nothing', async ({ person, name, server }) => {
  test.setTimeout(180_000);
  const reader = await person('Ann');
  await reader.entersRoom(name);
  for (const nickname of NICKNAMES) {
    const mallory = await ProtocolClient.join(server, name, nickname);
    expect(mallory.messages.map(({ type }) => type), nickname).toContain('joined');
    await mallory.sendChat('hello');
    await expect(reader.room.people).toContainText(nickname);
    mallory.close();
  }
  const log = await reader.room.log.evaluate((element) => element.textContent ?? '');
  for (const nickname of NICKNAMES) expect(log).toContain(nickname);
  expect(await injectedValue(reader.page)).toBeUndefined();

  // The same in the HTML of the server.
  await reader.page.reload();
  await reader.room.expectLive();
  expect(await injectedValue(reader.page)).toBeUndefined();
});

test('attacks as a nickname in the URL run nothing', async ({ person, name }) => {
  for (const nickname of NICKNAMES.slice(0, 6)) {
    const ann = await person(nickname);
    await ann.entersRoom(name);
    await expect(ann.room.people).toContainText(/you/i);
    expect(await injectedValue(ann.page)).toBeUndefined();
    await ann.page.close();
  }
});

test('every attack as a room name appears as typed, in the room and in the list of rooms', async ({ person, server }) => {
  test.setTimeout(240_000);
  const [ann, watcher] = [await person('Ann'), await person('Eve')];
  await watcher.welcome.open();
  for (const room of ROOMS) {
    await ann.page.goto(roomPath(room) + ann.query);
    await expect(ann.room.heading).toContainText(room);
  }
  expect(await injectedValue(ann.page)).toBeUndefined();
  const sockets: ProtocolClient[] = [];
  for (const room of ROOMS.slice(0, 20)) sockets.push(await ProtocolClient.join(server, room, 'Mallory'));
  for (const room of ROOMS.slice(0, 20)) await expect(watcher.welcome.openRooms).toContainText(room);
  await watcher.page.reload();
  for (const room of ROOMS.slice(0, 20)) await expect(watcher.welcome.openRooms).toContainText(room);
  expect(await injectedValue(watcher.page)).toBeUndefined();
  for (const socket of sockets) socket.close();
});
