import { expect, test, type Person } from '../support/test.ts';
import { Doorkeeper, Entry } from '../pages/entry.ts';
import { Invites } from '../pages/invites.ts';
import { Moderation, filled, read } from '../pages/moderation.ts';
import { audioPackets, forceMicrophone, leaveMicrophone, receivesAudio, sendsAudio } from '../support/audio_packets.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { receivedMessages } from '../support/protocol_client.ts';
import type { Server } from '../support/server.ts';

/** Somebody in the room, with what their page has received. */
interface Inside {
  person: Person;
  received: ReturnType<typeof receivedMessages>;
}

/** Observes a page that opens its connection after this. */
const observed = (person: Person): Inside => ({ person, received: receivedMessages(person.page) });

/** Kills the server, starts it again, and waits until the open pages of these people are in the room, with no refusal before. */
async function outlivesKill(server: Server, inside: Inside[]): Promise<void> {
  const since = inside.map(({ received }) => received.length);
  await server.kill();
  await server.run();
  for (const [i, { person, received }] of inside.entries()) {
    const answer = () => received.slice(since[i]).find(({ type }) => ['joined', 'waiting', 'error'].includes(type));
    await expect.poll(answer, { message: `${person.name} is in the room again`, timeout: 30_000 }).toMatchObject({ type: 'joined' });
  }
}

