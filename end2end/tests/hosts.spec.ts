import { AxeBuilder } from '@axe-core/playwright';
import { expect, test, type Person } from '../support/test.ts';
import { Moderation, filled } from '../pages/moderation.ts';
import { roomPath } from '../pages/room.ts';
import { Announcements } from '../support/announcements.ts';
import { audioPackets, forceMicrophone, leaveMicrophone, receivesAudio, sendsAudio } from '../support/audio_packets.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import type { Locale } from '../support/labels.ts';

const LOCALES: Locale[] = ['en', 'ko'];

async function expectNoViolations({ page }: Person, where: string): Promise<void> {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

const heading = ({ page }: Person, title: string) => page.getByRole('heading', { level: 1, name: title, exact: true });

for (const locale of LOCALES) {
  test(`a muted guest reaches nobody, whatever their page sends, until they unmute: ${locale}`, async ({ person, name }) => {
    test.setTimeout(180_000);
    const [ann, ben] = [await person('Ann', { locale }), await person('Ben', { locale })];
    const host = new Moderation(ann);
    await ann.entersCall(name, '&video=0');
    await ben.entersCall(name, '&video=0');
    await ann.call.expectTiles(2);
    await receivesAudio(ann.page);
    const announcements = await Announcements.listen(ben.page);

    await host.showPeople.click();
    await host.does('Ben', 'mute');
    await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'false');
    const mutedYou = filled(host.words.muted_you, { by: 'Ann' });
    await expect(ben.page.getByText(mutedYou, { exact: true })).toBeVisible();
    await expect.poll(() => announcements.all()).toContainEqual(expect.stringContaining(mutedYou));
    await ann.page.keyboard.press('Escape');
    await ann.call.expectSays('Ben', locale === 'en' ? /muted/ : /마이크 꺼짐/);

    // The call moves to the server, which drops the packets.
    await expect(async () => {
      await forceMicrophone(ben.page);
      await sendsAudio(ben.page);
    }).toPass({ timeout: 60_000 });
    const before = (await audioPackets(ann.page)).received;
    await sendsAudio(ben.page);
    expect((await audioPackets(ann.page)).received, 'no packet of a muted microphone arrives').toBe(before);

    await leaveMicrophone(ben.page);
    await ben.call.microphone.click();
    await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'true');
    await expect(ben.page.getByText(mutedYou, { exact: true })).toHaveCount(0);
    await ann.call.expectSaysNot('Ben', locale === 'en' ? /muted/ : /마이크 꺼짐/);
    await receivesAudio(ann.page);
  });

  test(`a removed person returns, a banned one does not, and a lock keeps out a third: ${locale}`, async ({ person, name }) => {
    test.setTimeout(150_000);
    const [ann, ben, cleo] = [await person('Ann', { locale }), await person('Ben', { locale }), await person('Cleo', { locale })];
    const host = new Moderation(ann);
    const again = ben.page.getByRole('button', { name: locale === 'en' ? 'Try again' : '다시 시도', exact: true });
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    await host.expectRole('Ann', 'host');
    await host.expectRole('Ben', null);

    await host.sendsAway('Ben', 'remove', 'too loud');
    await expect(heading(ben, host.roomWords.removed_title)).toBeVisible();
    await expect(ben.page.getByText(filled(host.words.removed_text, { by: 'Ann' }))).toBeVisible();
    await expect(ben.page.getByText(filled(host.words.reason_given, { reason: 'too loud' }))).toBeVisible();
    await expectNoViolations(ben, 'removed');
    await again.click();
    await ben.room.expectLive();
    await host.expectRole('Ben', null);

    await host.sendsAway('Ben', 'ban');
    await expect(heading(ben, host.roomWords.banned_title)).toBeVisible();
    await expect(ben.page.getByText(filled(host.words.banned_text, { by: 'Ann' }))).toBeVisible();
    await expectNoViolations(ben, 'banned');
    await ann.room.expectPeople(1);
    const refused = ben.page.waitForEvent('websocket').then((socket) =>
      socket.waitForEvent('framereceived', ({ payload }) => String(payload).includes('"banned"')),
    );
    await again.click();
    await refused;
    await expect(heading(ben, host.roomWords.banned_title)).toBeVisible();
    await host.openSettings();
    await host.dialog.getByRole('button', { name: filled(host.words.let_in_name, { name: 'Ben' }) }).click();
    await expect(host.dialog.getByText(host.words.no_bans)).toBeVisible();
    await host.closeSettings();
    await again.click();
    await ben.room.expectLive();

    await host.switches('lock', true);
    await expect(ann.room.notice(filled(host.words.locked_by, { by: 'Ann' }))).toBeVisible();
    await expect(ben.page.getByText(host.words.locked_note)).toBeVisible();
    await expect(new Moderation(ben).settings).toHaveCount(0);
    await cleo.page.goto(roomPath(name) + cleo.query);
    await expect(heading(cleo, host.roomWords.locked_title)).toBeVisible();
    await expectNoViolations(cleo, 'locked');
    await ben.page.reload();
    await ben.room.expectLive();
    await host.switches('lock', false);
    await cleo.page.getByRole('button', { name: locale === 'en' ? 'Try again' : '다시 시도', exact: true }).click();
    await cleo.room.expectLive();
    await ann.room.expectPeople(3);
  });
}

