import { Person, expect, test as base } from '../support/test.ts';
import { COLOURS, expectVideo, expectAudio, paintCamera } from '../support/media.ts';
import { observeCalls } from '../support/rtc.ts';
import { BrowserWindow } from '../support/browser_window.ts';
import { roomPath } from '../pages/room.ts';

const test = base.extend<{ window: BrowserWindow }>({
  // Depends on `startServer`, so that it closes before its server does.
  window: async ({ playwright, startServer: _ }, use) => {
    const window = await BrowserWindow.open(playwright);
    await use(window);
    await window.close();
  },
});

/** What has come in so far: bytes and frames of pictures, and packets of sound. */
function received({ page }: Person): Promise<{ bytes: number; frames: number; sounds: number }> {
  return page.evaluate(async () => {
    const sum = { bytes: 0, frames: 0, sounds: 0 };
    for (const { pc } of window.__rtc.connections) {
      for (const report of (await pc.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'audio') sum.sounds += report.packetsReceived;
        else [sum.bytes, sum.frames] = [sum.bytes + report.bytesReceived, sum.frames + report.framesReceived];
      }
    }
    return sum;
  });
}

/** Waits until a second's worth of sound, and more, has come without a byte of a picture. */
async function expectSoundAlone(somebody: Person): Promise<void> {
  let since = await received(somebody);
  const alone = async () => {
    const now = await received(somebody);
    if (now.bytes !== since.bytes || now.frames !== since.frames) since = now;
    return now.sounds - since.sounds;
  };
  await expect.poll(alone, { message: 'sound comes and no picture', timeout: 30_000 }).toBeGreaterThan(75);
}

test('a page that is hidden takes no pictures, only voices, until it is shown again', async ({
  name, person, pageErrors, startServer, window,
}) => {
  test.setTimeout(150_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = new Person('Ann', window.context, window.page, 'en');
  await pageErrors.watch(window.context, server.url);
  await observeCalls(window.context);
  await paintCamera(ann.page, COLOURS.Ann);
  await ann.page.goto(`${server.url}${roomPath(name)}/call${ann.query}`);
  await ann.call.joinNow.click();
  await ann.call.expectEntered();
  const ben = await person('Ben', { server });
  await paintCamera(ben.page, COLOURS.Ben);
  await ben.entersCall(name);
  await expectVideo(ann, 'Ben');

  await window.set('minimized');
  await expectSoundAlone(ann);
  for (const { page } of [ann, ben]) await expectAudio(page, 1);
  await expectSoundAlone(ann);
  await window.set('normal');
  await expectVideo(ann, 'Ben');
});
