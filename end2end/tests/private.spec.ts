import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test, type Person } from '../support/test.ts';
import { Doorkeeper, Entry } from '../pages/entry.ts';
import { filled } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { ProtocolClient, receivedMessages } from '../support/protocol_client.ts';
import type { Locale } from '../support/labels.ts';
import type { Server } from '../support/server.ts';

const LOCALES: Locale[] = ['en', 'ko'];
const HOST_KEY = 'host0123456789012345678901234567';

/** Expects that axe finds nothing, in both themes. */
async function expectNoViolations({ page }: Person, where: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
    expect.soft(found, `${where}, ${colorScheme}`).toEqual([]);
  }
}

/** A host without a browser. */
async function protocolHost(server: Server, room: string): Promise<ProtocolClient> {
  const host = await ProtocolClient.open(server);
  host.send({ type: 'join', room, nickname: 'Hana', host_key: HOST_KEY });
  await host.next(({ type }) => type === 'joined');
  return host;
}

async function setRoom(host: ProtocolClient, change: Record<string, unknown>): Promise<void> {
  const from = host.messages.length;
  host.send({ type: 'set_room', ...change });
  await host.next(({ type }, i) => i >= from && type === 'room_changed');
}

/** Presses Tab until an element has the focus. */
async function tabsTo(page: Page, name: string): Promise<void> {
  await expect(async () => {
    const isThere = await page.evaluate((wanted) => {
      const focused = document.activeElement;
      const label = focused?.getAttribute('aria-label') ?? (focused as HTMLInputElement)?.labels?.[0]?.textContent ?? focused?.textContent;
      return label?.trim() === wanted;
    }, name);
    if (!isThere) await page.keyboard.press('Tab');
    expect(isThere).toBe(true);
  }).toPass({ intervals: [20] });
}

