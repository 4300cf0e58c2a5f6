import { expect, test, type Person } from '../support/test.ts';
import { COLOURS, expectVideo, paintCamera } from '../support/media.ts';
import { SpeakingIndicator, cough, setVolume } from '../support/speaking.ts';
import type { Server } from '../support/server.ts';

type Bring = (nickname: string, options?: { server?: Server }) => Promise<Person>;

/** A call of people with silent microphones, who see each other. */
async function silentCall(person: Bring, server: Server, room: string, nicknames: string[]): Promise<Person[]> {
  const people: Person[] = [];
  for (const nickname of nicknames) {
    const somebody = await person(nickname, { server });
    await paintCamera(somebody.page, COLOURS[nickname], [320, 180], false, 0, 10);
    await somebody.entersCall(room);
    people.push(somebody);
  }
  for (const other of nicknames.slice(1)) await expectVideo(people[0], other);
  return people;
}

/** Somebody starts to make sound and is shown as speaking. */
async function expectSpeaking(somebody: Person, sign: SpeakingIndicator): Promise<void> {
  expect(await sign.speaks(), `${somebody.name} is not shown before`).toBe(false);
  await setVolume(somebody, 1);
  await sign.expectTurn(true);
}

test('the active speaker is shown, and a cough changes no active speaker', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 2 });
  const [ann, ben, cleo] = await silentCall(person, server, name, ['Ann', 'Ben', 'Cleo']);
  const [bens, cleos] = [await SpeakingIndicator.over(ann, 'Ben'), await SpeakingIndicator.over(ann, 'Cleo')];
  const isFront = /tile--front/;

  await expectSpeaking(ben, bens);
  await expect(ann.call.tile('Ben')).toHaveClass(isFront);
  expect(await cleos.turns(), 'a silent person is not shown as speaking').toEqual([]);
  // Once while Ben speaks, once in a pause.
  await cough(cleo, ann, 1);
  expect(await bens.turns()).toHaveLength(1);
  await setVolume(ben, 0);
  await bens.expectTurn(false);
  await cough(cleo, ann, 0);
  await expect(ann.call.tile('Cleo')).not.toHaveClass(isFront);

  await expectSpeaking(cleo, cleos);
  await expect(ann.call.tile('Cleo')).toHaveClass(isFront);
  expect(await bens.turns()).toHaveLength(2);
});

test('browser to browser, the active speaker is shown and a silent person is not', async ({ person, name, startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 2 });
  const [ann, ben] = await silentCall(person, server, name, ['Ann', 'Ben']);
  const [bens, anns] = [await SpeakingIndicator.over(ann, 'Ben'), await SpeakingIndicator.over(ben, 'Ann')];
  await expectSpeaking(ben, bens);
  await setVolume(ben, 0);
  await bens.expectTurn(false);
  expect(await anns.turns(), 'a silent person is not shown as speaking').toEqual([]);
  await expectSpeaking(ann, anns);
  expect(await bens.turns(), 'only once').toHaveLength(2);
});