test('where only hosts unmute, a guest speaks when a host asks and the guest agrees', async ({ person, name }) => {
  test.setTimeout(150_000);
  const [ann, ben, cleo] = [await person('Ann'), await person('Ben'), await person('Cleo')];
  const host = new Moderation(ann);
  await ann.entersCall(name, '&video=0');
  await ben.entersCall(name, '&video=0');
  await ann.call.expectTiles(2);
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'true');

  await host.switches('host_unmutes', true);
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(ben.call.microphone).toHaveAttribute('aria-disabled', 'true');
  await expect(ben.call.microphone).toHaveAccessibleDescription(host.words.waits_for_host);
  await ben.call.microphone.dispatchEvent('click');
  await ben.page.keyboard.press('Control+D');
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(ann.call.microphone, 'the host speaks').toHaveAttribute('aria-pressed', 'true');
  await expectNoViolations(ben, 'a toolbar with a reason');

  // Who comes later is muted from the start.
  await cleo.entersCall(name, '&video=0');
  await expect(cleo.call.microphone).toHaveAttribute('aria-disabled', 'true');
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ann.call.expectSays('Cleo', /muted/);

  const asks = ben.page.getByText(filled(host.words.asks_to_unmute, { by: 'Ann' }), { exact: true });
  await host.showPeople.click();
  await host.does('Ben', 'ask_to_unmute');
  await expect(asks).toBeVisible();
  await expect(ben.call.microphone, 'it never switches on by itself').toHaveAttribute('aria-pressed', 'false');
  await expectNoViolations(ben, 'asked to unmute');
  await ben.page.getByRole('button', { name: 'Stay muted' }).click();
  await expect(asks).toHaveCount(0);
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await host.does('Ben', 'ask_to_unmute');
  await ben.page.getByRole('button', { name: 'Unmute', exact: true }).click();
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await expect(asks).toHaveCount(0);
  await ann.page.keyboard.press('Escape');
  await ann.call.expectSaysNot('Ben', /muted/);
  await expect(cleo.call.microphone).toHaveAttribute('aria-disabled', 'true');

  // Without the setting everybody unmutes themselves again.
  await host.switches('host_unmutes', false);
  await expect(cleo.call.microphone).not.toHaveAttribute('aria-disabled', 'true');
  await cleo.call.microphone.click();
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ann.call.expectSaysNot('Cleo', /muted/);
});