for (const locale of LOCALES) {
  test(`people wait in the lobby until a host lets in one and then all: ${locale}`, async ({ person, name }) => {
    test.setTimeout(150_000);
    const people = ['Ann', 'Ben', 'Cleo', 'Dan'].map((nickname) => person(nickname, { locale }));
    const [ann, ben, cleo, dan] = await Promise.all(people);
    const door = new Doorkeeper(ann);
    const [benEntry, cleoEntry, danEntry] = [ben, cleo, dan].map((somebody) => new Entry(somebody));
    await ann.entersRoom(name);
    await door.setLobby(true);
    const changed = filled(door.words.changed_by, { by: 'Ann', what: door.words.now_lobby });
    await expect(ann.room.notice(changed)).toBeVisible();

    const received = receivedMessages(ben.page);
    await benEntry.visits(name);
    await benEntry.expectWaits(1);
    await expect(ben.page.getByText(benEntry.words.host_here)).toBeVisible();
    await expect(benEntry.heading(benEntry.words.waiting_title)).toBeFocused();
    await expectNoViolations(ben, 'lobby');
    await expect(door.row('Ben')).toBeVisible();

    await benEntry.name.fill('Benny');
    await benEntry.line.fill('from the third floor');
    await benEntry.tell.click();
    await expect(ben.page.getByText(benEntry.words.line_sent, { exact: true })).toBeVisible();
    await expect(door.row('Benny')).toContainText('from the third floor');
    await benEntry.expectWaits(1);
    await cleoEntry.visits(name);
    await cleoEntry.expectWaits(2);
    await danEntry.visits(name);
    await danEntry.expectWaits(3);
    await expectNoViolations(ann, 'the list of those who wait');
    expect(received.map(({ type }) => type).filter((type) => !['waiting', 'pong'].includes(type)), 'nothing of the room').toEqual([]);

    await door.admit('Benny').click();
    await ben.room.expectLive();
    await expect(ben.room.person('Benny')).toBeVisible();
    await expect(ben.page).not.toHaveTitle(new RegExp(benEntry.words.waiting_title));
    await cleoEntry.expectWaits(1);
    await door.admitAll.click();
    await cleo.room.expectLive();
    await dan.room.expectLive();
    await ann.room.expectPeople(4);
    await expect(door.list).toHaveCount(0);

    await ben.page.reload();
    await ben.room.expectLive();
  });

  test(`somebody who is turned away reads why and asks again: ${locale}`, async ({ person, name, startServer, pageErrors }) => {
    test.setTimeout(150_000);
    pageErrors.expects(CONNECTION_LOST);
    const server = await startServer();
    const [ann, ben] = await Promise.all(['Ann', 'Ben'].map((nickname) => person(nickname, { locale, server })));
    const [door, entry] = [new Doorkeeper(ann), new Entry(ben)];
    await ann.entersRoom(name);
    await door.setLobby(true);
    await entry.visits(name);
    await entry.expectWaits(1);
    await door.deny('Ben').click();
    await expectNoViolations(ann, 'the question before somebody is turned away');
    await ann.page.keyboard.press('Escape');
    await door.turnsAway('Ben', 'not today');
    await entry.expectPage('denied');
    await expect(ben.page.getByText(filled(door.host.words.reason_given, { reason: 'not today' }))).toBeVisible();
    await expectNoViolations(ben, 'turned away');
    await entry.askAgain.click();
    await entry.expectPage('turned_away');

    // A server that has just started does not remember it.
    await server.kill();
    await server.run();
    await ann.room.expectLive();
    await expect(ann.room.banner).toHaveCount(0);
    await expect(async () => {
      await entry.askAgain.click({ timeout: 1_000 });
      await expect(entry.heading(entry.words.waiting_title)).toBeVisible({ timeout: 3_000 });
    }).toPass();
    await door.admit('Ben').click();
    await ben.room.expectLive();
  });

  test(`a password is asked for, kept for the tab, and changes while people are inside: ${locale}`, async ({ person, name, startServer, pageErrors }) => {
    test.setTimeout(150_000);
    pageErrors.expects(CONNECTION_LOST);
    const server = await startServer();
    const people = ['Ann', 'Ben', 'Cleo'].map((nickname) => person(nickname, { locale, server }));
    const [ann, ben, cleo] = await Promise.all(people);
    const door = new Doorkeeper(ann);
    const [benEntry, cleoEntry] = [new Entry(ben), new Entry(cleo)];
    await ann.entersRoom(name);
    await door.inSettings(async (dialog) => {
      const field = dialog.getByLabel(door.words.room_password, { exact: true });
      await field.fill('short');
      await field.press('Enter');
      await expect(field).toHaveAccessibleDescription(new RegExp(filled(door.words.password_short, { min: '6' })));
      await expectNoViolations(ann, 'settings of the room, a password that is too short');
    });
    await door.setPassword('open sesame');

    await benEntry.visits(name);
    await benEntry.expectPage('password');
    await expect(benEntry.password).toBeFocused();
    await expectNoViolations(ben, 'password');
    await benEntry.types('close sesame');
    await expect(benEntry.password).toHaveAccessibleDescription(new RegExp(benEntry.words.password_wrong.replace('.', '\\.')));
    await expect(benEntry.password).toBeFocused();
    await expectNoViolations(ben, 'a wrong password');
    await benEntry.showPassword.click();
    await expect(benEntry.password).toHaveAttribute('type', 'text');
    await benEntry.types('open sesame');
    await ben.room.expectLive();

    await door.setPassword('new sesame');
    await ann.room.says('still here?');
    await ben.room.sees('still here?');
    await cleoEntry.visits(name);
    await cleoEntry.types('open sesame');
    await expect(cleoEntry.alert).toHaveText(cleoEntry.words.password_wrong);
    await cleoEntry.types('new sesame');
    await cleo.room.expectLive();

    // The server forgets who is inside; the tab that knows the password comes back.
    await server.kill();
    await server.run();
    await cleo.page.reload();
    await cleo.room.expectLive();
  });

  test(`a closed room, a full one and a locked one say what to do: ${locale}`, async ({ person, name, server }) => {
    test.setTimeout(150_000);
    const [ann, ben] = await Promise.all(['Ann', 'Ben'].map((nickname) => person(nickname, { locale })));
    const [door, entry] = [new Doorkeeper(ann), new Entry(ben)];
    await ann.entersRoom(name);
    await door.setAccess('closed');
    await entry.visits(name);
    await entry.expectPage('invite_required');
    await expectNoViolations(ben, 'invite required');
    await entry.visits(name, `#invite=${'A'.repeat(43)}`);
    await entry.expectPage('bad_invite');
    await expect(ben.page, 'the address keeps no invite').not.toHaveURL(/invite/);
    await expectNoViolations(ben, 'bad invite');
    await ben.page.reload();
    await entry.expectPage('bad_invite');
    await ben.page.getByRole('button', { name: entry.words.drop_invite, exact: true }).click();
    await entry.expectPage('invite_required');

    await door.setLobby(true);
    await entry.tryAgain.click();
    await entry.expectWaits(1);
    await ben.page.getByRole('link', { name: entry.words.stop_waiting, exact: true }).click();
    await expect(door.row('Ben')).toHaveCount(0);
    await door.setAccess('unlisted');
    await door.setLobby(false);
    await expect(ben.welcome.entry(name)).toHaveCount(0);
    await door.setCapacity('1');
    await entry.visits(name);
    await expect(entry.heading(door.host.roomWords.full_title)).toBeVisible();
    await door.setCapacity('');
    await door.host.switches('lock', true);
    await entry.tryAgain.click();
    await expect(entry.heading(door.host.roomWords.locked_title)).toBeVisible();
    await door.host.switches('lock', false);
    await entry.tryAgain.click();
    await ben.room.expectLive();
    await ann.room.expectPeople(2);
    expect(server.log).not.toContain(name);
  });

  test(`a room opens and closes at its times: ${locale}`, async ({ person, name, server }) => {
    test.setTimeout(150_000);
    const host = await protocolHost(server, name);
    const ben = await person('Ben', { locale });
    const entry = new Entry(ben);
    await setRoom(host, { opens: Date.now() + 8_000 });
    await entry.visits(name);
    await entry.expectPage('not_open');
    const opens = entry.words.not_open_text.replace('{{ time }}', '.* \\d\\d:\\d\\d');
    await expect(ben.page.getByText(new RegExp(`^${opens}$`))).toBeVisible();
    await expectNoViolations(ben, 'not open');
    await ben.room.expectLive();

    await setRoom(host, { opens: null, closes: Date.now() + 8_000 });
    const warned = entry.words.closes_at.replace('{{ time }}', '\\d\\d:\\d\\d');
    await expect(ben.room.log.getByText(new RegExp(`^${warned}$`))).toBeVisible();
    await entry.expectPage('over');
    await entry.tryAgain.click();
    await entry.expectPage('over');
    host.close();
  });
}

