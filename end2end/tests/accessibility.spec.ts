import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Person } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { ERROR_STATUS } from '../support/page_errors.ts';
import { LABELS, type Locale } from '../support/labels.ts';

async function expectNoViolations(somebody: Person, where: string): Promise<void> {
  // An element that fades in does not have its final colours yet.
  await somebody.page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
  const { violations } = await new AxeBuilder({ page: somebody.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

// Each theme and each language once: an axe rule depends on colours or on text, not on both.
for (const [colorScheme, locale] of [['light', 'en'], ['dark', 'ko']] as [('light' | 'dark'), Locale][]) {
  const context = { colorScheme, reducedMotion: 'reduce' as const };

  test(`axe finds nothing on any page: ${colorScheme}, ${locale}`, async ({ person, name, pageErrors, startServer }) => {
    test.setTimeout(180_000);
    pageErrors.expects(ERROR_STATUS);
    const server = await startServer({ roomCapacity: 2 });
    const ann = await person('Ann', { server, locale, context });
    const ben = await person('Ben', { server, locale, context });
    const cleo = await person('Cleo', { server, locale, context });

    await ann.welcome.open();
    await expectNoViolations(ann, 'welcome, no rooms');
    await ann.welcome.enters('x'.repeat(65), 'Ann');
    await expect(ann.welcome.roomName).toHaveAttribute('aria-invalid', 'true');
    await expectNoViolations(ann, 'welcome, refused');
    await ann.page.goto('/nowhere');
    await expectNoViolations(ann, 'not found');

    await ann.entersRoom(name);
    await expectNoViolations(ann, 'room, nobody else');
    await ben.entersRoom(name);
    await ben.room.says('hello https://example.org/ there');
    await ann.room.says('good morning');
    await ben.room.sees('good morning');
    await expectNoViolations(ann, 'room, talking');
    await ann.room.changeNickname.click();
    await expectNoViolations(ann, 'room, changing the nickname');
    await ann.page.keyboard.press('Escape');

    await ann.room.opens('hello https://example.org/ there');
    await expectNoViolations(ann, 'room, what one may do with a message');
    await ann.page.getByRole('button', { name: /👍/ }).click();
    await ben.room.opens('good morning');
    await ben.page.getByRole('button', { name: /Reply|답장/ }).click();
    await expect(ben.page.getByRole('button', { name: /👍.*1/ })).toBeVisible();
    await expectNoViolations(ben, 'room, answering, with a reaction');
    await ben.room.search.fill('morning');
    await ben.room.search.press('Enter');
    const found = ben.page.getByRole('region', { name: LABELS[locale].search });
    await expect(found.getByRole('link', { name: /morning/ })).toBeVisible();
    await expectNoViolations(ben, 'room, results of a search');
    await found.getByRole('link', { name: /morning/ }).click();
    await expect(found.locator('[aria-current]')).toBeVisible();
    await expectNoViolations(ben, 'room, a message in its context');
    await ben.room.open(name, ben.query);

    await cleo.welcome.open();
    await expect(cleo.welcome.entry(name)).toBeVisible();
    await expectNoViolations(cleo, 'welcome, with rooms');
    await cleo.page.goto(roomPath(name) + cleo.query);
    await expect(cleo.page.getByText(LABELS[locale].roomFull).first()).toBeVisible();
    await expectNoViolations(cleo, 'room full');

    await ann.call.visit(name, ann.query);
    await expectNoViolations(ann, 'call, before it is joined');
    await ann.entersCall(name);
    await ben.entersCall(name, '&video=0');
    await ann.call.expectTiles(2);
    await expectNoViolations(ann, 'call');
    await ann.call.openSettings();
    await expectNoViolations(ann, 'call, settings open');
  });
}

test('the call controls keep their names, order and states', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'true');
  await expect(ann.call.controls).toMatchAriaSnapshot(`
    - toolbar "Call controls":
      - button "Microphone" [pressed]
      - button "Camera" [pressed]
      - button "Share screen"
      - button "Settings"
      - button "Leave call"
  `);
});

test('every control is at least 24 by 24 pixels, also on a page 320 pixels wide', async ({ person, name }) => {
  const ann = await person('Ann', { context: { viewport: { width: 320, height: 640 } } });
  const small = () =>
    ann.page.evaluate(() =>
      [...document.querySelectorAll('button, input:not([type=hidden]), select, textarea')]
        .map((element) => ({ html: element.outerHTML.slice(0, 80), box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 0 && (box.width < 24 || box.height < 24))
        .map(({ html }) => html),
    );
  const sideways = () => ann.page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  await ann.welcome.open();
  expect(await small()).toEqual([]);
  expect(await sideways()).toBe(false);
  await ann.page.goto(roomPath(name) + ann.query);
  await expect(ann.room.message).toBeVisible();
  expect(await small()).toEqual([]);
  expect(await sideways()).toBe(false);
  await ann.call.visit(name, ann.query);
  expect(await small()).toEqual([]);
  expect(await sideways()).toBe(false);
  await ann.entersCall(name);
  expect(await small()).toEqual([]);
  expect(await sideways()).toBe(false);
});
