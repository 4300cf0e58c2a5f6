import { expect, test } from '../support/test.ts';
import { COLOURS, expectScreen, paintScreen } from '../support/media.ts';
import type { Locator, Page } from '@playwright/test';
import { roomPath } from '../pages/room.ts';

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, target: Locator, key = 'Tab'): Promise<void> {
  await expect(target).toBeVisible();
  for (let i = 0; i < 40; i += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  throw new Error(`${key} never reaches ${target}`);
}

/** Expects a visible focus: an outline or a shadow. */
async function expectFocusVisible(target: Locator): Promise<void> {
  const ring = await target.evaluate((element) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
  });
  expect(ring, `${target} shows its focus`).toBe(true);
}

test('joining a room, chatting, calling and leaving work with the keyboard alone', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ben.entersRoom(name);
  const { page } = ann;
  await ann.welcome.open();
  await tabTo(page, ann.welcome.nickname);
  await expectFocusVisible(ann.welcome.nickname);
  await page.keyboard.type('Ann');
  await tabTo(page, ann.welcome.roomName);
  await page.keyboard.type(name);
  await tabTo(page, ann.welcome.join);
  await expectFocusVisible(ann.welcome.join);
  await page.keyboard.press('Enter');
  await ann.room.expectLive();

  await tabTo(page, ann.room.message);
  await expectFocusVisible(ann.room.message);
  await page.keyboard.type('no mouse here');
  await page.keyboard.press('Enter');
  await ben.room.sees('no mouse here');

  await tabTo(page, ann.room.changeNickname);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('textbox', { name: 'Nickname' })).toBeFocused();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('Anna');
  await page.keyboard.press('Enter');
  await expect(ben.room.person('Anna')).toBeVisible();

  await tabTo(page, ann.room.joinCall);
  await expectFocusVisible(ann.room.joinCall);
  await page.keyboard.press('Enter');
  await ann.call.expectEntered();
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await tabTo(page, ann.call.microphone);
  await expectFocusVisible(ann.call.microphone);
  await page.keyboard.press('Space');
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await page.keyboard.press('End');
  for (let i = 0; i < 12 && !(await ann.call.leave.evaluate((b) => b === document.activeElement)); i += 1) {
    await page.keyboard.press('ArrowLeft');
  }
  await expect(ann.call.leave).toBeFocused();
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname === roomPath(name));

  await tabTo(page, ann.room.leave);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname === '/');
  await ben.room.expectPeople(1);
});

test('the call controls are one tab stop with arrow-key navigation', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name);
  const buttons = ann.call.controls.getByRole('button');
  await expect(ann.call.microphone).toBeEnabled();
  await expect(ann.call.controls.locator('button[tabindex="0"]')).toHaveCount(1);
  await tabTo(ann.page, buttons.first());
  await ann.page.keyboard.press('ArrowRight');
  await expect(buttons.nth(1)).toBeFocused();
  await ann.page.keyboard.press('ArrowLeft');
  await expect(buttons.first()).toBeFocused();
  await ann.page.keyboard.press('ArrowLeft');
  await expect(buttons.last()).toBeFocused();
  await ann.page.keyboard.press('Home');
  await expect(buttons.first()).toBeFocused();
  await ann.page.keyboard.press('Tab');
  expect(await ann.call.controls.evaluate((bar) => bar.contains(document.activeElement))).toBe(false);
});

test('Escape closes the settings and restores the focus', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name);
  await ann.call.settings.focus();
  await ann.page.keyboard.press('Enter');
  await expect(ann.call.dialog).toBeVisible();
  expect(await ann.call.dialog.evaluate((dialog) => dialog.contains(document.activeElement))).toBe(true);
  await ann.page.keyboard.press('Escape');
  await expect(ann.call.dialog).toBeHidden();
  await expect(ann.call.settings).toBeFocused();
});

test('keys put a shared screen into full screen and back', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await paintScreen(ann.page, COLOURS.Ann);
  await ann.entersCall(name);
  await ben.entersCall(name);
  await ann.call.shareScreen.click();
  await expectScreen(ben, 'Ann');
  const { page } = ben;
  const screen = ben.call.screen('Ann');
  const fills = () => screen.evaluate((element) => element === document.fullscreenElement);
  const before = (await screen.boundingBox())!;

  const button = ben.call.fullScreen('Ann');
  await tabTo(page, button);
  await expectFocusVisible(button);
  // Escape belongs to the browser; a headless one does not handle it.
  for (const key of ['Enter', 'Space']) {
    await page.keyboard.press(key);
    await expect.poll(fills, { message: 'full screen' }).toBe(true);
    expect((await screen.boundingBox())!.height).toBeGreaterThan(before.height);
    await expectScreen(ben, 'Ann');
    await page.keyboard.press(key);
    await expect.poll(fills, { message: `${key} leaves full screen` }).toBe(false);
    expect(await screen.boundingBox()).toEqual(before);
    await expect(button).toBeFocused();
  }
  await expectScreen(ben, 'Ann');
});
