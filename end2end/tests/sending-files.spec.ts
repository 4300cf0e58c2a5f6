import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { expect, test, type Person } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { TcpProxy } from '../support/tcp_proxy.ts';
import { Attaching, type Made } from '../pages/attaching.ts';
import { filled, read } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import { gradient } from '../support/gradient.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

const MIB = 1024 * 1024;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const file = (name: string, size = 3_000, mimeType = 'application/octet-stream'): Made => ({ name, mimeType, buffer: randomBytes(size) });

/** The photo of a camera that was turned: orientation 6, a place, and a name that can be searched for. */
function asByCamera(jpeg: Buffer): Buffer {
  const tiff = Buffer.alloc(160);
  tiff.write('II*\0', 0, 'latin1');
  tiff.writeUInt32LE(8, 4);
  // Two entries: the orientation and the directory of the place.
  tiff.writeUInt16LE(2, 8);
  const entry = (at: number, tag: number, type: number, count: number, value: number) => {
    tiff.writeUInt16LE(tag, at);
    tiff.writeUInt16LE(type, at + 2);
    tiff.writeUInt32LE(count, at + 4);
    tiff.writeUInt32LE(value, at + 8);
  };
  entry(10, 0x0112, 3, 1, 6);
  entry(22, 0x8825, 4, 1, 40);
  tiff.writeUInt16LE(2, 40);
  entry(42, 0x0001, 2, 2, 0x4e);
  entry(54, 0x0002, 5, 3, 80);
  for (const [i, [top, bottom]] of [[37, 1], [33, 1], [5_999, 100]].entries()) {
    tiff.writeUInt32LE(top, 80 + 8 * i);
    tiff.writeUInt32LE(bottom, 84 + 8 * i);
  }
  tiff.write('HOME-ADDRESS', 120, 'latin1');
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length + 2);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1]), length, body, jpeg.subarray(2)]);
}

