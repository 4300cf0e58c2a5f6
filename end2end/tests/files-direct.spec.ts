import { readFileSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { DirectFiles, bytes, sha256 } from '../pages/direct_files.ts';
import { filled, read } from '../pages/moderation.ts';
import { RawPeer, frames } from '../pages/raw_peer.ts';
import { expect, test, type Person } from '../support/test.ts';
import type { Locale } from '../support/labels.ts';

const LOCALES: Locale[] = ['en', 'ko'];
const MIB = 1024 * 1024;

/** Saves a received file by its link, and returns its hash. */
async function saved(page: Page, files: DirectFiles, name: string): Promise<string> {
  const download = page.waitForEvent('download');
  await files.control(name, 'save_file').click();
  return sha256(readFileSync(await (await download).path()));
}

async function expectNoViolations({ page }: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).include('.transfers').analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

for (const locale of LOCALES) {
  test(`a file of 32 MiB arrives whole after it is accepted: ${locale}`, async ({ person, name }) => {
    const [ann, ben] = [await person('Ann', { locale }), await person('Ben', { locale })];
    const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    const content = bytes(32 * MIB);
    await mine.shares('Ben', [{ name: 'cut.bin', buffer: content }]);
    await theirs.expectSays('cut.bin', 'asks');
    await expectNoViolations(ben, 'the offer');
    await theirs.control('cut.bin', 'accept_file').click();
    await mine.expectSays('cut.bin', 'sent');
    await theirs.expectSays('cut.bin', 'received');
    await expectNoViolations(ben, 'the end');
    expect(await saved(ben.page, theirs, 'cut.bin')).toBe(sha256(content));
    await theirs.control('cut.bin', 'remove_file').click();
    await expect(theirs.panel).toHaveCount(0);
  });
}

test('a refused file is not sent, and either side cancels', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await mine.shares('Ben', [{ name: 'unwanted.txt', buffer: bytes(1000) }]);
  await theirs.control('unwanted.txt', 'refuse_file').click();
  await mine.expectSays('unwanted.txt', 'refused');

  // The receiver's disk is slow, so that there is time to cancel.
  await theirs.stallsDisk();
  for (const [by, other, file] of [[mine, theirs, 'one.bin'], [theirs, mine, 'two.bin']] as const) {
    await mine.shares('Ben', [{ name: file, buffer: bytes(24 * MIB) }]);
    await theirs.control(file, 'accept_file').click();
    await expect(mine.item(file).getByRole('progressbar')).toBeVisible();
    await by.control(file, 'cancel_file').click();
    await by.expectSays(file, 'stopped');
    await other.expectSays(file, 'cancelled');
  }
});

test('two files at once arrive whole', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  const contents = { 'a.bin': bytes(8 * MIB), 'b.bin': bytes(9 * MIB) };
  const chosen = Object.entries(contents).map(([file, buffer]) => ({ name: file, buffer }));
  await mine.shares('Ben', chosen);
  const back = bytes(3 * MIB);
  await theirs.shares('Ann', [{ name: 'back.bin', buffer: back }]);
  for (const file of Object.keys(contents)) await theirs.control(file, 'accept_file').click();
  await mine.control('back.bin', 'accept_file').click();
  for (const [file, content] of Object.entries(contents)) {
    await theirs.expectSays(file, 'received');
    expect(await saved(ben.page, theirs, file)).toBe(sha256(content));
  }
  await mine.expectSays('back.bin', 'received');
  expect(await saved(ann.page, mine, 'back.bin')).toBe(sha256(back));
});

test('a transfer whose connection is cut goes on where it was', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  const content = bytes(40 * MIB);
  await theirs.stallsDisk();
  await mine.shares('Ben', [{ name: 'long.bin', buffer: content }]);
  await theirs.control('long.bin', 'accept_file').click();
  // The window of the sender is full.
  await theirs.expectStored(8 * MIB);
  const before = await theirs.stored();
  await theirs.cutsConnections();
  await theirs.resumesDisk();
  await theirs.expectSays('long.bin', 'received');
  await mine.expectSays('long.bin', 'sent');
  expect(await saved(ben.page, theirs, 'long.bin')).toBe(sha256(content));
  expect(before).toBeGreaterThan(0);
  expect(await theirs.stored(), 'nothing is written twice').toBe(content.length);
  expect(await mine.connections(), 'a new connection').toBeGreaterThan(1);
});

