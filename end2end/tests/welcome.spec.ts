import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { LABELS } from '../support/labels.ts';

const { count, guest } = LABELS.en;

test('the form joins the room with the chosen nickname', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.welcome.open();
  await ann.welcome.enters(name, 'Ann');
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
  await expect(ann.room.heading).toContainText(name);
  await ann.room.expectLive();

  const ben = await person('Ben');
  await ben.entersRoom(name);
  await expect(ben.room.person('Ann')).toBeVisible();
});

test('the list of open rooms is live: a room appears, changes its count, and disappears', async ({ person, name }) => {
  const [watcher, ann, ben] = [await person('Eve'), await person('Ann'), await person('Ben')];
  await watcher.welcome.open();
  await watcher.page.evaluate(() => ((window as any).__same = true));
  await expect(watcher.welcome.entry(name)).toHaveCount(0);

  await ann.entersRoom(name);
  await expect(watcher.welcome.entry(name)).toContainText(count(1));
  await ben.entersRoom(name);
  await expect(watcher.welcome.entry(name)).toContainText(count(2));
  await ben.room.leave.click();
  await expect(watcher.welcome.entry(name)).toContainText(count(1));
  await ann.page.close();
  await expect(watcher.welcome.entry(name)).toHaveCount(0, { timeout: 20_000 });
  expect(await watcher.page.evaluate(() => (window as any).__same), 'no reload').toBe(true);
});

test('open rooms and their counts are in the HTML that the server sends', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  // The server updates the list once a second.
  const html = async () => (await ann.context.request.get('/')).text();
  await expect.poll(html).toContain(name);
  expect(await html()).toContain(`href="${roomPath(name)}`);
});

for (const [locale, one, three] of [['en', '1 new message', '3 new messages'], ['ko', '새 메시지 1개', '새 메시지 3개']] as const) {
  test(`messages that this device has not read are counted in the list (${locale})`, async ({ person, name }) => {
    const [ann, ben] = [await person('Ann', { locale }), await person('Ben')];
    await ben.entersRoom(name);
    await ben.room.says('before');
    await ann.entersRoom(name);
    await ann.room.sees('before');
    await ann.room.leave.click();
    await expect(ann.welcome.entry(name)).toBeVisible();
    await expect(ann.welcome.entry(name)).not.toContainText(one.slice(2));

    await ben.room.says('after');
    await ann.welcome.open();
    await expect(ann.welcome.entry(name)).toContainText(one);
    await ben.room.says('and');
    await ben.room.says('again');
    // As when the page comes in sight again.
    await ann.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await expect(ann.welcome.entry(name)).toContainText(three);

    await ann.welcome.entry(name).click();
    await ann.room.sees('again');
    await ann.room.leave.click();
    await expect(ann.welcome.entry(name)).toBeVisible();
    await ann.page.reload();
    await expect(ann.welcome.entry(name)).not.toContainText(three);
  });
}

test('a click on an open room joins it', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.welcome.open();
  await ben.welcome.entry(name).click();
  await ben.page.waitForURL((url) => url.pathname === roomPath(name));
  await ben.room.expectLive();
  await ann.room.expectPeople(2);
});

test('the nickname is remembered on the device', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.welcome.open();
  await ann.welcome.enters(name, 'Annabel');
  await ann.room.expectLive();
  await ann.page.goto('/');
  await expect(ann.welcome.nickname).toHaveValue('Annabel');
});

test('two people without a nickname are guests with different names', async ({ person, name }) => {
  const [one, two, ann] = [await person(''), await person(''), await person('Ann')];
  for (const nobody of [one, two]) {
    await nobody.welcome.open();
    await nobody.welcome.enters(name);
    await nobody.room.expectLive();
  }
  await ann.entersRoom(name);
  await ann.room.expectPeople(3);
  const entries = await ann.room.people.getByRole('listitem').allInnerTexts();
  const guests = entries.flatMap((text) => text.split('\n').map((line) => line.trim()).filter((line) => guest.test(line)));
  expect(new Set(guests).size).toBe(2);
});

