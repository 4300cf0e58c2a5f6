import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Person } from '../support/test.ts';
import { read } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

const listOf = ({ page, locale }: Person) => page.getByRole('listbox', { name: read(locale, 'chat').people, exact: true });
const mentionsOf = (somebody: Person) => somebody.room.log.locator('mark.mention');
const selfOf = (client: ProtocolClient): string => client.messages.find(({ type }) => type === 'joined')!.self;

async function expectNoViolations(somebody: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page: somebody.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

for (const [locale, colorScheme] of [['en', 'light'], ['ko', 'dark']] as const) {
  test(`people are mentioned from a list by keyboard, and see it: ${locale}`, async ({ person, name, server }) => {
    const ann = await person('Ann', { locale, context: { colorScheme } });
    const ben = await person('Ben Kim', { locale, context: { colorScheme } });
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    const minsu = await ProtocolClient.join(server, name, '민수');
    await expect(ann.room.person('민수')).toBeVisible();
    const list = listOf(ann);
    const options = list.getByRole('option');

    // Up and Down choose, Escape closes, and an address opens nothing.
    await ann.room.message.pressSequentially('hello @');
    await expect(options).toHaveText(['@Ben Kim', '@민수']);
    await expectNoViolations(ann, 'the list of people');
    await ann.page.screenshot({ path: test.info().outputPath('list.png') });
    const desktop = ann.page.viewportSize()!;
    await ann.page.setViewportSize({ width: 360, height: 640 });
    await expect(options.first()).toBeVisible();
    await ann.page.screenshot({ path: test.info().outputPath('list-phone.png') });
    await ann.page.setViewportSize(desktop);
    await ann.room.message.press('ArrowDown');
    await expect(list.getByRole('option', { selected: true })).toHaveText('@민수');
    await ann.room.message.press('Escape');
    await expect(list).toBeHidden();
    await ann.room.message.pressSequentially('ki');
    await expect(options).toHaveText(['@Ben Kim']);
    await ann.room.message.press('Enter');
    await expect(ann.room.message).toHaveValue('hello @Ben Kim ');
    await expect(list).toBeHidden();

    // In the middle of a text, by Tab; the caret is behind the mention.
    await ann.room.message.press('Home');
    await ann.room.message.pressSequentially('@민');
    await ann.room.message.press('Tab');
    await ann.room.message.pressSequentially('and ');
    await expect(ann.room.message).toHaveValue('@민수 and hello @Ben Kim ');
    await ann.room.message.press('Enter');
    await expect(mentionsOf(ann)).toHaveText(['@민수', '@Ben Kim']);
    const copy = await minsu.next(({ type }) => type === 'chat');
    const mentioned = copy.marks.filter(([, , kind]: [number, number, string]) => kind === 'mention');
    expect(mentioned[0]).toEqual([0, 3, 'mention', selfOf(minsu)]);

    // One's own stands out by more than its colour, in the log, after a reload, and in a search.
    const own = mentionsOf(ben).filter({ hasText: '@Ben Kim' });
    const decoration = async (index: number) =>
      mentionsOf(ben).nth(index).evaluate((mark) => getComputedStyle(mark).textDecorationLine);
    await expect(own).toHaveClass(/mention--me/);
    expect([await decoration(0), await decoration(1)]).toEqual(['none', 'underline']);
    await expectNoViolations(ben, 'a message with mentions');
    await ben.page.screenshot({ path: test.info().outputPath('mention.png') });
    await ben.page.reload();
    await ben.room.expectLive();
    await expect(own).toHaveClass(/mention--me/);
    await ben.room.search.fill('hello');
    await ben.room.search.press('Enter');
    await ben.page.getByRole('link', { name: /hello @Ben Kim/ }).click();
    await expect(ben.page.locator('#found mark.mention--me')).toHaveText('@Ben Kim');
    minsu.close();
  });
}

test('an input method composes a nickname, and its Enter takes nothing', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const others = [await ProtocolClient.join(server, name, '미나'), await ProtocolClient.join(server, name, '민수')];
  await expect(ann.room.person('민수')).toBeVisible();
  const session = await ann.context.newCDPSession(ann.page);
  const compose = (text: string) =>
    session.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
  const options = listOf(ann).getByRole('option');
  await ann.room.message.pressSequentially('@');
  await expect(options).toHaveText(['@미나', '@민수']);
  await compose('민');
  // The letters of 민 begin 미나, too.
  await expect(options).toHaveText(['@미나', '@민수']);
  await compose('민ㅅ');
  await expect(options).toHaveText(['@민수']);
  await ann.room.message.evaluate((field) => {
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, isComposing: true }));
  });
  await expect(ann.room.message).toHaveValue('@민ㅅ');
  await compose('민수');
  await session.send('Input.insertText', { text: '민수' });
  await expect(ann.room.message).toHaveValue('@민수');
  await ann.room.message.press('Enter');
  await expect(ann.room.message).toHaveValue('@민수 ');
  await ann.room.message.press('Enter');
  await expect(mentionsOf(ann)).toHaveText(['@민수']);
  for (const other of others) other.close();
});

test('of two people with one name the chosen one is mentioned, and a plain form mentions people too', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const first = await ProtocolClient.join(server, name, 'Ben');
  await expect(ann.room.person('Ben')).toHaveCount(1);
  const second = await ProtocolClient.join(server, name, 'Ben');
  await expect(ann.room.person('Ben')).toHaveCount(2);
  const options = listOf(ann).getByRole('option');
  await ann.room.message.pressSequentially('@ben');
  // Each has the tag by which the list of people tells them apart.
  await expect(options).toHaveCount(2);
  const tags = await options.locator('.suggestion__about').allTextContents();
  expect(new Set(tags).size).toBe(2);
  await options.nth(1).click();
  await ann.room.message.press('Enter');
  await expect(mentionsOf(ann)).toHaveText(['@Ben']);
  const mark = (copy: Record<string, any>) => copy.marks?.find(([, , kind]: [number, number, string]) => kind === 'mention');
  expect(mark(await first.next(({ type }) => type === 'chat'))[3]).toBe(selfOf(second));

  const plain = await person('Cleo', { context: { javaScriptEnabled: false } });
  await plain.page.goto(roomPath(name));
  await expect(mentionsOf(plain)).toHaveText(['@Ben']);
  await plain.room.message.fill('thanks @Ann');
  await plain.room.send.click();
  await expect(mentionsOf(plain)).toHaveText(['@Ben', '@Ann']);
  await expect(mentionsOf(ann).last()).toHaveClass(/mention--me/);
  first.close();
  second.close();
});