test('a stopped camera and screen are off, and a viewer has no devices and no chat', async ({ person, name }) => {
  test.setTimeout(150_000);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const host = new Moderation(ann);
  await ann.entersCall(name, '&video=0');
  await ben.entersCall(name);
  await expect(ann.call.video('Ben')).toBeVisible();
  await ben.call.shareScreen.click();
  await expect(ann.call.screen('Ben')).toBeVisible();

  await host.showPeople.click();
  await host.does('Ben', 'stop_screen');
  await expect(ann.call.screen('Ben')).toHaveCount(0);
  await expect(ben.page.getByText('Ann stopped your screen sharing', { exact: true })).toBeVisible();
  await host.does('Ben', 'stop_camera');
  await expect(ben.call.camera).toHaveAttribute('aria-pressed', 'false');
  await expect(ben.page.getByText('Ann stopped your camera', { exact: true })).toBeVisible();
  const cameras = await ben.page.evaluate(() => window.__rtc.tracks.filter(({ kind, readyState }) => kind === 'video' && readyState === 'live').length);
  expect(cameras, 'the camera is released').toBe(0);
  await ben.call.camera.click();
  await expect(ann.page.locator('.tile video')).toBeVisible();

  await host.does('Ben', 'make_viewer');
  await host.expectRole('Ben', 'viewer');
  for (const device of [ben.call.microphone, ben.call.camera, ben.call.shareScreen]) {
    await expect(device).toHaveAttribute('aria-disabled', 'true');
    await expect(device).toHaveAccessibleDescription(/Your role/);
    await expect(device).toHaveAttribute('aria-pressed', 'false');
  }
  await expect(ben.room.message).toBeDisabled();
  await expect(ben.page.getByText(host.words.no_chat)).toBeVisible();
  await expectNoViolations(ben, 'a viewer in the call');
  await host.does('Ben', 'make_guest');
  await expect(ben.room.message).toBeEnabled();
  await ben.call.microphone.click();
  await expect(ben.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ann.page.keyboard.press('Escape');
  await ann.call.expectSaysNot('Ben', /muted/);

  // The table of powers does the same to all guests.
  await host.openSettings();
  await host.dialog.getByRole('checkbox', { name: 'Guest: Chat', exact: true }).click();
  await expect(ben.room.message).toBeDisabled();
  await host.dialog.getByRole('checkbox', { name: 'Guest: Chat', exact: true }).click();
  await expect(ben.room.message).toBeEnabled();
});

test('a host stays one after a reload, on a second device by the link, and after a restart; co-hosts too', async ({
  person, name, pageErrors, startServer,
}) => {
  test.setTimeout(180_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const [ann, ben, dan] = [await person('Ann', { server }), await person('Ben', { server }), await person('Dan', { server })];
  const [host, coHost] = [new Moderation(ann), new Moderation(ben)];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await dan.entersRoom(name);
  await ann.page.reload();
  await ann.room.expectLive();
  await host.expectRole('Ann', 'host');

  await expect(coHost.menu('Dan')).toHaveCount(0);
  await host.does('Ben', 'make_co_host');
  await coHost.expectRole('Ben', 'co_host');
  await expect(dan.room.notice('Ann made Ben a co-host')).toBeVisible();
  await coHost.menu('Ann').click();
  const remove = coHost.actions('Ann').getByRole('button', { name: 'Remove', exact: true });
  await expect(remove).toHaveAttribute('aria-disabled', 'true');
  await expect(remove).toHaveAccessibleDescription('Ann is a host. Nobody can do this to a host.');
  await remove.dispatchEvent('click');
  await expect(coHost.question('remove_title', 'Ann')).toHaveCount(0);
  await ben.page.keyboard.press('Escape');
  await expect(coHost.menu('Ann')).toBeFocused();
  await coHost.sendsAway('Dan', 'remove');
  await expect(dan.page.getByText('Ben took you out of this room.')).toBeVisible();

  // The link, on another device. The key is in no request and no title.
  await host.openSettings();
  await host.dialog.getByRole('button', { name: host.words.show_link }).click();
  const link = await host.dialog.getByRole('textbox', { name: host.words.link }).inputValue();
  await host.closeSettings();
  const key = link.split('#host=')[1];
  expect(key).toMatch(/^[\w-]{22,}$/);
  const phone = await person('Ann phone', { server });
  const seen: string[] = [];
  phone.page.on('request', (request) => seen.push(request.url(), request.postData() ?? '', JSON.stringify(request.headers())));
  const joins: string[] = [];
  phone.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => joins.push(String(payload))));
  await phone.page.goto(link.replace('#', `${phone.query}#`));
  await phone.room.expectLive();
  await host.expectRole('Ann phone', 'host');
  expect(phone.page.url()).not.toContain(key);
  expect(await phone.page.title()).not.toContain(key);
  expect(seen.filter((text) => text.includes(key)), 'no request carries the key').toEqual([]);
  expect(joins.filter((text) => text.includes(key)), 'the socket carries it once').toHaveLength(1);
  await phone.page.reload();
  await phone.room.expectLive();
  await host.expectRole('Ann phone', 'host');

  // A wrong link does not cost the kept key, in an open page or a new one.
  const wrong = 'x'.repeat(22);
  await phone.page.evaluate((key) => { location.hash = `host=${key}`; }, wrong);
  await expect(phone.page).not.toHaveURL(/#/);
  await phone.page.goto(link.replace(key, wrong));
  await phone.room.expectLive();
  await host.expectRole('Ann phone', 'host');

  await server.kill();
  await expect(ann.room.banner).toBeVisible();
  await server.run();
  await expect(ann.room.banner).toBeHidden({ timeout: 30_000 });
  await expect(ben.room.banner).toBeHidden({ timeout: 30_000 });
  await host.expectRole('Ann', 'host');
  await host.expectRole('Ben', 'co_host');
  await expect(coHost.settings).toBeVisible();
});

test('a host renames, announces, deletes messages and ends the meeting for all', async ({ person, name }) => {
  test.setTimeout(120_000);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  const host = new Moderation(ann);
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ben.room.says('spam');
  await ann.room.sees('spam');
  await ann.room.does('spam', 'Delete');
  await ann.page.getByRole('button', { name: 'Delete for everyone' }).click();
  await expect(ben.room.notice('This message was deleted.')).toBeVisible();

  await host.does('Ben', 'rename');
  const dialog = host.question('rename_title', 'Ben');
  await dialog.getByRole('textbox').fill('');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByRole('textbox')).toHaveAttribute('aria-invalid', 'true');
  await dialog.getByRole('textbox').fill('Benjamin');
  await dialog.getByRole('textbox').press('Enter');
  await expect(ben.room.notice('Ben is now Benjamin')).toBeVisible();

  await ben.room.says('to be deleted');
  await host.openSettings();
  const announcement = host.dialog.getByRole('textbox', { name: host.words.announce_label });
  await announcement.fill('five minutes');
  await host.dialog.getByRole('button', { name: host.words.announce, exact: true }).click();
  await expect(ben.room.notice('Announcement by Ann: five minutes')).toBeVisible();
  await expect(host.dialog.getByText(host.words.announced)).toBeVisible();
  await host.dialog.getByRole('button', { name: host.words.clear, exact: true }).click();
  await host.dialog.getByRole('button', { name: host.words.clear_now, exact: true }).click();
  // Both have loaded the snapshot of the empty log: their sockets were closed for it.
  for (const somebody of [ann, ben]) await expect(somebody.room.said('to be deleted')).toHaveCount(0);

  await host.dialog.getByRole('button', { name: host.words.end, exact: true }).click();
  await host.dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(host.dialog.getByRole('button', { name: host.words.end, exact: true })).toBeFocused();
  await host.dialog.getByRole('button', { name: host.words.end, exact: true }).click();
  await host.dialog.getByRole('button', { name: host.words.end_now, exact: true }).click();
  for (const somebody of [ann, ben]) await expect(heading(somebody, 'This room was closed')).toBeVisible();
  await expectNoViolations(ben, 'closed');
});

