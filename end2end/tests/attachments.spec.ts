import { AxeBuilder } from '@axe-core/playwright';
import type { Locator, Page } from '@playwright/test';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test, type Person } from '../support/test.ts';
import { read } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import { gradient } from '../support/gradient.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import type { Server } from '../support/server.ts';

const CORPUS: string[] = JSON.parse(readFileSync(new URL('../corpus/xss.json', import.meta.url), 'utf8'));
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** The parts of the chat that concern files, by their accessible names. */
function filesOf({ page, room, locale }: Person) {
  return {
    words: read(locale, 'files'),
    card: (name: string) => room.log.getByRole('link').filter({ hasText: name }),
    picture: (name: string) => room.log.getByRole('img', { name, exact: true }),
    dialog: page.getByRole('dialog'),
  };
}

/** The bytes that a link saves. */
async function saved(page: Page, press: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const download = page.waitForEvent('download');
  await press();
  const file = await download;
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

/** Uploads a file without a browser; returns its id. */
async function upload(server: Server, room: string, session: string, name: string, bytes: Buffer): Promise<string> {
  const headers = { 'tus-resumable': '1.0.0', 'noom-session': session };
  const begun = await fetch(`${server.url}/uploads/${encodeURIComponent(room)}`, {
    method: 'POST',
    headers: { ...headers, 'upload-length': String(bytes.length), 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` },
  });
  expect(begun.status, name).toBe(201);
  const sent = await fetch(server.url + begun.headers.get('location'), {
    method: 'PATCH',
    headers: { ...headers, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: new Uint8Array(bytes),
  });
  expect(sent.status, name).toBe(204);
  return (await begun.json()).id;
}

/** Sends a message with files without a browser; returns the room's copy. */
async function sends(client: ProtocolClient, text: string, files: string[]) {
  const id = randomUUID();
  client.send({ type: 'chat', id, text, files });
  return client.next((message) => message.id === id);
}

const sessionOf = (client: ProtocolClient): string => client.messages.find(({ type }) => type === 'joined')!.session;

async function expectNoViolations(somebody: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page: somebody.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

const focused = (locator: Locator) => locator.evaluate((element) => element === document.activeElement || element.contains(document.activeElement));

for (const [locale, colorScheme] of [['en', 'light'], ['ko', 'dark']] as const) {
  test(`a picture opens in a dialog and a file is saved by its card: ${locale}, ${colorScheme}`, async ({ person, name, server }) => {
    test.setTimeout(120_000);
    const ann = await person('Ann', { locale, context: { colorScheme } });
    await ann.entersRoom(name);
    const seen = filesOf(ann);
    const ben = await ProtocolClient.join(server, name, 'Ben');
    const plan = randomBytes(40_000);
    const files = [
      await upload(server, name, sessionOf(ben), 'holiday.png', await gradient(ann.page, 'image/png', 800, 600)),
      await upload(server, name, sessionOf(ben), `${'long name '.repeat(8)}plan.pdf`, plan),
      await upload(server, name, sessionOf(ben), '한글 문서.hwp', randomBytes(5)),
    ];
    const copy = await sends(ben, 'from Busan', files);
    await expect(seen.picture('holiday.png')).toHaveJSProperty('naturalWidth', 800);
    await expect(seen.card('plan.pdf')).toContainText('PDF · 39 KB');
    await expect(seen.card('한글')).toContainText('HWP · 5 B');
    await expectNoViolations(ann, 'files in the log');
    await ann.page.screenshot({ path: test.info().outputPath('log.png') });
    const desktop = ann.page.viewportSize()!;
    await ann.page.setViewportSize({ width: 360, height: 640 });
    expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await expect.poll(async () => (await seen.card('plan.pdf').boundingBox())!.width).toBeLessThanOrEqual(360);
    await ann.page.screenshot({ path: test.info().outputPath('log-phone.png') });
    await ann.page.setViewportSize(desktop);

    const link = ann.room.log.getByRole('link', { name: 'holiday.png' });
    await link.focus();
    await ann.page.keyboard.press('Enter');
    await expect(seen.dialog).toBeVisible();
    await expect(seen.dialog.getByRole('img')).toHaveJSProperty('naturalWidth', 800);
    await expectNoViolations(ann, 'the dialog with a picture');
    await ann.page.screenshot({ path: test.info().outputPath('dialog.png') });
    const picture = await saved(ann.page, () => seen.dialog.getByRole('link', { name: seen.words.download }).click());
    expect(picture.name).toBe('holiday.png');
    await ann.page.keyboard.press('Escape');
    await expect(seen.dialog).toBeHidden();
    expect(await focused(link)).toBe(true);

    const file = await saved(ann.page, () => seen.card('plan.pdf').click());
    expect(file.name).toMatch(/plan\.pdf$/);
    expect(sha256(file.bytes)).toBe(sha256(plan));

    // The HTML of the server shows the same, and a search by name finds the message.
    await ann.page.reload();
    await ann.room.expectLive();
    await expect(seen.picture('holiday.png')).toBeVisible();
    await ann.room.search.fill('plan.pdf');
    await ann.room.search.press('Enter');
    await expect(ann.page.locator('.found__item')).toHaveCount(1);
    await expect(ann.page.locator('.found__item')).toContainText('plan.pdf');
    await expectNoViolations(ann, 'files in a search');
    await ann.page.goBack();

    ben.send({ type: 'delete', id: copy.id });
    await expect(seen.card('plan.pdf')).toHaveCount(0);
    await expect(seen.picture('holiday.png')).toHaveCount(0);
    expect((await fetch(server.url + copy.files[0].url)).status).toBe(404);
    ben.close();
  });
}

test('pictures do not move the log while they load', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await ann.page.goto('/');
  const ben = await ProtocolClient.join(server, name, 'Ben');
  for (const [width, height] of [[1600, 900], [300, 1200], [60, 40]]) {
    const picture = await gradient(ann.page, 'image/png', width, height);
    await sends(ben, `${width} by ${height}`, [await upload(server, name, sessionOf(ben), `${width}.png`, picture)]);
  }
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await ann.page.route('**/files/**', async (route) => {
    await held;
    await route.continue();
  });
  await ann.page.addInitScript(() => {
    (window as any).__shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as any[]) (window as any).__shifts += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await ann.page.goto(roomPath(name) + ann.query, { waitUntil: 'commit' });
  await ann.room.expectLive();
  const pictures = ann.room.log.getByRole('img');
  await expect(pictures).toHaveCount(3);
  const boxes = () => pictures.evaluateAll((all) => all.map((img) => [img.getBoundingClientRect().width, img.getBoundingClientRect().height]));
  const before = await boxes();
  const shifts = await ann.page.evaluate(() => (window as any).__shifts);
  release();
  await expect.poll(() => pictures.evaluateAll((all) => all.every((img) => (img as HTMLImageElement).naturalWidth > 0))).toBe(true);
  expect(before.map(([width, height]) => [Math.round(width), Math.round(height)])).toEqual([[400, 225], [80, 320], [60, 40]]);
  for (const [i, [width, height]] of (await boxes()).entries()) {
    expect(Math.abs(width - before[i][0])).toBeLessThan(1);
    expect(Math.abs(height - before[i][1])).toBeLessThan(1);
  }
  expect(await ann.page.evaluate(() => (window as any).__shifts)).toBe(shifts);
  ben.close();
});

test('without JavaScript pictures and cards are shown and saved', async ({ person, name, server }) => {
  const ann = await person('Ann', { context: { javaScriptEnabled: false } });
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const painter = await person('Cleo');
  await painter.page.goto('/');
  const plan = randomBytes(5_000);
  const files = [
    await upload(server, name, sessionOf(ben), 'holiday.png', await gradient(painter.page, 'image/png', 80, 60)),
    await upload(server, name, sessionOf(ben), 'plan.pdf', plan),
  ];
  await sends(ben, '', files);
  await ann.page.goto(roomPath(name));
  const seen = filesOf(ann);
  await expect(seen.picture('holiday.png')).toBeVisible();
  const file = await saved(ann.page, () => seen.card('plan.pdf').click());
  expect(sha256(file.bytes)).toBe(sha256(plan));
  ben.close();
});

test('every attack as the name of a file appears as text and runs nothing', async ({ person, name, server }) => {
  test.setTimeout(180_000);
  const reader = await person('Ann');
  await reader.entersRoom(name);
  const mallory = await ProtocolClient.join(server, name, 'Mallory');
  const names: string[] = [];
  for (let at = 0; at < CORPUS.length; at += 10) {
    const files: string[] = [];
    for (const text of CORPUS.slice(at, at + 10)) files.push(await upload(server, name, sessionOf(mallory), text, Buffer.from('x')));
    const copy = await sends(mallory, '', files);
    expect(copy.type).toBe('chat');
    names.push(...copy.files.map((file: { name: string }) => file.name));
  }
  for (const live of [true, false]) {
    if (!live) await reader.page.reload();
    await expect(reader.room.log.locator('.file__name')).toHaveCount(CORPUS.length);
    expect(await reader.room.log.locator('.file__name').allTextContents()).toEqual(names);
    await expect(reader.room.log.locator('img, script, iframe, object, embed, style, form, input')).toHaveCount(0);
    const links = await reader.room.log.getByRole('link').evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).href));
    expect(links).toHaveLength(CORPUS.length);
    for (const link of links) expect(link.startsWith(`${server.url}/files/`), link).toBe(true);
    expect(await reader.page.evaluate(() => (window as any).__xss)).toBeUndefined();
  }
  mallory.close();
});
