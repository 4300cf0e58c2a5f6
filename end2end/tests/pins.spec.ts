import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import type { Locale } from '../support/labels.ts';

const WORDS = {
  en: { pin: 'Pin', unpin: 'Unpin', pins: 'Pinned messages' },
  ko: { pin: '고정하기', unpin: '고정 풀기', pins: '고정한 메시지' },
};

for (const locale of ['en', 'ko'] satisfies Locale[]) {
  test(`a host pins a message, others jump to it, and the host unpins it: ${locale}`, async ({ person, name }) => {
    const words = WORDS[locale];
    const host = await person('Ann', { locale, context: { reducedMotion: 'reduce' } });
    const ben = await person('Ben', { locale });
    await host.entersRoom(name);
    await ben.entersRoom(name);
    await host.room.says('read **this** first');
    await ben.room.says('fine');
    await host.room.sees('fine');

    const pinsOf = (somebody: typeof host) => somebody.page.getByRole('region', { name: words.pins });
    const message = host.room.log.locator('li.message', { hasText: 'read this first' });
    await message.hover();
    await message.getByRole('button', { name: /^Actions|^이 메시지/ }).click();
    await message.getByRole('button', { name: words.pin, exact: true }).click();
    for (const somebody of [host, ben]) await expect(pinsOf(somebody)).toContainText('Ann read this first');
    await expect(pinsOf(ben).getByRole('button')).toHaveCount(0);
    const { violations } = await new AxeBuilder({ page: host.page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual([]);

    // For somebody who comes later, and without script.
    const plain = await person('Cleo', { locale, context: { javaScriptEnabled: false } });
    await plain.page.goto(roomPath(name));
    await pinsOf(plain).getByRole('link').click();
    await expect(plain.page.locator('#found')).toContainText('read this first');
    await pinsOf(ben).getByRole('link').click();
    await expect(ben.page.locator('#found').locator('strong')).toHaveText('this');
    await ben.page.goBack();
    await ben.room.expectLive();

    await pinsOf(host).getByRole('button', { name: words.unpin }).click();
    for (const somebody of [host, ben]) await expect(pinsOf(somebody)).toHaveCount(0);
  });
}