/** The bytes of a file in the log, as a browser saves them. */
async function saved({ page, room }: Person, name: string): Promise<Buffer> {
  const link = room.log.getByRole('link').filter({ hasText: name }).or(room.log.getByRole('link', { name, exact: true }));
  const href = await link.first().getAttribute('href');
  const base64 = await page.evaluate(async (href) => {
    const bytes = new Uint8Array(await (await fetch(href!)).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  }, href);
  return Buffer.from(base64, 'base64');
}

async function expectNoViolations({ page }: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect.soft(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`), where).toEqual([]);
}

/** Holds the parts of uploads back until `release` is called. */
async function holdsParts(page: Page): Promise<{ release: () => void }> {
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await page.route('**/uploads/**', async (route) => {
    if (route.request().method() === 'PATCH') await held;
    await route.continue().catch(() => undefined);
  });
  return { release };
}

for (const [locale, colorScheme] of [['en', 'light'], ['ko', 'dark']] as const) {
  test(`chosen files are shown, sent with a text, and saved by others: ${locale}, ${colorScheme}`, async ({ person, name }) => {
    const ann = await person('Ann', { locale, context: { colorScheme } });
    const ben = await person('Ben');
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    const attaching = new Attaching(ann);
    const [plan, notes] = [file('plan.pdf', 2 * MIB, 'application/pdf'), file(`${'아주 긴 이름 '.repeat(12)}.txt`, 900)];
    await ann.page.setViewportSize({ width: 360, height: 640 });
    await attaching.picks([plan, notes, { name: 'sea.jpg', mimeType: 'image/jpeg', buffer: await gradient(ann.page, 'image/jpeg', 400, 300) }]);
    await attaching.expectArrived('plan.pdf', '아주 긴', 'sea.webp');
    await expect(attaching.chip('plan.pdf')).toContainText('2 MB');
    await expect(attaching.chip('sea.webp').locator('img')).toHaveJSProperty('naturalWidth', 400);
    expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await ann.page.screenshot({ path: test.info().outputPath('phone.png') });
    await ann.page.setViewportSize({ width: 1280, height: 720 });
    await expectNoViolations(ann, 'files of the next message');
    await ann.page.screenshot({ path: test.info().outputPath('desktop.png') });
    await ann.room.message.fill('for you');
    await ann.room.send.click();
    await expect(attaching.list).toBeHidden();
    await expect(ann.room.message).toHaveValue('');
    await ben.room.sees('for you');
    await expect(ben.room.log.getByRole('img', { name: 'sea.webp', exact: true })).toHaveJSProperty('naturalWidth', 400);
    expect(sha256(await saved(ben, 'plan.pdf'))).toBe(sha256(plan.buffer));
    expect(sha256(await saved(ben, '아주 긴'))).toBe(sha256(notes.buffer));
  });
}

test('pasted and dropped files are attached, and a message may have nothing else', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const shot = { name: 'image.png', mimeType: 'image/png', buffer: Buffer.from('not a picture') };
  await attaching.transfers('paste', shot);
  await attaching.expectArrived('image.png');
  // What cannot be decoded is sent as it is, and the page says so.
  await expect(attaching.chip('image.png')).toContainText(attaching.words.keeps_metadata);
  await expect(attaching.drop).toBeHidden();
  await attaching.transfers('drag', file('dropped.bin'));
  await expect(attaching.drop).toBeVisible();
  await attaching.transfers('drop', file('dropped.bin'));
  await expect(attaching.drop).toBeHidden();
  await attaching.expectArrived('dropped.bin');
  // Ten files stay; the page says that there are no more.
  for (let more = 0; more < 9; more += 1) await attaching.transfers('drop', file(`more ${more}.bin`, 10));
  await expect(ann.page.getByRole('alert').filter({ hasText: filled(attaching.words.too_many, { max: '10' }) })).toBeVisible();
  await expect(attaching.list.getByRole('listitem')).toHaveCount(10);
  await attaching.expectArrived('more 7.bin');
  await ann.room.message.press('Enter');
  await expect(attaching.list).toBeHidden();
  await expect(ann.room.log.locator('.file__name')).toHaveCount(10);
});

test('a photo loses its place and keeps its pixels, upright', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const taken = asByCamera(await gradient(ann.page, 'image/jpeg', 640, 360));
  expect(taken.includes('HOME-ADDRESS') && taken.includes('Exif')).toBe(true);
  await attaching.picks([{ name: 'IMG_1.JPG', mimeType: 'image/jpeg', buffer: taken }]);
  await attaching.expectArrived('IMG_1.webp');
  await ann.room.message.press('Enter');
  const picture = ann.room.log.getByRole('img', { name: 'IMG_1.webp', exact: true });
  // Turned by a quarter: the width is the height of the sensor.
  await expect(picture).toHaveJSProperty('naturalWidth', 360);
  await expect(picture).toHaveJSProperty('naturalHeight', 640);
  const sent = await saved(ann, 'IMG_1.webp');
  expect(sent.subarray(8, 12).toString()).toBe('WEBP');
  for (const trace of ['HOME-ADDRESS', 'Exif', 'EXIF', 'XMP ']) expect(sent.includes(trace), trace).toBe(false);
  // Red is on the left of the sensor, which is the top of the picture.
  const [top, bottom] = await picture.evaluate((img: HTMLImageElement) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    const context = canvas.getContext('2d', { willReadFrequently: true })!;
    context.drawImage(img, 0, 0);
    return [10, img.naturalHeight - 10].map((y) => [...context.getImageData(180, y, 1, 1).data]);
  });
  expect(top[0]).toBeGreaterThan(200);
  expect(bottom[2]).toBeGreaterThan(200);
});

test('an upload continues after a cut line, where it was', async ({ person, name, pageErrors, startServer }) => {
  test.setTimeout(120_000);
  pageErrors.expects(CONNECTION_LOST, /request failed: \w+ .*\/uploads\//, /Failed to load resource/);
  const server = await startServer();
  const proxy = await TcpProxy.before(server.port);
  const ann = await person('Ann', { server: proxy });
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const requests: string[] = [];
  ann.page.on('request', (request) => {
    if (request.url().includes('/uploads/')) requests.push(request.method());
  });
  // The server has the part and the page does not know: it has to ask, also if the browser has sent the
  // part once more by itself.
  let stored = 0;
  let cuts = 0;
  proxy.losesAnswer = (bytes) => {
    if (!bytes.subarray(0, 12).equals(Buffer.from('HTTP/1.1 204'))) return false;
    stored += 1;
    const lost = stored === 3 || stored === 6;
    if (lost) cuts += 1;
    return lost;
  };
  const film = file('film.bin', 8 * MIB);
  // From the disk: a buffer would be sent to the browser as text.
  const path = test.info().outputPath('film.bin');
  writeFileSync(path, film.buffer);
  await attaching.picks(path);
  await attaching.expectArrived('film.bin');
  expect(cuts).toBe(2);
  expect(requests.filter((one) => one === 'POST')).toHaveLength(1);
  expect(requests).toContain('HEAD');
  await ann.room.message.press('Enter');
  await expect(ann.room.log.getByRole('link').filter({ hasText: 'film.bin' })).toBeVisible();
  expect(sha256(await saved(ann, 'film.bin'))).toBe(sha256(film.buffer));
  proxy.close();
});

test('Send waits for the files, and a removed file is ended and not sent', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const parts = await holdsParts(ann.page);
  await attaching.picks([file('kept.bin'), file('removed.bin')]);
  await expect(attaching.list.getByRole('progressbar')).toHaveCount(2);
  await ann.room.message.fill('with a file');
  await ann.room.message.press('Enter');
  await expect(ann.page.getByText(attaching.words.sends)).toBeVisible();
  await expect(ann.room.message).toHaveJSProperty('readOnly', true);
  await expect(ann.room.said('with a file')).toHaveCount(0);
  await ann.page.getByRole('button', { name: attaching.words.stop, exact: true }).click();
  await expect(ann.room.message).toHaveJSProperty('readOnly', false);
  await ann.room.message.fill('with one file');
  await ann.room.send.click();
  const ended = ann.page.waitForRequest((request) => request.method() === 'DELETE');
  await attaching.remove('removed.bin').click();
  expect((await (await ended).response())?.status()).toBe(204);
  await expect(attaching.chip('removed.bin')).toHaveCount(0);
  parts.release();
  await ann.room.sees('with one file');
  await expect(ann.room.log.locator('.file__name')).toHaveText(['kept.bin']);
  await expect(attaching.list).toBeHidden();
});

test('a file that is too large or refused says why, and a retry sends it', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(/status of 507/, /^answer 507/);
  const server = await startServer({ env: { NOOM_MAX_FILE_SIZE: '102400' } });
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const asked: string[] = [];
  ann.page.on('request', (request) => request.url().includes('/uploads/') && asked.push(request.method()));
  await attaching.picks([file('large.bin', 100 * 1024 + 1)]);
  await expect(attaching.chip('large.bin')).toContainText(filled(attaching.words.too_large, { size: '100 KB' }));
  await expect(attaching.retry('large.bin')).toHaveCount(0);
  await ann.room.message.fill('look');
  await ann.room.message.press('Enter');
  await expect(ann.page.getByRole('alert').filter({ hasText: attaching.words.some_failed })).toBeVisible();
  await expect(ann.room.message).toHaveValue('look');
  expect(asked).toEqual([]);
  await attaching.remove('large.bin').click();

  await ann.page.route('**/uploads/*', (route) => route.fulfill({ status: 507, headers: { 'noom-refusal': 'room_storage_full' } }), { times: 1 });
  await attaching.picks([file('small.bin', 100 * 1024)]);
  await expect(attaching.chip('small.bin')).toContainText(attaching.words.room_full);
  await expectNoViolations(ann, 'a refused file');
  await attaching.retry('small.bin').click();
  await attaching.expectArrived('small.bin');
  await ann.room.message.press('Enter');
  await ann.room.sees('look');
  await expect(ann.room.log.locator('.file__name')).toHaveText(['small.bin']);
});

test('whoever may not send files reads why', async ({ person, name, startServer }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const ben = await person('Ben');
  await ben.entersRoom(name);
  const attaching = new Attaching(ben);
  await expect(attaching.button).not.toHaveAttribute('aria-disabled');
  await ann.room.says('/role Ben viewer');
  await expect(attaching.button).toHaveAttribute('aria-disabled', 'true');
  await expect(attaching.button).toHaveAccessibleDescription(attaching.words.role);
  await attaching.button.focus();
  await ben.page.keyboard.press('Enter');
  await expect(ben.page.getByRole('alert').filter({ hasText: attaching.words.role })).toBeVisible();
  await attaching.transfers('drop', file('dropped.bin'));
  await expect(attaching.list).toBeHidden();
  await expectNoViolations(ben, 'a viewer');

  const server = await startServer({ env: { NOOM_MAX_FILE_SIZE: 'off' } });
  const cleo = await person('Cleo', { server });
  await cleo.entersRoom(name);
  await expect(new Attaching(cleo).button).toHaveAccessibleDescription(attaching.words.off);
});

test('a reload keeps the files that have arrived and names those that are lost', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  await attaching.picks([file('here.bin')]);
  await attaching.expectArrived('here.bin');
  await holdsParts(ann.page);
  await attaching.picks([file('lost.bin')]);
  await expect(attaching.list.getByRole('progressbar')).toHaveCount(1);
  await ann.page.reload();
  await ann.room.expectLive();
  await attaching.expectArrived('here.bin');
  await expect(attaching.chip('lost.bin')).toContainText(attaching.words.gone);
  await expect(attaching.retry('lost.bin')).toHaveCount(0);
  await attaching.remove('lost.bin').click();
  await ann.room.message.press('Enter');
  await expect(ann.room.log.locator('.file__name')).toHaveText(['here.bin']);
});

test('a message whose uploads the server has lost comes back, and its files are uploaded again', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  const plan = file('plan.bin', MIB);
  await attaching.picks([plan]);
  await attaching.expectArrived('plan.bin');
  await server.kill();
  await server.run();
  await ann.room.message.fill('the plan');
  await ann.room.message.press('Enter');
  const failed = ann.page.getByRole('alert').filter({ hasText: attaching.words.refused_gone });
  await expect(failed).toBeVisible({ timeout: 30_000 });
  await failed.getByRole('button', { name: read('en', 'room').retry, exact: true }).click();
  await expect(ann.room.message).toHaveValue('the plan');
  await attaching.expectArrived('plan.bin');
  await ann.room.message.press('Enter');
  await expect(ann.room.said('the plan')).toHaveCount(1);
  await expect(ann.room.log.getByRole('link').filter({ hasText: 'plan.bin' })).toBeVisible();
  expect(sha256(await saved(ann, 'plan.bin'))).toBe(sha256(plan.buffer));
});

test('files are attached by the keyboard alone, and by a command', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const attaching = new Attaching(ann);
  await ann.room.message.focus();
  await ann.page.keyboard.press('Shift+Tab');
  await expect(attaching.button).toBeFocused();
  await attaching.picks([file('one.bin')], () => ann.page.keyboard.press('Enter'));
  await attaching.expectArrived('one.bin');
  await attaching.picks([file('two.bin')], async () => {
    await ann.room.message.fill('/file');
    await ann.room.message.press('Enter');
  });
  await attaching.expectArrived('two.bin');
  await attaching.remove('one.bin').focus();
  await ann.page.keyboard.press('Enter');
  await expect(attaching.chip('one.bin')).toHaveCount(0);
  await expect(ann.room.message).toBeFocused();
  await ann.room.message.press('Enter');
  await expect(ann.room.log.locator('.file__name')).toHaveText(['two.bin']);
});

test('without JavaScript the form sends files with a text, and says what is too large', async ({ person, name, startServer }) => {
  const server = await startServer({ env: { NOOM_MAX_FILE_SIZE: '200000' } });
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann', { server, context: { javaScriptEnabled: false } });
  await ann.page.goto(roomPath(name));
  const field = ann.page.locator('input[type=file]');
  await expect(field).toHaveAccessibleName(read('en', 'files').attach);
  await expect(field).toBeVisible();
  const plan = file('계획 "a".bin', 150_000);
  await field.setInputFiles([plan]);
  await ann.room.message.fill('the plan');
  await ann.page.screenshot({ path: test.info().outputPath('without-script.png') });
  await ann.room.send.click();
  await ann.room.sees('the plan');
  await expect(ann.room.log.getByRole('link').filter({ hasText: '계획 "a".bin' })).toBeVisible();
  const copy = await ben.next((frame) => frame.type === 'chat' && frame.text === 'the plan');
  const stored = Buffer.from(await (await fetch(server.url + copy.files[0].url)).arrayBuffer());
  expect(sha256(stored)).toBe(sha256(plan.buffer));
  await field.setInputFiles([file('large.bin', 200_001)]);
  await ann.room.message.fill('another');
  await ann.room.send.click();
  await expect(ann.page.getByRole('alert').filter({ hasText: read('en', 'files').refused_size })).toBeVisible();
  await expect(ann.room.said('another')).toHaveCount(0);
  ben.close();
});