test('everybody in the room is offered a file, in the call and outside it', async ({ person, name }) => {
  const [ann, ben, cleo] = [await person('Ann'), await person('Ben'), await person('Cleo')];
  const [mine, bens, cleos] = [await DirectFiles.of(ann), await DirectFiles.of(ben), await DirectFiles.of(cleo)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await cleo.entersCall(name, '&video=0&audio=0');
  const content = bytes(2 * MIB);
  await mine.sharesWithEverybody([{ name: 'all.bin', buffer: content }]);
  for (const [one, files] of [[ben, bens], [cleo, cleos]] as const) {
    await files.control('all.bin', 'accept_file').click();
    await files.expectSays('all.bin', 'received');
    expect(await saved(one.page, files, 'all.bin')).toBe(sha256(content));
  }
  await expect(mine.panel.getByText(mine.words.sent, { exact: true })).toHaveCount(2);
});

test('who hides the address without a relay is told why nothing is sent', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const mine = await DirectFiles.of(ann);
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await mine.shares('Ben', [{ name: 'a.txt', buffer: bytes(10) }], true);
  await expect(mine.panel.getByText(mine.words.no_relay)).toBeVisible();
  await mine.expectSays('a.txt', 'connecting');
});

test('a file goes by the relay for who hides the address, even after the call is left', async ({ person, name, startServer }) => {
  const server = await startServer({ turn: true });
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersCall(name, '&video=0&audio=0');
  await ben.entersRoom(name);
  await ann.page.getByRole('button', { name: read('en', 'room').show_people, exact: true }).click();
  const content = bytes(24 * MIB);
  await theirs.stallsDisk();
  await mine.shares('Ben', [{ name: 'hidden.bin', buffer: content }], true);
  await theirs.control('hidden.bin', 'accept_file').click();
  await theirs.expectStored(8 * MIB);
  expect(await mine.candidates(), 'the addresses of the sender stay hidden').toEqual(['relay']);
  await ann.page.keyboard.press('Escape');
  await ann.call.leave.click();
  await ann.room.expectLive();
  await theirs.resumesDisk();
  await theirs.expectSays('hidden.bin', 'received');
  expect(await saved(ben.page, theirs, 'hidden.bin')).toBe(sha256(content));
});

test('a file that the browser saves by itself is written to the file that the receiver picks', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await theirs.picksPrivateFile();
  const content = bytes(5 * MIB);
  await mine.shares('Ben', [{ name: 'picked.bin', buffer: content }]);
  await theirs.control('picked.bin', 'accept_file').click();
  await theirs.expectSays('picked.bin', 'saved');
  expect(await theirs.pickedHash()).toBe(sha256(content));
});

test('frames of a hostile peer neither end the page nor store anything', async ({ person, name }) => {
  const [ann, ben, eve] = [await person('Ann'), await person('Ben'), await person('Eve')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ben.entersRoom(name);
  const peer = await RawPeer.connects(eve, name, 'Ben');
  const huge = 2n ** 64n - 1n;
  await peer.sends([
    { text: '4000000000' },
    { text: 'text' },
    '',
    '01',
    '0201',
    frames.offer(1, huge, 'huge.bin'),
    frames.data(7, 0n, 'ff'),
    frames.done(7, '00'.repeat(32)),
    frames.accept(7),
    '01'.repeat(65_000),
    `0101${'00'.repeat(16)}${'ff'.repeat(40)}`,
    ...Array.from({ length: 20 }, (_, id) => frames.offer(100 + id, 10n, `../\u202Efile ${id}.bin`)),
    frames.data(100, 0n, 'ff'),
    frames.data(101, huge, 'ff'),
  ]);
  // Eight offers at once, of which the data that was not asked for has ended two.
  const cut = filled(theirs.words.refuse_file, { file: 'file 7.bin' });
  await expect(ben.page.getByRole('button', { name: cut, exact: true })).toBeVisible();
  await expect(theirs.item('file 0.bin').getByText(theirs.words.failed, { exact: true })).toBeVisible();
  await expect(theirs.panel.getByRole('button', { name: filled(theirs.words.accept_file, { file: '' }) })).toHaveCount(6);
  expect(await theirs.storedFiles(), 'nothing is stored').toEqual([]);
  const busy = (await peer.heads()).filter((head) => head.startsWith('0103') && head.endsWith('02'));
  expect(busy.length, 'further offers are refused').toBe(12);

  await peer.floods(frames.offer(9, 1n, 'flood'), 20_000);
  await expect.poll(() => peer.state(), { message: 'a flood is cut off' }).toBe('closed');
  await ann.entersRoom(name);
  await mine.shares('Ben', [{ name: 'after.bin', buffer: bytes(100_000) }]);
  await theirs.control('after.bin', 'accept_file').click();
  await theirs.expectSays('after.bin', 'received');
});

test('files that are dropped on a person or pasted are shared, and dropped elsewhere attached', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await mine.drops('dropped.txt', ann.page.getByRole('list', { name: read('en', 'room').people }).getByText('Ben'));
  await theirs.control('dropped.txt', 'accept_file').click();
  await theirs.expectSays('dropped.txt', 'received');
  const dialog = await mine.opensFor('Ben');
  await mine.pastes('pasted.txt', dialog);
  await expect(dialog).toBeHidden();
  await theirs.control('pasted.txt', 'accept_file').click();
  await theirs.expectSays('pasted.txt', 'received');
  await mine.drops('attached.txt', ann.page.getByRole('log'));
  await expect(ann.page.getByRole('list', { name: read('en', 'files').to_send }).getByText('attached.txt')).toBeVisible();
});
