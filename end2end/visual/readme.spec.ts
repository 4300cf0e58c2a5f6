import { fileURLToPath } from 'node:url';
import { expect, test, type Person } from '../support/test.ts';
import { portray, type Portrait } from '../support/portrait.ts';

const PICTURE = fileURLToPath(new URL('../../docs/pictures/call.png', import.meta.url));

const PEOPLE: [string, Portrait][] = [
  ['Ann', ['#b9c7c2', '#3d5a6c', '#5b3a29']],
  ['하준', ['#cdbfa8', '#7b3f3f', '#1f1b1a']],
  ['Cleo', ['#a9b4c9', '#4b6b4b', '#8a5a2b']],
  ['Emil', ['#c9b1a9', '#40424a', '#6b6b6b']],
];

const LINES: [number, string][] = [
  [1, '날씨가 좋대요!'],
  [2, 'I bring a cake. Who has the blankets?'],
  [3, 'Me. See https://example.org/lake for the way.'],
];

test('the picture of a call in the README', async ({ person, startServer, pageErrors }) => {
  pageErrors.expects(/./);
  const server = await startServer({ p2pMax: 2 });
  const people: Person[] = [];
  for (const [place, [name, portrait]] of PEOPLE.entries()) {
    const somebody = await person(name, { server, context: { viewport: { width: 1200, height: 750 } } });
    await portray(somebody.page, portrait, place === 1);
    await somebody.entersCall('picnic', place === 1 ? '' : '&audio=0');
    people.push(somebody);
  }
  const [ann] = people;
  for (const [who, line] of LINES) {
    await people[who].room.says(line);
    await ann.room.sees(line);
  }
  await people[1].call.shareScreen.click();
  const pictures = [ann.call.screen('하준').locator('video'), ...PEOPLE.slice(1).map(([name]) => ann.call.video(name))];
  for (const picture of pictures) {
    const frames = () => picture.evaluate((video) => (video as HTMLVideoElement).getVideoPlaybackQuality().totalVideoFrames);
    // The first of them are coarse.
    await expect.poll(frames, { timeout: 40_000 }).toBeGreaterThan(80);
  }
  await ann.page.screenshot({ path: PICTURE });
});