test('after too many wrong passwords not even the right one lets in, and the page says to wait', async ({ person, name, server }) => {
  const host = await protocolHost(server, name);
  host.send({ type: 'set_password', password: 'open sesame' });
  await host.next(({ type }) => type === 'room_changed');
  const ben = await person('Ben');
  const entry = new Entry(ben);
  await entry.visits(name);
  await expect(entry.password).toBeFocused();
  const received = receivedMessages(ben.page);
  const codes = () => received.flatMap(({ code }) => code ?? []).filter((code) => /wrong_password|too_many_guesses/.test(code));
  while (codes().length < 12 && !codes().includes('too_many_guesses')) {
    const before = codes().length;
    await entry.types(`guess number ${before}`);
    await expect.poll(() => codes().length).toBe(before + 1);
    await expect(entry.alert).toBeVisible();
  }
  const before = codes().length;
  await entry.types('open sesame');
  await expect.poll(() => codes().slice(before)).toEqual(['too_many_guesses']);
  await expect(entry.alert).toHaveText(entry.words.password_many);
  host.close();
});

test('the name and the line of somebody who waits are shown as text', async ({ person, name, server }) => {
  const ann = await person('Ann');
  const door = new Doorkeeper(ann);
  await ann.entersRoom(name);
  await door.setLobby(true);
  const wire = await ProtocolClient.open(server);
  const [nickname, line] = ['<img src=x onerror=boo()>', '<script>boo()</script>\u05d0\u05d1'];
  wire.send({ type: 'join', room: name, nickname, line });
  await expect(door.row(nickname)).toContainText(line);
  await expect(door.list.locator('img, script')).toHaveCount(0);
  await expect(door.row(nickname).locator('bdi')).toHaveText(nickname);
  wire.close();
});

