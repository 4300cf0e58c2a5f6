import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

test('edits, reactions, replies and deletions reach all clients, live and in the HTML', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.says('helo');
  await ben.room.sees('helo');

  await ann.room.does('helo', 'Edit');
  const editor = ann.page.getByRole('textbox', { name: 'Edit message' });
  await expect(editor).toBeFocused();
  await editor.fill('hello');
  await editor.press('Enter');
  await ben.room.sees('hello');
  await expect(ben.room.said('hello')).toContainText('edited');
  await expect(ben.room.said('helo')).toHaveCount(0);

  await ben.room.does('hello', 'React with 🎉');
  await expect(ann.room.said('hello').getByRole('button', { name: '🎉, 1' })).toHaveAttribute('aria-pressed', 'false');
  await ann.room.said('hello').getByRole('button', { name: '🎉, 1' }).click();
  const two = ben.room.said('hello').getByRole('button', { name: '🎉, 2' });
  await expect(two).toHaveAttribute('aria-pressed', 'true');
  await two.click();
  await expect(ann.room.said('hello').getByRole('button', { name: '🎉, 1' })).toHaveAttribute('aria-pressed', 'true');

  await ben.room.does('hello', 'Reply');
  await ben.room.says('and good morning');
  await expect(ann.room.said('and good morning')).toContainText('hello');

  await ann.page.reload();
  await ann.room.expectLive();
  await expect(ann.room.said('and good morning').locator('blockquote')).toContainText('hello');
  await ann.room.does('hello', 'Delete');
  await ann.page.getByRole('button', { name: 'Delete for everyone' }).click();
  await expect(ben.room.said('This message was deleted.').first()).toBeVisible();
  await expect(ben.room.log.getByText('hello', { exact: true })).toHaveCount(0);
  await expect(ben.room.said('and good morning').locator('blockquote')).toContainText('deleted');
});

test('only the author can edit or delete a message', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.says('mine');
  await ben.room.sees('mine');
  const message = await ben.room.opens('mine');
  await expect(message.getByRole('button', { name: 'Reply' })).toBeVisible();
  for (const action of ['Edit', 'Delete']) {
    await expect(message.getByRole('button', { name: action, exact: true })).toHaveCount(0);
  }
});

test('edits made during a disconnection appear after it', async ({ person, name, pageErrors }) => {
  pageErrors.expects(CONNECTION_LOST);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.says('wrng');
  await ben.room.sees('wrng');
  await ben.page.goto('about:blank');
  await ann.room.does('wrng', 'Edit');
  await ann.page.getByRole('textbox', { name: 'Edit message' }).fill('right');
  await ann.page.getByRole('textbox', { name: 'Edit message' }).press('Enter');
  await ann.room.sees('right');
  await ben.page.goBack();
  await ben.room.sees('right');
  await expect(ben.room.said('wrng')).toHaveCount(0);
});

test('the typing indicator shows to others until the message is sent', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.message.pressSequentially('hel');
  const typing = ben.page.getByText('Ann is typing…');
  await expect(typing).toBeVisible();
  await expect(ann.page.getByText('Ann is typing…')).toHaveCount(0);
  await ann.room.message.press('Enter');
  await ben.room.sees('hel');
  await expect(typing).toHaveCount(0);
});

for (const [said, part] of [['내일 회의록을 공유할게요', '회의'], ['The quarterly numbers are in', 'quart']] as const) {
  test(`a search for part of a word leads to the message in its context: ${part}`, async ({ person, name, server }) => {
    const ann = await person('Ann');
    const wire = await ProtocolClient.join(server, name, 'Ben');
    await wire.sendChat('long before');
    await wire.sendChat(said);
    for (let i = 0; i < 30; i += 1) await wire.sendChat(`later ${i}`);
    await ann.entersRoom(name);
    await ann.room.search.fill(part);
    await ann.room.search.press('Enter');
    const results = ann.page.getByRole('region', { name: 'Search' });
    await expect(results.getByRole('status')).toContainText('1 message');
    await results.getByRole('link', { name: said }).click();
    await expect(results.locator('[aria-current]')).toContainText(said);
    await expect(results.getByText('long before')).toBeVisible();
    await expect(results.getByText('later 3', { exact: true })).toBeVisible();

    // Messages sent meanwhile are there after leaving the search.
    await wire.sendChat('sent meanwhile');
    await results.getByRole('link', { name: /newest messages/ }).click();
    await ann.room.sees('sent meanwhile');
    wire.close();
  });
}

test('a search works with JavaScript off', async ({ person, name, server }) => {
  const wire = await ProtocolClient.join(server, name, 'Ben');
  await wire.sendChat('스터디는 일곱 시에 시작해요');
  const ann = await person('Ann', { context: { javaScriptEnabled: false } });
  await ann.page.goto(roomPath(name));
  await ann.room.search.fill('일곱');
  await ann.room.search.press('Enter');
  await ann.page.getByRole('link', { name: /일곱 시에/ }).click();
  await expect(ann.page.locator('[aria-current]')).toContainText('스터디는 일곱 시에');
  await ann.page.goto(`${roomPath(name)}?q=nothing%20like%20it`);
  await expect(ann.page.getByRole('status').filter({ hasText: 'No message' })).toBeVisible();
  wire.close();
});