for (const [what, room, nickname, wrong] of [
  ['an empty room name', '', 'Ann', 'roomName'],
  ['a room name of 65 characters', '가'.repeat(65), 'Ann', 'roomName'],
  ['a nickname of 33 characters', 'team', 'n'.repeat(33), 'nickname'],
] as const) {
  test(`${what} shows an error beside the field and keeps the input`, async ({ person }) => {
    const ann = await person('Ann');
    await ann.welcome.open();
    await ann.welcome.enters(room, nickname);
    await ann.welcome.expectRefused(ann.welcome[wrong], wrong === 'roomName' ? room : nickname);
    await expect(ann.welcome.roomName).toHaveValue(room);
    await expect(ann.welcome.nickname).toHaveValue(nickname);
    expect(new URL(ann.page.url()).pathname).not.toMatch(/^\/room/);
  });
}

test('64 characters of room name and 32 of nickname are accepted', async ({ person }) => {
  const ann = await person('Ann');
  const room = `${'방'.repeat(60)}${Math.random().toString(36).slice(2, 6)}`;
  await ann.welcome.open();
  await ann.welcome.enters(room, '이'.repeat(32));
  await expect(ann.room.heading).toContainText(room);
  await ann.room.expectLive();
});

test('a room name may contain Korean, spaces, emoji and punctuation', async ({ person, name }) => {
  const room = `스터디 👋 a/b?c#d 100% ${name}`;
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.welcome.open();
  await ann.welcome.enters(room, 'Ann');
  await expect(ann.room.heading).toContainText(room);
  await ben.room.open(room, ben.query);
  await ben.room.says('hello');
  await ann.room.sees('hello');
});

const PROPOSED = { en: /^[a-z]+-[a-z]+-[a-z]+-[a-z2-7]{4}$/, ko: /^[가-힣]+-[가-힣]+-[가-힣]+-[a-z2-7]{4}$/ };
const roomIn = (url: string) => decodeURIComponent(new URL(url).pathname.split('/')[2] ?? '');

for (const locale of ['en', 'ko'] as const) {
  test(`a private room has a name that nobody guesses, and asks to be unlisted (${locale})`, async ({ person }) => {
    const ann = await person('Ann', { locale });
    const joins: { opening?: object }[] = [];
    ann.page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => {
        const frame = JSON.parse(payload.toString());
        if (frame.type === 'join') joins.push(frame);
      }),
    );
    await ann.welcome.open();
    await ann.welcome.nickname.fill('Ann');
    await expect(ann.welcome.openPrivate).toHaveAccessibleDescription(/\S{2,}/);
    await ann.welcome.openPrivate.click();
    await ann.page.waitForURL((url) => PROPOSED[locale].test(roomIn(url.href)));
    const room = roomIn(ann.page.url());
    await expect(ann.room.heading).toContainText(room);
    await ann.room.expectLive();
    expect(joins).toEqual([expect.objectContaining({ room, opening: { access: 'unlisted' } })]);
    await expect.poll(() => new URL(ann.page.url()).hash, 'the address to copy').toBe('');
  });
}

test('a page that is reloaded before it has joined still asks for an unlisted room', async ({ person }) => {
  const ann = await person('Ann');
  const openings: unknown[] = [];
  let reachable = false;
  await ann.page.routeWebSocket(/\/ws$/, (socket) => {
    const server = reachable ? socket.connectToServer() : undefined;
    socket.onMessage((message) => {
      const frame = JSON.parse(message.toString());
      if (frame.type === 'join') openings.push(frame.opening);
      server?.send(message);
    });
  });
  const hash = () => new URL(ann.page.url()).hash;
  await ann.welcome.open();
  await ann.welcome.openPrivate.click();
  await expect.poll(() => openings.length).toBe(1);
  await expect.poll(hash).toBe('#private');
  reachable = true;
  await ann.page.reload();
  await ann.room.expectLive();
  expect(openings).toEqual([{ access: 'unlisted' }, { access: 'unlisted' }]);
  await expect.poll(hash).toBe('');
});