test('a host sees how many people wait, scrolls through the first of them, and lets in one and then all', async ({ person, name, server }) => {
  test.setTimeout(120_000);
  const ann = await person('Ann', { locale: 'ko', context: { viewport: { width: 360, height: 640 } } });
  const door = new Doorkeeper(ann);
  await ann.page.goto(roomPath(name) + ann.query);
  await expect(ann.room.message).toBeVisible();
  await door.setLobby(true);
  const crowd: ProtocolClient[] = [];
  for (let number = 1; number <= 60; number += 1) {
    const client = await ProtocolClient.open(server);
    client.send({ type: 'join', room: name, nickname: `Guest ${number}` });
    await client.next(({ type, place }) => type === 'waiting' && place === number);
    crowd.push(client);
  }

  const waiting = (count: number) => ann.page.getByRole('list', { name: filled(door.words.list, { count: String(count) }), exact: true });
  const more = (count: number) => ann.page.getByText(filled(door.words.list_more, { count: String(count) }), { exact: true });
  await ann.page.getByRole('button', { name: new RegExp(`^${filled(door.words.badge, { count: '60' })}`) }).click();
  const rows = waiting(60).getByRole('listitem');
  await expect(rows).toHaveCount(25);
  await expect(more(35)).toHaveCount(1);
  await expect(rows.first().locator('bdi')).toHaveText('Guest 1');
  await expectNoViolations(ann, 'a list that shows the first of many');

  await expect(rows.last()).not.toBeInViewport();
  await rows.first().hover();
  await expect(async () => {
    await ann.page.mouse.wheel(0, 400);
    await expect(rows.last()).toBeInViewport({ ratio: 1, timeout: 200 });
  }).toPass();
  await expect(rows.last().locator('bdi')).toHaveText('Guest 25');
  await door.admit('Guest 25').click();
  await crowd[24].next(({ type }) => type === 'joined');
  await expect(waiting(59).getByRole('listitem')).toHaveCount(25);
  await expect(waiting(59).getByRole('listitem').last().locator('bdi')).toHaveText('Guest 26');
  await expect(more(34)).toHaveCount(1);
  await crowd[59].next(({ type, place }) => type === 'waiting' && place === 59);
  for (const [index, client] of crowd.entries()) {
    if (index === 24) continue;
    expect(client.messages.filter(({ type }) => type !== 'waiting'), 'nothing of the room').toEqual([]);
  }

  await door.admitAll.click();
  for (const client of crowd) await client.next(({ type }) => type === 'joined');
  await expect(door.list).toHaveCount(0);
  await ann.room.expectPeople(61);
  for (const client of crowd) client.close();
  await ann.room.expectPeople(1);
});

test('somebody who comes to the lobby is heard only while the host has the sound on', async ({ person, name, server }) => {
  test.setTimeout(120_000);
  const ann = await person('Ann', { locale: 'ko' });
  const door = new Doorkeeper(ann);
  await ann.page.addInitScript(() => {
    const sounds = ((window as any).__sounds = [] as AudioContext[]);
    const Native = AudioContext;
    window.AudioContext = class extends Native {
      constructor(options?: AudioContextOptions) {
        super(options);
        sounds.push(this);
      }
    };
  });
  /** The audio contexts of the page: whether each is closed, which happens when its tone has ended. */
  const sounds = () => ann.page.evaluate(() => ((window as any).__sounds as AudioContext[]).map(({ state }) => state === 'closed'));
  const announced = (text: string) => ann.page.getByRole('status').filter({ hasText: text });
  const several = (count: number) => announced(filled(door.words.arrived, { count: String(count) }));
  const comes = async (nickname: string) => {
    const client = await ProtocolClient.open(server);
    client.send({ type: 'join', room: name, nickname });
    await client.next(({ type }) => type === 'waiting');
    return client;
  };
  const sound = ann.page.getByRole('group').getByRole('switch', { name: door.words.sound, exact: true });

  await ann.entersRoom(name);
  await door.setLobby(true);
  const ben = await comes('Ben');
  await expect(announced(filled(door.words.arrived_one, { name: 'Ben' }))).toHaveCount(1);
  expect(await sounds(), 'off at first').toEqual([]);

  await sound.click();
  await expect(sound).toBeChecked();
  await expect.poll(sounds, 'one hears what was switched on').toEqual([true]);
  const cleo = await comes('Cleo');
  await expect.poll(sounds).toEqual([true, true]);
  await expect(several(2)).toHaveCount(1);

  await ann.page.reload();
  await expect(sound).toBeChecked();
  await expect.poll(sounds, 'this device keeps the choice').toEqual([true]);
  await expect(several(2)).toHaveCount(1);
  await sound.click();
  await expect(sound).toBeChecked({ checked: false });
  const dan = await comes('Dan');
  await expect(several(3)).toHaveCount(1);
  expect(await sounds(), 'off again').toEqual([true]);
  for (const client of [ben, cleo, dan]) client.close();
});