test('when the server was killed, a password, invites and a lock let in who was inside and nobody new', async ({
  person, name, startServer, pageErrors,
}) => {
  test.setTimeout(180_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const context = { permissions: ['clipboard-read', 'clipboard-write'] };
  const ann = await person('Ann', { server, locale: 'ko', context });
  const [ben, cleo, dan] = [await person('Ben', { server }), await person('Cleo', { server }), await person('Dan', { server })];
  const inside = [ann, ben, cleo].map(observed);
  const [door, invites] = [new Doorkeeper(ann), new Invites(ann)];
  const [benEntry, cleoEntry, danEntry] = [ben, cleo, dan].map((somebody) => new Entry(somebody));

  await ann.entersRoom(name);
  await door.setPassword('open sesame');
  await invites.host.openSettings();
  const tokenOf = async (nickname: string, uses: string) => (await invites.copies(await invites.makes(nickname, uses))).split('#invite=')[1];
  const used = await tokenOf('Cleo', 'one_person');
  const revoked = await tokenOf('Eve', 'any_number');
  const row = (nickname: string) => invites.section.getByRole('group').filter({ hasText: nickname });
  await invites.revokes(row('Eve'));
  await invites.host.closeSettings();
  await benEntry.visits(name);
  await benEntry.types('open sesame');
  await ben.room.expectLive();
  await cleoEntry.visits(name, `#invite=${used}`);
  await cleo.room.expectLive();

  await outlivesKill(server, inside);
  await ann.room.says('everybody still here?');
  for (const somebody of [ann, ben, cleo]) {
    await somebody.room.sees('everybody still here?');
    await somebody.room.expectPeople(3);
  }
  await danEntry.visits(name);
  await danEntry.expectPage('password');
  await danEntry.visits(name, `#invite=${used}`);
  await danEntry.expectPage('invite_used_up');
  await danEntry.visits(name, `#invite=${revoked}`);
  await danEntry.expectPage('bad_invite');
  await dan.page.getByRole('button', { name: danEntry.words.drop_invite, exact: true }).click();
  await danEntry.expectPage('password');
  await invites.host.openSettings();
  await expect(row('Cleo').getByText(invites.words.used_up)).toBeVisible();
  await expect(row('Eve')).toHaveCount(0);
  await invites.host.closeSettings();

  // Who is inside returns into a locked room; the right password is not enough for anybody else.
  await invites.host.switches('lock', true);
  await expect(ben.page.getByText(read('en', 'hosts').locked_note)).toBeVisible();
  await outlivesKill(server, inside);
  await danEntry.types('open sesame');
  await expect(danEntry.heading(read('en', 'room').locked_title)).toBeVisible();
  await cleo.page.reload();
  await cleo.room.expectLive();
  for (const somebody of [ann, ben, cleo]) await somebody.room.expectPeople(3);
  await invites.host.switches('lock', false);
  await danEntry.tryAgain.click();
  await dan.room.expectLive();
  await ann.room.expectPeople(4);
});

test('when the server was killed, hosts, co-hosts and bans are as before, and a microphone that hosts hold off reaches nobody', async ({
  person, name, startServer, pageErrors,
}) => {
  test.setTimeout(240_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const ann = await person('Ann', { server, locale: 'ko' });
  const [ben, cleo, dan] = [await person('Ben', { server }), await person('Cleo', { server }), await person('Dan', { server })];
  const inside = [ann, ben, cleo].map(observed);
  const [host, coHost] = [new Moderation(ann), new Moderation(ben)];
  const isMuted = /마이크 꺼짐/;
  const banned = dan.page.getByRole('heading', { level: 1, name: coHost.roomWords.banned_title, exact: true });
  const again = dan.page.getByRole('button', { name: 'Try again', exact: true });

  await ann.entersRoom(name);
  for (const somebody of [ben, dan]) await somebody.entersRoom(name);
  await host.does('Ben', 'make_co_host');
  await coHost.expectRole('Ben', 'co_host');
  await host.sendsAway('Dan', 'ban');
  await expect(banned).toBeVisible();
  await ann.entersCall(name, '&video=0');
  await cleo.entersCall(name, '&video=0');
  await ann.call.expectTiles(2);
  await receivesAudio(ann.page);
  await host.showPeople.click();
  await host.does('Cleo', 'mute');
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ann.page.keyboard.press('Escape');
  await ann.call.expectSays('Cleo', isMuted);

  // A mute is for the stay; its page keeps it over the kill, and nobody else switches it on.
  await outlivesKill(server, inside);
  await ann.call.expectTiles(2);
  await cleo.call.expectTiles(2);
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ann.call.expectSays('Cleo', isMuted);
  await receivesAudio(cleo.page);
  await cleo.call.microphone.click();
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ann.call.expectSaysNot('Cleo', isMuted);
  await receivesAudio(ann.page);

  // Where only hosts unmute, the server itself keeps microphones off.
  await host.switches('host_unmutes', true);
  await expect(cleo.call.microphone).toHaveAttribute('aria-disabled', 'true');
  await outlivesKill(server, inside);
  await ann.call.expectTiles(2);
  await expect(cleo.call.microphone).toHaveAttribute('aria-disabled', 'true');
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(cleo.call.microphone).toHaveAccessibleDescription(coHost.words.waits_for_host);
  await ann.call.expectSays('Cleo', isMuted);
  await receivesAudio(cleo.page);
  await expect(async () => {
    await forceMicrophone(cleo.page);
    await sendsAudio(cleo.page);
  }).toPass({ timeout: 60_000 });
  const before = (await audioPackets(ann.page)).received;
  const dropped = await server.metric('noom_media_muted_packets_total');
  await sendsAudio(cleo.page);
  expect((await audioPackets(ann.page)).received, 'no packet of a muted microphone arrives').toBe(before);
  expect(await server.metric('noom_media_muted_packets_total')).toBeGreaterThan(dropped);
  await leaveMicrophone(cleo.page);
  await host.showPeople.click();
  await host.does('Cleo', 'ask_to_unmute');
  await cleo.page.getByRole('button', { name: coHost.words.unmute, exact: true }).click();
  await expect(cleo.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await receivesAudio(ann.page);

  // A ban is in force, and the co-host may still lift it.
  const refused = dan.page.waitForEvent('websocket').then((socket) =>
    socket.waitForEvent('framereceived', ({ payload }) => String(payload).includes('"banned"')),
  );
  await again.click();
  await refused;
  await expect(banned).toBeVisible();
  await coHost.expectRole('Ann', 'host');
  await coHost.expectRole('Ben', 'co_host');
  await coHost.expectRole('Cleo', null);
  await coHost.openSettings();
  await coHost.dialog.getByRole('button', { name: filled(coHost.words.let_in_name, { name: 'Dan' }) }).click();
  await expect(coHost.dialog.getByText(coHost.words.no_bans)).toBeVisible();
  await coHost.closeSettings();
  await again.click();
  await dan.room.expectLive();

  // The host loads the page again.
  await ann.entersRoom(name);
  await host.expectRole('Ann', 'host');
  await host.expectRole('Ben', 'co_host');
  await host.does('Ben', 'make_guest');
  await coHost.expectRole('Ben', null);
  await expect(coHost.settings).toHaveCount(0);
});