test('messages of a hidden page are counted in the title and marked in the log', async ({ person, name, server }) => {
  const ann = await person('Ann');
  const wire = await ProtocolClient.join(server, name, 'Ben');
  await wire.sendChat('read');
  await ann.entersRoom(name);
  await ann.room.sees('read');
  const hide = (hidden: boolean) =>
    ann.page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await hide(true);
  await wire.sendChat('unread one');
  await wire.sendChat('unread two');
  await expect(ann.page).toHaveTitle(/^\(2\) /);
  await hide(false);
  await expect(ann.page).toHaveTitle(new RegExp(`^${name}`));
  const texts = await ann.room.log.locator('li').allInnerTexts();
  const place = (text: string) => texts.findIndex((line) => line.includes(text));
  expect(texts[place('unread one') - 1]).toBe('New');
  expect(place('read')).toBeLessThan(place('unread one') - 1);
  await ann.room.says('answered');
  await expect(ann.room.log.getByText('New', { exact: true })).toHaveCount(0);
  wire.close();
});

test('a return after a disconnection or a restart makes no notice', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.says('before');
  await ben.room.sees('before');
  const notices = await ann.room.log.locator('.notice').count();
  await server.kill();
  await expect(ann.room.banner).toBeVisible();
  await server.run();
  await expect(ann.room.banner).toBeHidden({ timeout: 30_000 });
  await expect(ben.room.banner).toBeHidden({ timeout: 30_000 });
  await ann.room.expectPeople(2);
  await ben.room.says('still here');
  await ann.room.sees('still here');
  expect(await ann.room.log.locator('.notice').count()).toBe(notices);
});

test('two tabs of one browser are two people in the room', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const [tab] = await Promise.all([
    ann.context.waitForEvent('page'),
    // A duplicated tab starts with a copy of the session storage.
    ann.page.evaluate(() => void window.open(location.href)),
  ]);
  const people = tab.getByRole('list', { name: 'People' }).getByRole('listitem');
  await expect(people).toHaveCount(2);
  await ann.room.expectPeople(2);
  await ann.room.says('from the first tab');
  await expect(tab.getByText('from the first tab')).toBeVisible();
  await tab.getByRole('textbox', { name: 'Message' }).fill('from the second tab');
  await tab.getByRole('textbox', { name: 'Message' }).press('Enter');
  await ann.room.sees('from the second tab');
  await tab.close();
});

test('three thousand messages can be scrolled through, and only a window of them is in the document', async ({ person, name, server }) => {
  test.setTimeout(120_000);
  // Each socket stays within what it may send at once (docs/protocol.md, limits).
  const [SENDERS, EACH] = [90, 38];
  const TOTAL = SENDERS * EACH;
  const senders = await Promise.all(Array.from({ length: SENDERS }, (_, i) => ProtocolClient.join(server, name, `W${i}`)));
  for (let first = 0; first < TOTAL; first += SENDERS) {
    const answers = await Promise.all(senders.map((sender, i) => sender.sendChat(`line ${first + i}`)));
    expect(answers.every(({ type }) => type === 'chat')).toBe(true);
  }
  for (const sender of senders.slice(1)) sender.close();

  const ann = await person('Ann');
  await ann.page.addInitScript(() => {
    (window as any).__long = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) (window as any).__long.push(entry.duration);
    }).observe({ type: 'longtask' });
  });
  await ann.entersRoom(name);
  await ann.room.sees(`line ${TOTAL - 1}`);
  const longTasks = () => ann.page.evaluate(() => (window as any).__long.splice(0) as number[]);
  await longTasks();
  const scroll = (by: number) => ann.room.log.evaluate((log, by) => log.scrollBy({ top: by, behavior: 'instant' }), by);
  const shows = (text: string) => ann.room.log.getByText(text, { exact: true });
  // A thousand messages are loaded on the way up.
  await expect(async () => {
    await scroll(-1500);
    await expect(shows(`line ${TOTAL - 1_000}`)).toHaveCount(1, { timeout: 50 });
  }).toPass({ timeout: 60_000, intervals: [30] });
  expect(await ann.room.log.locator('li').count()).toBeLessThan(700);
  const scrolling = await longTasks();
  await senders[0].sendChat('one more');
  await expect(ann.room.newMessages).toBeVisible();
  await ann.room.newMessages.click();
  await ann.room.sees('one more');
  // The rows below the window follow.
  await expect(shows(`line ${TOTAL - 200}`)).toHaveCount(1);
  console.log(`long tasks while scrolling: ${JSON.stringify(scrolling)}, while jumping: ${JSON.stringify(await longTasks())}`);
  senders[0].close();
});
