import { expect, test, type Person } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import { LABELS } from '../support/labels.ts';

async function two(person: (nickname: string) => Promise<Person>, room: string): Promise<[Person, Person]> {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(room);
  await ben.entersRoom(room);
  await ann.room.expectPeople(2);
  return [ann, ben];
}

test('messages reach all people in the room and none in another room', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  const eve = await person('Eve');
  await eve.entersRoom(`${name} next door`);
  await ann.room.says('good morning');
  await ben.room.sees('good morning');
  await ben.room.says('good evening');
  await ann.room.sees('good evening');
  // Control: a message in the other room appears there.
  await eve.room.says('only here');
  await eve.room.sees('only here');
  await expect(eve.room.said('good morning')).toHaveCount(0);
  await expect(ann.room.said('only here')).toHaveCount(0);
});

test('a late joiner sees earlier messages in order', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  for (const text of ['first', 'second', 'third']) await ann.room.says(text);
  await ann.room.sees('third');
  const ben = await person('Ben');
  await ben.entersRoom(name);
  await ben.room.sees('third');
  const all = (await ben.room.log.innerText()).replace(/\s+/g, ' ');
  expect(all).toMatch(/first.*second.*third/);
});

test('messages are in the HTML that the server sends', async ({ person, name, server }) => {
  const ann = await ProtocolClient.join(server, name, 'Ann');
  await ann.sendChat('written before you came');
  const ben = await person('Ben');
  const html = await (await ben.context.request.get(roomPath(name))).text();
  expect(html).toContain('written before you came');
  ann.close();
});

test("own messages show You, other messages show the nickname", async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await ann.room.says('from me');
  await expect(ann.room.said('from me')).toContainText('You');
  await expect(ben.room.said('from me')).toContainText('Ann');
  await expect(ben.room.said('from me')).not.toContainText('You');
});

test('messages carry the time of day and the log the day', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.says('what time is it');
  const time = ann.room.said('what time is it').locator('time');
  await expect(time).toHaveText(/\d{1,2}:\d{2}/);
  await expect(ann.room.log).toContainText(/today|monday|tuesday|wednesday|thursday|friday|saturday|sunday/i);
});

test('times are in the time zone of the device from the first visit', async ({ person, name, server }) => {
  const ann = await ProtocolClient.join(server, name, 'Ann');
  await ann.sendChat('what time is it where you are');
  // A zone with a half-hour offset cannot match another zone by chance.
  const timezoneId = 'Asia/Kolkata';
  const ben = await person('Ben', { context: { timezoneId } });
  await ben.entersRoom(name);
  const time = ben.room.said('what time is it where you are').locator('time');
  const [hours, minutes] = (await time.innerText()).split(':').map(Number);
  const shown = (hours! % 12) * 60 + Number(/\d+/.exec(String(minutes)));
  const there = (Math.floor(Date.now() / 60_000) + 330) % 720;
  expect([0, 1, 2]).toContain((there - shown + 720) % 720);
  ann.close();
});

test('the end of the log is in view before any script has loaded', async ({
  person, name, pageErrors, server,
}) => {
  pageErrors.expects(/net::ERR_FAILED|dynamically imported module/);
  const ann = await ProtocolClient.join(server, name, 'Ann');
  for (let i = 0; i < 30; i += 1) await ann.sendChat(`line ${i}`);
  const ben = await person('Ben');
  await ben.page.route('**/*.{js,wasm}', (route) => route.abort());
  await ben.page.goto(roomPath(name));
  await expect(ben.room.said('line 29')).toBeInViewport();
  await expect(ben.room.said('line 0')).not.toBeInViewport();
  ann.close();
});

test('joining, leaving and renaming make notices, and the head count is live', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await expect(ann.room.notice('Ben joined')).toBeVisible();
  await expect(ann.page.getByText(LABELS.en.count(2)).first()).toBeVisible();
  await ben.room.renames('Benjamin');
  await expect(ann.room.notice('Ben is now Benjamin')).toBeVisible();
  await expect(ann.room.person('Benjamin')).toBeVisible();
  await ben.room.leave.click();
  await ben.page.waitForURL((url) => url.pathname === '/');
  await expect(ann.room.notice('Benjamin left')).toBeVisible();
  await ann.room.expectPeople(1);
  await expect(ann.page.getByText(LABELS.en.count(1)).first()).toBeVisible();
});

test('a new nickname is remembered for the next visit', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.welcome.open();
  await ann.welcome.enters(name, 'Ann');
  await ann.room.expectLive();
  await ann.room.renames('Annabel');
  await ann.page.goto('/');
  await expect(ann.welcome.nickname).toHaveValue('Annabel');
});

test('two people with the same nickname look different', async ({ person, name }) => {
  const [one, two, ann] = [await person('Kim'), await person('Kim'), await person('Ann')];
  for (const somebody of [one, two, ann]) await somebody.entersRoom(name);
  await expect(ann.room.person('Kim')).toHaveCount(2);
  const looks = await ann.room.person('Kim').evaluateAll((entries) =>
    entries.map((entry) => {
      const parts = [entry, ...entry.querySelectorAll('*')].map((part) => getComputedStyle(part));
      return `${entry.textContent} ${parts.map((style) => `${style.color} ${style.backgroundColor}`).join(' ')}`;
    }),
  );
  expect(looks[0]).not.toBe(looks[1]);
});

test('http and https links are clickable and send no referrer, other schemes are text', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await ann.room.says('see https://example.org/a?b=c, or javascript:alert(1) or ftp://example.org/x');
  const links = ben.room.log.getByRole('link');
  await expect(links).toHaveCount(1);
  await expect(links).toHaveAttribute('href', 'https://example.org/a?b=c');
  await expect(links).toHaveAttribute('rel', /noopener/);
  await expect(links).toHaveAttribute('rel', /noreferrer/);
  await expect(links).toHaveAttribute('target', '_blank');
});