test('a page that waits waits again by itself after the server was killed', async ({ person, name, startServer, pageErrors }) => {
  test.setTimeout(120_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const [ann, ben] = await Promise.all(['Ann', 'Ben'].map((nickname) => person(nickname, { server })));
  const [door, entry] = [new Doorkeeper(ann), new Entry(ben)];
  await ann.entersRoom(name);
  await door.setLobby(true);
  await entry.visits(name);
  await entry.expectWaits(1);
  await expect(door.row('Ben')).toBeVisible();
  const [waits, lobbies] = [receivedMessages(ben.page), receivedMessages(ann.page)];
  await server.kill();
  await server.run();
  await expect.poll(() => waits.filter(({ type }) => type === 'waiting').length, { timeout: 30_000 }).toBeGreaterThan(0);
  await entry.expectWaits(1);
  await expect.poll(() => lobbies.filter(({ type, count }) => type === 'lobby' && count === 1).length, { timeout: 30_000 }).toBeGreaterThan(0);
  await door.admit('Ben').click();
  await ben.room.expectLive();
});

test('whoever waits before a call enters nothing of it until a host lets them in', async ({ person, name }) => {
  test.setTimeout(120_000);
  const [ann, ben] = await Promise.all(['Ann', 'Ben'].map((nickname) => person(nickname)));
  const [door, entry] = [new Doorkeeper(ann), new Entry(ben)];
  await ann.entersRoom(name);
  await door.setLobby(true);
  await ann.entersCall(name, '&video=0');
  await ben.page.goto(`${roomPath(name)}/call${ben.query}&video=0`);
  await entry.expectWaits(1);
  expect(await ben.page.evaluate(() => window.__rtc.connections.length)).toBe(0);
  const people = ann.page.getByRole('button', { name: filled(door.words.badge, { count: '1' }), exact: true });
  await people.click();
  await expectNoViolations(ann, 'those who wait, beside the call');
  await door.admit('Ben').click();
  await ann.page.keyboard.press('Escape');
  await ben.page.getByRole('button', { name: 'Join now' }).click();
  await ann.call.expectTiles(2);
});

test('on a phone, a host lets somebody in and turns somebody away by touch', async ({ person, name }) => {
  const context = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };
  const ann = await person('Ann', { locale: 'ko', context });
  const [ben, cleo] = [await person('Ben', { locale: 'ko', context }), await person('Cleo', { locale: 'ko', context })];
  const door = new Doorkeeper(ann);
  const [benEntry, cleoEntry] = [new Entry(ben), new Entry(cleo)];
  await ann.page.goto(roomPath(name) + ann.query);
  await expect(ann.room.message).toBeVisible();
  await door.setLobby(true);
  await benEntry.visits(name);
  await benEntry.expectWaits(1);
  await cleoEntry.visits(name);
  await cleoEntry.expectWaits(2);
  const isCutOff = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  expect(await isCutOff(ben.page)).toBe(false);
  const people = ann.page.getByRole('button', { name: new RegExp(filled(door.words.badge, { count: '2' })) });
  await people.tap();
  await door.admit('Ben').tap();
  await expect(ben.room.message).toBeVisible();
  await door.turnsAway('Cleo', '다음에 와요');
  await cleoEntry.expectPage('denied');
  expect(await isCutOff(ann.page)).toBe(false);
  expect(await isCutOff(cleo.page)).toBe(false);
});

test('with the keyboard alone one knocks, lets in and types a password', async ({ person, name }) => {
  test.setTimeout(120_000);
  const [ann, ben] = await Promise.all(['Ann', 'Ben'].map((nickname) => person(nickname)));
  const [door, entry] = [new Doorkeeper(ann), new Entry(ben)];
  const words = entry.words;
  await ann.entersRoom(name);
  await door.host.settings.focus();
  await ann.page.keyboard.press('Enter');
  await tabsTo(ann.page, words.listed);
  await ann.page.keyboard.press('ArrowDown');
  await expect(ann.page.getByRole('radio', { name: words.unlisted, exact: true })).toBeChecked();
  await tabsTo(ann.page, words.lobby);
  await ann.page.keyboard.press('Space');
  await expect(ann.page.getByRole('switch', { name: words.lobby, exact: true })).toBeChecked();
  await tabsTo(ann.page, words.room_password);
  await ann.page.keyboard.type('open sesame');
  await ann.page.keyboard.press('Enter');
  await expect(ann.page.getByText(words.password_saved, { exact: true })).toBeVisible();
  await ann.page.keyboard.press('Escape');

  await entry.visits(name);
  await expect(entry.password).toBeFocused();
  await ben.page.keyboard.type('open sesame');
  await ben.page.keyboard.press('Enter');
  await entry.expectWaits(1);
  await tabsTo(ben.page, words.line);
  await ben.page.keyboard.type('it is me');
  await ben.page.keyboard.press('Enter');
  await expect(door.row('Ben')).toContainText('it is me');
  await ann.page.locator('body').press('Tab');
  await tabsTo(ann.page, filled(words.admit_name, { name: 'Ben' }));
  await ann.page.keyboard.press('Enter');
  await ben.room.expectLive();
  await expect(ann.page.locator('.waiting'), 'the focus stays where the row was').toBeFocused();
});
