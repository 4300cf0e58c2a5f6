import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import type { Locale } from '../support/labels.ts';

const EVERY_MARK =
  '**굵게** _기울임_ ~~취소~~ `코드 *a*` [words](https://ex.example/a) https://ex.example/b\n' +
  '> quoted\n\n- one\n- two\n\n3. three\n4. four\n\n```rust\nlet a = 1;\n\nlet b = 2;\n```\nlast 👋 **end**';
const WORDS = {
  en: { edit: 'Edit', editor: 'Edit message', copyCode: 'Copy code', copyText: 'Copy text', copied: 'Copied' },
  ko: { edit: '고치기', editor: '메시지 고치기', copyCode: '코드 복사', copyText: '글 복사', copied: '복사했어요' },
};

for (const locale of ['en', 'ko'] satisfies Locale[]) {
  const words = WORDS[locale];

  test(`a message is drawn by its marks, edited, reloaded and read without script: ${locale}`, async ({ person, name }) => {
    const context = { permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce' as const };
    const ann = await person('Ann', { locale, context });
    const ben = await person('Ben', { locale, context });
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    await ann.room.says(EVERY_MARK);

    const drawn = async (text: import('@playwright/test').Locator) => {
      await expect(text.locator('strong')).toHaveText(['굵게', 'end']);
      await expect(text.locator('em')).toHaveText('기울임');
      await expect(text.locator('s')).toHaveText('취소');
      await expect(text.locator('code[translate]')).toHaveText('코드 *a*');
      await expect(text.locator('blockquote')).toHaveText('quoted');
      await expect(text.locator('ul > li')).toHaveText(['one', 'two']);
      await expect(text.locator('ol[start="3"] > li')).toHaveText(['three', 'four']);
      expect(await text.locator('pre').textContent()).toBe('let a = 1;\n\nlet b = 2;');
      const links = text.getByRole('link');
      await expect(links).toHaveText(['words', 'https://ex.example/a', 'https://ex.example/b']);
      await expect(links.first()).toHaveAttribute('href', 'https://ex.example/a');
      await expect(links.first()).toHaveAttribute('rel', /noopener noreferrer nofollow/);
      await expect(text).toContainText('last 👋');
      await expect(text).not.toContainText('**');
    };
    const text = ben.room.log.locator('.message__text').last();
    await drawn(text);
    await drawn(ann.room.log.locator('.message__text').last());

    await text.getByRole('button', { name: words.copyCode }).click();
    await expect(text.getByRole('button', { name: words.copied })).toBeVisible();
    expect(await ben.page.evaluate(() => navigator.clipboard.readText())).toBe('let a = 1;\n\nlet b = 2;');

    const message = ben.room.log.locator('li.message').last();
    await message.hover();
    await message.getByRole('button', { name: /^Actions|^이 메시지/ }).click();
    await message.getByRole('button', { name: words.copyText }).click();
    await expect(message.locator('.actions').getByRole('button', { name: words.copied })).toBeVisible();
    expect(await ben.page.evaluate(() => navigator.clipboard.readText())).toBe(EVERY_MARK);
    const { violations } = await new AxeBuilder({ page: ben.page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual([]);

    // The page of the server, and the page that it hydrates.
    const plain = await person('Cleo', { locale, context: { javaScriptEnabled: false } });
    await plain.page.goto(roomPath(name));
    await drawn(plain.room.log.locator('.message__text').last());
    await expect(plain.page.getByRole('button', { name: words.copyCode })).toBeHidden();
    // Chromium warns of a module that a page without script loads and leaves unused for some seconds.
    await plain.page.close();
    await ben.page.reload();
    await ben.room.expectLive();
    await drawn(ben.room.log.locator('.message__text').last());

    // An edit starts from what was typed.
    const mine = ann.room.log.locator('li.message').last();
    await mine.hover();
    await mine.getByRole('button', { name: /^Actions|^이 메시지/ }).click();
    await mine.getByRole('button', { name: words.edit, exact: true }).click();
    const editor = ann.page.getByRole('textbox', { name: words.editor }).first();
    await expect(editor).toHaveValue(EVERY_MARK);
    await editor.fill('now *slanted*');
    await editor.press('Enter');
    const edited = ben.room.log.locator('.message__text').last();
    await expect(edited).toHaveText('now slanted');
    await expect(edited.locator('em')).toHaveText('slanted');
    await expect(edited.locator('strong, ul, pre')).toHaveCount(0);
  });
}

test('the text in the composer outlives a reload and ends when it is sent', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.message.fill('half a *thought*');
  await ann.page.reload();
  await ann.room.expectLive();
  await expect(ann.room.message).toHaveValue('half a *thought*');
  await ann.room.message.press('Enter');
  await ann.room.sees('half a thought');
  await ann.page.reload();
  await ann.room.expectLive();
  await ann.room.sees('half a thought');
  await expect(ann.room.message).toHaveValue('');
});
