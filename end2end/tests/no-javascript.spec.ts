import { expect, test, type Person, type PersonOptions } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
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
  await ann.page.waitForURL(/\/room\/[a-z]+-[a-z]+-[a-z]+-[a-z2-7]{4}(#|$)/);
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
