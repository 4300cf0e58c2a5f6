import { expect, note, test, type Person } from '../support/test.ts';
import { COLOURS, expectVideo, paintCamera } from '../support/media.ts';
import { SpeakingIndicator, cough, setVolume } from '../support/speaking.ts';
import type { Server } from '../support/server.ts';

type Bring = (nickname: string, options?: { server?: Server }) => Promise<Person>;

/** Some people with silent microphones in a call, who see each other. */
async function silentCall(person: Bring, server: Server, room: string, nicknames: string[]): Promise<Person[]> {
  const people: Person[] = [];
  for (const nickname of nicknames) {
    const somebody = await person(nickname, { server });
    await paintCamera(somebody.page, COLOURS[nickname], [320, 180], false, 0);
    await somebody.entersCall(room);
    people.push(somebody);
  }
  for (const other of nicknames.slice(1)) await expectVideo(people[0], other);
  return people;
}

/** Somebody begins to hum, and is shown as speaking soon; how soon is noted. */
async function expectSoon(somebody: Person, sign: SpeakingIndicator): Promise<void> {
  expect(await sign.speaks(), `${somebody.name} is not shown before`).toBe(false);
  const from = await setVolume(somebody, 1);
  const ms = (await sign.expectTurn(true)) - from;
  note(`from ${somebody.name}'s sound to the sign`, `${Math.round(ms)} ms`);
  expect(ms).toBeLessThan(3_000);
}

test('whoever speaks is shown, and a cough takes the floor from nobody', async ({ person, name, startServer }) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 2 });
  const [ann, ben, cleo] = await silentCall(person, server, name, ['Ann', 'Ben', 'Cleo']);
  const [bens, cleos] = [await SpeakingIndicator.over(ann, 'Ben'), await SpeakingIndicator.over(ann, 'Cleo')];
  const hasHadTheFloor = /tile--front/;

  await expectSoon(ben, bens);
  await expect(ann.call.tile('Ben')).toHaveClass(hasHadTheFloor);
  expect(await cleos.turns(), 'whoever is silent is not shown').toEqual([]);
  // Once while he speaks, once while he draws breath.
  await cough(cleo, ann, 1);
  expect(await bens.turns()).toHaveLength(1);
  await setVolume(ben, 0);
  await bens.expectTurn(false);
  await cough(cleo, ann, 0);
  await expect(ann.call.tile('Cleo')).not.toHaveClass(hasHadTheFloor);

  await expectSoon(cleo, cleos);
  await expect(ann.call.tile('Cleo')).toHaveClass(hasHadTheFloor);
  expect(await bens.turns()).toHaveLength(2);
});

test('whoever speaks browser to browser is shown, and whoever is silent is not', async ({ person, name, startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 2 });
  const [ann, ben] = await silentCall(person, server, name, ['Ann', 'Ben']);
  const [bens, anns] = [await SpeakingIndicator.over(ann, 'Ben'), await SpeakingIndicator.over(ben, 'Ann')];
  await expectSoon(ben, bens);
  await setVolume(ben, 0);
  await bens.expectTurn(false);
  expect(await anns.turns(), 'whoever is silent is not shown').toEqual([]);
  await expectSoon(ann, anns);
  expect(await bens.turns(), 'only once').toHaveLength(2);
});
