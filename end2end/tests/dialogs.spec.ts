import { read } from '../pages/moderation.ts';
import { expect, test, type Person } from '../support/test.ts';

/** The module with the code of the dialogs. */
const MODULE = /\/pkg\/split_dialogs\.[^/]+\.wasm$/;
/** Console output about a module that cannot be fetched. */
const NOT_FETCHED = /split_dialogs|Failed to fetch|net::ERR_FAILED/;

/** The dialog of the chat's settings, the button that opens it, and its first switch. */
function chatSettings({ page, locale }: Person) {
  const words = read(locale, 'chat');
  const dialog = page.getByRole('dialog', { name: words.settings, exact: true });
  return {
    dialog,
    button: page.getByRole('button', { name: words.settings, exact: true }),
    first: dialog.getByRole('switch', { name: words.notify, exact: true }),
  };
}

for (const locale of ['en', 'ko'] as const) {
  test(`a dialog whose code cannot be fetched says so, and opens at a later try: ${locale}`, async ({ person, name, pageErrors }) => {
    pageErrors.expects(NOT_FETCHED);
    const ann = await person('Ann', { locale });
    const [room, common] = [read(locale, 'room'), read(locale, 'common')];
    let tries = 0;
    await ann.page.route(MODULE, (route) => {
      tries += 1;
      return route.abort();
    });
    await ann.entersRoom(name);
    await ann.room.message.fill('half a sentence');
    const { dialog, button, first } = chatSettings(ann);
    await button.click();
    const alert = dialog.getByRole('alert').filter({ hasText: room.part_failed });
    const again = dialog.getByRole('button', { name: common.try_again, exact: true });
    await expect(alert).toBeVisible();
    // Neither the button nor another opening ends the tries.
    const before = tries;
    await again.click();
    await expect.poll(() => tries).toBeGreaterThan(before);
    await expect(alert).toBeVisible();
    await ann.page.keyboard.press('Escape');
    await expect(dialog).toBeHidden();
    await expect(button).toBeFocused();
    await button.click();
    await expect.poll(() => tries).toBeGreaterThan(before + 1);
    await expect(alert).toBeVisible();

    await ann.page.unroute(MODULE);
    await again.click();
    await expect(first).toBeFocused();
    await expect(alert).toHaveCount(0);
    await expect(again).toHaveCount(0);
    await ann.page.keyboard.press('Escape');
    await expect(button).toBeFocused();
    await expect(ann.room.message).toHaveValue('half a sentence');
    await ann.room.send.click();
    await ann.room.sees('half a sentence');
  });
}

test('a page whose module is gone loads again at a press, and keeps the typed text', async ({ person, name, pageErrors }) => {
  pageErrors.expects(/split_dialogs|Failed to load resource|WebAssembly/);
  const ann = await person('Ann');
  let gone = true;
  await ann.page.route(MODULE, (route) => (gone ? route.fulfill({ status: 404, body: 'not found' }) : route.continue()));
  ann.page.on('request', (request) => {
    // The next document is of the current build.
    if (request.isNavigationRequest() && ann.page.url().includes('/room/')) gone = false;
  });
  await ann.entersRoom(name);
  await ann.room.message.fill('half a sentence');
  const { dialog, button, first } = chatSettings(ann);
  await button.click();
  await dialog.getByRole('button', { name: read('en', 'room').part_reload, exact: true }).click();
  await expect(dialog).toBeHidden();
  await ann.room.expectLive();
  await expect(ann.room.message).toHaveValue('half a sentence');
  await button.click();
  await expect(first).toBeFocused();
});

test('the code of the dialogs loads while the room is idle, unless data is to be saved', async ({ person, name, pageErrors }) => {
  pageErrors.expects(NOT_FETCHED);
  const saves = await person('Ann');
  await saves.page.addInitScript(() => {
    Object.defineProperty(navigator, 'connection', { value: { saveData: true } });
  });
  const asked: string[] = [];
  saves.page.on('request', (request) => MODULE.test(request.url()) && asked.push(request.url()));
  await saves.entersRoom(name);
  const ben = await person('Ben');
  const loaded = ben.page.waitForResponse(MODULE);
  await ben.entersRoom(name);
  await (await loaded).finished();
  // Ann joined first.
  expect(asked).toEqual([]);
  // The dialog needs the server no more.
  await ben.page.route(MODULE, (route) => route.abort());
  const settings = chatSettings(ben);
  await settings.button.click();
  await expect(settings.first).toBeFocused();
  // Ann's loads when it is opened.
  const late = chatSettings(saves);
  await late.button.click();
  await expect(late.first).toBeFocused();
  expect(asked).toHaveLength(1);
});
