import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import type { Locator, Page } from '@playwright/test';
import jsQR from 'jsqr';
import { Invites } from '../pages/invites.ts';
import { filled } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import type { Locale } from '../support/labels.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import type { Server } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

const READER = join(dirname(fileURLToPath(import.meta.url)), '../peers/read_calendar.py');
const TOOLS = process.env.NOOM_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'noom');
const PYTHON = process.env.NOOM_AIORTC ?? join(TOOLS, 'aiortc/bin/python');

const LOCALES: Locale[] = ['en', 'ko'];

/** The answer to a `join` with an invite. */
async function joins(server: Server, room: string, nickname: string, invite: string) {
  const client = await ProtocolClient.open(server);
  client.send({ type: 'join', room, nickname, invite });
  return client.next(({ type }) => type === 'joined' || type === 'error');
}

/** The text of a QR code on the page. */
async function readQrCode(page: Page, image: Locator): Promise<string | undefined> {
  const side = 480;
  const pixels = await image.evaluate(async (drawn: HTMLImageElement, side) => {
    await drawn.decode();
    const canvas = new OffscreenCanvas(side, side);
    const context = canvas.getContext('2d')!;
    context.drawImage(drawn, 0, 0, side, side);
    return Array.from(context.getImageData(0, 0, side, side).data);
  }, side);
  return jsQR(Uint8ClampedArray.from(pixels), side, side)?.data;
}

const context = { permissions: ['clipboard-read', 'clipboard-write'] };

for (const locale of LOCALES) {
  test(`a host makes an invite, which one person uses and no other one, and revokes it: ${locale}`, async ({ server, person, name }) => {
    test.setTimeout(90_000);
    const ann = await person('Ann', { locale, context });
    const invites = new Invites(ann);
    await ann.entersRoom(name);
    await invites.host.openSettings();
    await expect(invites.section.getByText(invites.words.none, { exact: true })).toBeVisible();
    const row = await invites.makes('지민 Ben', 'one_person');
    await expect(row.getByText(filled(invites.words.used_of, { used: '0', uses: '1' }))).toBeVisible();
    const link = await invites.copies(row);
    const [address, token] = link.split('#invite=');
    expect(address).toBe(`${server.url}${roomPath(name)}`);

    const joined = await joins(server, name, 'Somebody', token);
    expect(joined.type).toBe('joined');
    await expect(ann.room.person('지민 Ben')).toHaveCount(1);
    expect(await joins(server, name, 'Cleo', token)).toMatchObject({ type: 'error', code: 'invite_used_up' });
    await invites.host.closeSettings();
    await invites.host.openSettings();
    await expect(row.getByText(invites.words.used_up)).toBeVisible();

    const another = await invites.makes('Dora', 'any_number');
    const revoked = (await invites.copies(another)).split('#invite=')[1];
    await invites.revokes(another);
    expect(await joins(server, name, 'Dora', revoked)).toMatchObject({ type: 'error', code: 'bad_invite' });
  });

  test(`a phone reads the QR code and a calendar reads the file of an invite: ${locale}`, async ({ person, name }) => {
    test.setTimeout(90_000);
    expect(existsSync(PYTHON), `${PYTHON} exists, see peers/README`).toBe(true);
    const ann = await person('Ann', { locale, context });
    const invites = new Invites(ann);
    await ann.entersRoom(name);
    await invites.host.openSettings();
    const row = await invites.makes('Ben', 'ten_people');
    const link = await invites.copies(row);

    const shows = row.getByRole('button', { name: invites.words.qr, exact: true });
    await shows.click();
    await expect(shows).toHaveAttribute('aria-expanded', 'true');
    const image = row.getByRole('img', { name: filled(invites.words.qr_alt, { invite: '' }).trim() });
    await expect(image).toBeVisible();
    expect(await readQrCode(ann.page, image)).toBe(link);

    await row.getByRole('button', { name: invites.words.calendar, exact: true }).click();
    await row.getByLabel(invites.words.time, { exact: true }).fill('2027-01-15T08:30');
    await row.getByLabel(invites.words.length, { exact: true }).selectOption({ label: invites.words.two_hours });
    const [download] = await Promise.all([
      ann.page.waitForEvent('download'),
      row.getByRole('button', { name: invites.words.download, exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(`${name}.ics`);
    const read = spawnSync(PYTHON, [READER], { input: readFileSync(await download.path()) });
    expect(String(read.stderr)).toBe('');
    const event = JSON.parse(String(read.stdout));
    const starts = await ann.page.evaluate(() => new Date('2027-01-15T08:30').getTime());
    expect(event).toMatchObject({ summary: filled(invites.words.meeting_in, { room: name }), url: link, location: link, errors: [] });
    expect(event.description).toContain(link);
    expect([Date.parse(event.dtstart), Date.parse(event.dtend)]).toEqual([starts, starts + 2 * 60 * 60 * 1000]);

    const { violations } = await new AxeBuilder({ page: ann.page }).include('dialog[open]').analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual([]);
  });
}

test('an expired invite lets nobody in', async ({ server, name }) => {
  const host = await ProtocolClient.open(server);
  host.send({ type: 'join', room: name, nickname: 'Ann', host_key: 'A'.repeat(22) });
  await host.next(({ type }) => type === 'joined');
  host.send({ type: 'create_invite', lasts_s: 1 });
  const { invites } = await host.next(({ type }) => type === 'invites');
  await expect
    .poll(async () => (await joins(server, name, 'Ben', invites[0].token)).code, { timeout: 10_000 })
    .toBe('invite_expired');
});

test('there is a button for the share sheet only where the browser has one', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann', { context }), await person('Ben', { context })];
  await ann.page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'share', { value: undefined, configurable: true }));
  await ben.page.addInitScript(() => {
    const share = async (data: ShareData) => void ((window as any).__shared = data);
    Object.defineProperty(Navigator.prototype, 'share', { value: share, configurable: true });
  });
  for (const somebody of [ann, ben]) {
    const room = `${name} ${somebody.name}`;
    const invites = new Invites(somebody);
    await somebody.entersRoom(room);
    await invites.host.openSettings();
    const row = await invites.makes('Cleo', 'one_person');
    const link = await invites.copies(row);
    const share = row.getByRole('button', { name: invites.words.share, exact: true });
    await expect(share).toHaveCount(somebody === ben ? 1 : 0);
    if (somebody === ben) {
      await share.click();
      await expect.poll(() => somebody.page.evaluate(() => (window as any).__shared?.url)).toBe(link);
    }
  }
});
