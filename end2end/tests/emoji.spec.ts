import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Person } from '../support/test.ts';
import { read } from '../pages/moderation.ts';

/** The parts of the chat that concern emoji, by their accessible names. */
function emojiOf({ page, room, locale }: Person) {
  const words = read(locale, 'chat');
  const dialog = page.getByRole('dialog', { name: words.emoji, exact: true });
  return {
    words,
    dialog,
    open: page.getByRole('button', { name: words.emoji, exact: true }),
    more: room.log.getByRole('button', { name: words.emoji_more, exact: true }),
    search: dialog.getByRole('searchbox', { name: words.emoji_search }),
    tone: dialog.getByRole('combobox', { name: words.skin_tone }),
    found: dialog.getByRole('group', { name: words.emoji, exact: true }).getByRole('button'),
    options: page.getByRole('listbox', { name: words.emoji, exact: true }).getByRole('option'),
  };
}

async function expectNoViolations(somebody: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page: somebody.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

const WORDS = {
  en: { typed: ':pizz', pizza: 'pizza', wave: 'waving hand', party: 'party popper' },
  ko: { typed: ':피자', pizza: '피자', wave: '흔드는 손', party: '파티' },
};

for (const [locale, colorScheme] of [['en', 'light'], ['ko', 'dark']] as const) {
  test(`emoji are found by name for the text and as reactions, by keyboard: ${locale}`, async ({ person, name }) => {
    const ann = await person('Ann', { locale, context: { colorScheme } });
    const ben = await person('Ben', { locale });
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    const { typed, pizza, wave, party } = WORDS[locale];
    const emoji = emojiOf(ann);

    // While a name is typed; the table is loaded by then.
    await ann.room.message.pressSequentially(`so ${typed}`);
    await expect(emoji.options.first()).toHaveText(`🍕${pizza}`);
    await expectNoViolations(ann, 'the list of emoji');
    await ann.room.message.press('Enter');
    await expect(ann.room.message).toHaveValue('so 🍕 ');

    // From the dialog into the text, at the caret, in a skin tone that the device keeps.
    await ann.room.message.press('Home');
    await emoji.open.click();
    await expect(emoji.search).toBeFocused();
    await expect(emoji.found.first()).toHaveText('😀');
    await emoji.tone.selectOption('3');
    await emoji.search.fill(wave);
    await expect(emoji.found.first()).toHaveText('👋🏽');
    await expectNoViolations(ann, 'the dialog of emoji');
    await ann.page.screenshot({ path: test.info().outputPath('dialog.png') });
    await emoji.search.press('ArrowDown');
    await ann.page.keyboard.press('Enter');
    await expect(emoji.dialog).toBeHidden();
    await expect(ann.room.message).toBeFocused();
    await expect(ann.room.message).toHaveValue('👋🏽so 🍕 ');
    await ann.room.message.press('Enter');
    await ben.room.sees('👋🏽so 🍕');

    // As a reaction, on a phone; arrows move among the emoji.
    await ben.page.setViewportSize({ width: 360, height: 640 });
    const bens = emojiOf(ben);
    await ben.room.opens('👋🏽so 🍕');
    await bens.more.click();
    await expect(bens.found.first()).toHaveText('😀');
    await bens.search.press('ArrowDown');
    await ben.page.keyboard.press('ArrowRight');
    await ben.page.keyboard.press('ArrowDown');
    await ben.page.keyboard.press('ArrowUp');
    await ben.page.keyboard.press('ArrowLeft');
    await expect(bens.found.first()).toBeFocused();
    await ben.page.keyboard.press('End');
    await expect(bens.found.last()).toBeFocused();
    await bens.search.fill('zzxy');
    await expect(bens.dialog.getByRole('status')).toHaveText(bens.words.emoji_none);
    await bens.search.fill(party);
    await expect(bens.found.first()).toHaveText('🎉');
    await ben.page.screenshot({ path: test.info().outputPath('dialog-phone.png') });
    await bens.found.first().click();
    await expect(bens.dialog).toBeHidden();
    await expect(ann.room.said('👋🏽so 🍕')).toContainText('🎉');

    await ann.page.reload();
    await ann.room.expectLive();
    await emoji.open.click();
    await expect(emoji.tone).toHaveValue('3');
    await ann.page.keyboard.press('Escape');
    await expect(emoji.dialog).toBeHidden();
  });
}

test('a table of emoji that does not come is asked for again, and faces and addresses open no list', async ({ person, name, pageErrors }) => {
  pageErrors.expects(/net::ERR_FAILED|Failed to load resource/);
  const ann = await person('Ann');
  const table = '**/emoji-en.txt';
  await ann.page.route(table, (route) => route.abort());
  await ann.entersRoom(name);
  const emoji = emojiOf(ann);
  await emoji.open.click();
  await expect(emoji.dialog.getByRole('status')).toHaveText(emoji.words.emoji_failed);
  await ann.page.unroute(table);
  await emoji.dialog.getByRole('button', { name: emoji.words.emoji_again }).click();
  await expect(emoji.found.first()).toHaveText('😀');
  await ann.page.keyboard.press('Escape');

  for (const text of ['fine :D', 'at 10:30', 'https://smile', 'note: smile']) {
    await ann.room.message.fill(text);
    await expect(emoji.options).toHaveCount(0);
  }
  await ann.room.message.fill('');
  await ann.room.message.pressSequentially('a :smil');
  await expect(emoji.options).not.toHaveCount(0);
  await ann.room.message.press('Escape');
  await expect(emoji.options).toHaveCount(0);
});
