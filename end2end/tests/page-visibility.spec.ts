import { Person, expect, test as base } from '../support/test.ts';
import { COLOURS, expectVideo, expectAudio, paintCamera } from '../support/media.ts';
import { observeCalls } from '../support/rtc.ts';
import { BrowserWindow } from '../support/browser_window.ts';
import { roomPath } from '../pages/room.ts';

const test = base.extend<{ window: BrowserWindow }>({
  // Depends on `startServer`, so that it closes before its server.
  window: async ({ playwright, startServer: _ }, use) => {
    const window = await BrowserWindow.open(playwright);
    await use(window);
    await window.close();
  },
});

/** What a page has received so far: bytes and frames of video, packets of audio. */
function received({ page }: Person): Promise<{ bytes: number; frames: number; audioPackets: number }> {
  return page.evaluate(async () => {
    const sum = { bytes: 0, frames: 0, audioPackets: 0 };
    for (const { pc } of window.__rtc.connections) {
      for (const report of (await pc.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'audio') sum.audioPackets += report.packetsReceived;
        else [sum.bytes, sum.frames] = [sum.bytes + report.bytesReceived, sum.frames + report.framesReceived];
      }
    }
    return sum;
  });
}

/** Waits until 1.5 s of audio have arrived without a byte of video. */
async function expectAudioOnly(somebody: Person): Promise<void> {
  let since = await received(somebody);
  const alone = async () => {
    const now = await received(somebody);
    if (now.bytes !== since.bytes || now.frames !== since.frames) since = now;
    return now.audioPackets - since.audioPackets;
  };
  await expect.poll(alone, { message: 'audio and no video', timeout: 30_000 }).toBeGreaterThan(75);
}

test('a hidden page receives audio and no video until it is visible again', async ({
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
  await expectAudioOnly(ann);
  for (const { page } of [ann, ben]) await expectAudio(page, 1);
  await expectAudioOnly(ann);
  await window.set('normal');
  await expectVideo(ann, 'Ben');
});