test('the host is told when the server refuses a request', async ({ person, name, server }) => {
  const ann = await person('Ann');
  const host = new Moderation(ann);
  await ann.entersRoom(name);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await host.openSettings();
  // The page itself never sends such a text: it is beyond the field's limit.
  await host.dialog.getByRole('textbox', { name: host.words.announce_label }).evaluate((field) => {
    (field as HTMLTextAreaElement).value = 'x'.repeat(501);
  });
  await host.dialog.getByRole('button', { name: host.words.announce, exact: true }).click();
  await expect(host.dialog.getByText(host.words.refused_text)).toBeVisible();
  expect(ben.messages.filter(({ type }) => type === 'announcement')).toEqual([]);
  ben.close();
});

for (const [colorScheme, locale] of [['light', 'en'], ['dark', 'ko']] as [('light' | 'dark'), Locale][]) {
  test(`axe finds nothing in the menu and the dialogs of a host: ${colorScheme}, ${locale}`, async ({ person, name }) => {
    test.setTimeout(150_000);
    const context = { colorScheme, reducedMotion: 'reduce' as const };
    const ann = await person('Ann', { locale, context });
    const ben = await person('Ben', { locale });
    const host = new Moderation(ann);
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    await ann.page.setViewportSize({ width: 390, height: 844 });
    await host.settings.click();
    await expect(host.dialog).toBeVisible();
    await host.dialog.getByRole('button', { name: host.words.show_link }).click();
    await host.dialog.getByRole('button', { name: host.words.end, exact: true }).click();
    await expectNoViolations(ann, 'settings of the room');
    const wide = await host.dialog.evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth);
    expect(wide, 'nothing is wider than the dialog').toBe(0);
    await ann.page.keyboard.press('Escape');

    await ann.page.getByRole('button', { name: host.roomWords.show_people }).click();
    await host.menu('Ben').click();
    await expectNoViolations(ann, 'menu about a person');
    await ann.page.keyboard.press('Escape');
    await expect(host.menu('Ben')).toBeFocused();
    await host.does('Ben', 'ban');
    await expect(host.question('ban_title', 'Ben')).toBeVisible();
    await expectNoViolations(ann, 'dialog before a ban');
    await ann.page.keyboard.press('Escape');
    await expect(host.menu('Ben')).toBeFocused();
    await ann.entersCall(name, '&video=0');
    await host.showPeople.click();
    await host.menu('Ben').click();
    await expectNoViolations(ann, 'people beside the call');
  });
}