test('Shift+Enter breaks the line, Enter sends, and the line break stays', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await ann.room.message.pressSequentially('one');
  await ann.room.message.press('Shift+Enter');
  await ann.room.message.pressSequentially('two');
  await expect(ann.room.message).toHaveValue('one\ntwo');
  await ann.room.message.press('Enter');
  await expect(ann.room.message).toHaveValue('');
  const said = ben.room.log.locator('li').filter({ hasText: /one\s*two/ });
  await expect(said).toBeVisible();
  expect(await said.innerText()).toMatch(/one\n+two/);
});

test('Enter while Korean is being composed never sends', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await ann.room.message.fill('안녕');
  const composing = (type: string, init: KeyboardEventInit & { keyCode?: number }) =>
    ann.room.message.evaluate(
      (field, [type, init]) => {
        field.dispatchEvent(new CompositionEvent('compositionstart', { bubbles: true, data: '녕' }));
        field.dispatchEvent(new KeyboardEvent(type, { bubbles: true, cancelable: true, key: 'Enter', code: 'Enter', ...init }));
      },
      [type, init] as const,
    );
  await composing('keydown', { isComposing: true });
  await composing('keydown', { keyCode: 229 });
  await expect(ann.room.message).toHaveValue('안녕');
  await ann.room.message.evaluate((field) => {
    field.dispatchEvent(new CompositionEvent('compositionend', { bubbles: true, data: '녕' }));
  });
  // Control: the next Enter sends, and that is the only message.
  await ann.room.message.press('Enter');
  await ben.room.sees('안녕');
  await expect(ben.room.said('안녕')).toHaveCount(1);
});

test('the log follows new messages, and counts them while it is scrolled up', async ({ person, name, server }) => {
  const writer = await ProtocolClient.join(server, name, 'Writer');
  for (let i = 1; i <= 35; i += 1) await writer.sendChat(`line ${i}\nand a second line`);
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await expect(ann.room.log.getByText('line 35')).toBeInViewport();
  await ann.room.log.hover();
  await ann.page.mouse.wheel(0, -3000);
  await expect(ann.room.log.getByText('line 35')).not.toBeInViewport();
  await writer.sendChat('news one');
  await writer.sendChat('news two');
  await expect(ann.room.newMessages).toHaveText(/2 new messages/);
  await ann.room.newMessages.click();
  await expect(ann.room.said('news two')).toBeInViewport();
  await expect(ann.room.newMessages).toBeHidden();
  await writer.sendChat('followed again');
  await expect(ann.room.said('followed again')).toBeInViewport();
  writer.close();
});

test('messages before the first page can be reached', async ({ person, name, server }) => {
  test.slow();
  const writer = await ProtocolClient.join(server, name, 'Writer');
  // The first messages are within the burst; the rest follow at the limit's rate.
  for (let i = 1; i <= 70; i += 1) {
    const copy = await writer.sendChat(`entry ${i}.`);
    if (copy.type === 'error') {
      await expect.poll(async () => (await writer.sendChat(`entry ${i}.`)).type, { timeout: 10_000 }).toBe('chat');
    }
  }
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.sees('entry 70.');
  await expect(ann.room.said('entry 1.')).toHaveCount(0);
  await ann.room.log.hover();
  await ann.page.mouse.wheel(0, -20_000);
  // Scrolling loads them.
  await expect(ann.room.said('entry 1.')).toHaveCount(1);
  writer.close();
});

test('a reload within seconds makes no notice', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await expect(ann.room.notice('Ben joined')).toHaveCount(1);
  await ben.page.reload();
  await ben.room.expectLive();
  await ben.room.says('back again');
  await ann.room.sees('back again');
  await expect(ann.room.notice('Ben left')).toHaveCount(0);
  await expect(ann.room.notice('Ben joined')).toHaveCount(1);
  await ann.room.expectPeople(2);
});

test('4000 characters are sent, 4001 are refused and stay in the field', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  const longest = '가'.repeat(4000);
  await ann.room.says(longest);
  await ben.room.sees(longest);
  await ann.room.message.fill(`${longest}나`);
  await ann.room.message.press('Enter');
  await expect(ann.room.message).toHaveValue(`${longest}나`);
  await expect(ann.page.getByText(/4,?000/).first()).toBeVisible();
  await expect(ben.room.log.getByText('나')).toHaveCount(0);
});

test('a message never becomes a nickname', async ({ person, name }) => {
  const [ann, ben] = await two(person, name);
  await ann.room.says('Caesar');
  await ben.room.sees('Caesar');
  await ann.room.renames('Antonia');
  await expect(ben.room.person('Antonia')).toBeVisible();
  await ann.room.says('Brutus');
  await ben.room.sees('Brutus');
  await expect(ben.room.person('Caesar')).toHaveCount(0);
  await expect(ben.room.person('Brutus')).toHaveCount(0);
  await expect(ben.room.log.locator('.message__text', { hasText: 'Antonia' })).toHaveCount(0);
});

test('a page that does not exist says so with status 404', async ({ person, pageErrors }) => {
  pageErrors.expects(/status of 404/);
  const ann = await person('Ann');
  const answer = await ann.page.goto('/nowhere');
  expect(answer?.status()).toBe(404);
  await expect(ann.page.getByRole('heading', { level: 1 })).toBeVisible();
  await ann.page.getByRole('link', { name: /noom|home|welcome|start/i }).first().click();
  await expect(ann.welcome.join).toBeVisible();
});
