import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Person, type PersonOptions } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { read } from '../pages/moderation.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

const plain: PersonOptions = { context: { javaScriptEnabled: false } };

async function enters(somebody: Person, room: string): Promise<void> {
  await somebody.page.goto('/');
  await somebody.welcome.enters(room, somebody.name);
}

test('without JavaScript the form joins the room', async ({ person, name }) => {
  const ann = await person('Ann', plain);
  await enters(ann, name);
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
  await expect(ann.room.heading).toContainText(name);
});

test('without JavaScript the button for a private room leads to one with a proposed name', async ({ person }) => {
  const ann = await person('Ann', plain);
  await ann.page.goto('/');
  await ann.welcome.openPrivate.click();
  await ann.page.waitForURL(/\/room\/[a-z]+-[a-z]+-[a-z]+-[a-z2-7]{4}(\?|#|$)/);
  await expect(ann.room.heading).toContainText(new URL(ann.page.url()).pathname.split('/')[2]!);
  await ann.room.message.fill('anybody here?');
  await ann.room.send.click();
  await ann.room.sees('anybody here?');
});

test('without JavaScript an invalid name is explained and stays in its field', async ({ person }) => {
  const ann = await person('Ann', plain);
  await enters(ann, 'x'.repeat(65));
  await ann.welcome.expectRefused(ann.welcome.roomName, 'x'.repeat(65));
  await expect(ann.welcome.nickname).toHaveValue('Ann');
});

test('without JavaScript the room shows the history and the form posts a message', async ({ person, name, server }) => {
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('hello out there');
  const ann = await person('Ann', plain);
  await enters(ann, name);
  await expect(ann.room.log).toContainText('hello out there');
  await ann.room.message.fill('한글 & <b>plain</b>');
  await ann.room.send.click();
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
  await ann.room.sees('한글 & <b>plain</b>');
  const copy = await ben.next((frame) => frame.type === 'chat' && frame.text.startsWith('한글'));
  expect(copy.from.nickname).toBe('Ann');
  ben.close();
});

test('without JavaScript a reload after posting does not post again', async ({ person, name }) => {
  const ann = await person('Ann', plain);
  await enters(ann, name);
  await ann.room.message.fill('just once');
  await ann.room.send.click();
  await ann.room.sees('just once');
  await ann.page.reload();
  await expect(ann.room.said('just once')).toHaveCount(1);
});

test('without JavaScript the language can be changed', async ({ person }) => {
  const ann = await person('Ann', plain);
  await ann.page.goto('/');
  await ann.page.getByRole('link', { name: '한국어' }).or(ann.page.getByRole('button', { name: '한국어' })).click();
  await expect(ann.page.locator('html')).toHaveAttribute('lang', 'ko');
});

test('without JavaScript the call page says that calls need JavaScript', async ({ person, name }) => {
  const ann = await person('Ann', plain);
  await ann.page.goto(`${roomPath(name)}/call`);
  await expect(ann.page.getByText(/javascript/i).first()).toBeVisible();
});

test('without JavaScript a person asks in Korean to enter a room with a lobby, waits, reads and writes', async ({ person, name, server }) => {
  const words = read('ko', 'room');
  const host = await ProtocolClient.join(server, name, '지우');
  await host.sendChat('비밀 계획이에요');
  host.send({ type: 'set_room', lobby: true });
  await host.next((frame) => frame.type === 'room_changed' && frame.room.lobby === true);
  const minji = await person('민지', { ...plain, locale: 'ko' });
  const { page, room } = minji;
  const heading = (key: string) => page.getByRole('heading', { level: 1, name: words[key], exact: true });
  // A page with script in another window of the same browser, because axe is a script. The refresh is
  // how a page without script waits.
  const expectNoViolations = async (where: string) => {
    const storageState = await minji.context.storageState();
    const copy = await person('민지', { locale: 'ko', context: { storageState } });
    await copy.page.goto(page.url());
    const { violations } = await new AxeBuilder({ page: copy.page }).disableRules('meta-refresh').analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
    expect.soft(found, where).toEqual([]);
    await copy.page.close();
  };

  await page.goto(roomPath(name));
  await expect(page.getByText('비밀')).toHaveCount(0);
  await room.message.fill('들어가도 될까요?');
  await room.send.click();
  await expect(heading('ask_title')).toBeVisible();
  await expect(page.getByText(words.ask_lobby)).toBeVisible();
  await expect(page.getByText('들어가도 될까요?')).toBeVisible();
  await expectNoViolations('asks to enter');

  await page.getByRole('textbox', { name: read('ko', 'welcome').nickname, exact: true }).fill('민지');
  await page.getByRole('textbox', { name: words.ask_line, exact: true }).fill('열 시 약속이에요');
  await page.getByRole('button', { name: words.ask_submit, exact: true }).click();
  await expect(heading('wait_title')).toBeVisible();
  await expect(page.getByText(words.wait_next)).toBeVisible();
  await expect(page.getByText(words.wait_host_here)).toBeVisible();
  const { people } = await host.next((frame) => frame.type === 'lobby' && frame.count === 1);
  expect(people[0].person.nickname).toBe('민지');
  expect(people[0].line).toBe('열 시 약속이에요');
  await expectNoViolations('waits');

  host.send({ type: 'deny', who: people[0].person.id, reason: '조금 뒤에 오세요' });
  await expect(heading('denied_title')).toBeVisible();
  await expect(page.getByText('조금 뒤에 오세요')).toBeVisible();
  await expectNoViolations('turned away');

  // Another person, who is let in while the page waits by itself.
  const hajun = await person('하준', { ...plain, locale: 'ko' });
  await hajun.page.goto(`${roomPath(name)}?plain=1`);
  await hajun.page.getByRole('link', { name: words.ask_link, exact: true }).click();
  await hajun.page.getByRole('button', { name: words.ask_submit, exact: true }).click();
  await expect(hajun.page.getByText(words.wait_next)).toBeVisible();
  host.send({ type: 'admit' });
  await hajun.room.sees('비밀 계획이에요');
  await hajun.room.message.fill('고마워요');
  await hajun.room.send.click();
  await hajun.room.sees('고마워요');
  await host.next((frame) => frame.type === 'chat' && frame.text === '고마워요');
  await hajun.page.waitForURL((url) => url.search === '?plain=1');
  host.close();
});
