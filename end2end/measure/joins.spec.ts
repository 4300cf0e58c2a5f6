import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '../support/test.ts';
import { COLOURS, expectVideo, paintCamera } from '../support/media.ts';

/** Number of joins; JOINS overrides it. */
const JOINS = Number(process.env.JOINS ?? 50);

for (const [way, p2pMax] of [['through the server', 0], ['browser to browser', 2]] as const) {
  test(`from the click on “Join call” to the first frame of somebody else, ${way}`, async ({ person, name, startServer }) => {
    const server = await startServer({ p2pMax });
    const ann = await person('Ann', { server });
    const ben = await person('Ben', { server });
    for (const somebody of [ann, ben]) await paintCamera(somebody.page, COLOURS[somebody.name]);
    await ann.entersCall(name);
    await ben.entersRoom(name);
    await ben.room.expectLive();
    const times: number[] = [];
    for (let turn = 0; turn < JOINS; turn += 1) {
      await ben.page.evaluate(() => {
        const seen = ((window as any).__first = { clicked: 0, frame: 0 });
        addEventListener('click', () => (seen.clicked ||= performance.now()), { capture: true, once: true });
        const watch = () => {
          // Not one's own tile.
          const video = document.querySelectorAll<HTMLVideoElement>('.stage .tile:not(.tile--me) video')[0];
          if (video && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 0) {
            seen.frame = performance.now();
          } else requestAnimationFrame(watch);
        };
        requestAnimationFrame(watch);
      });
      await ben.room.joinCall.click();
      await expect
        .poll(() => ben.page.evaluate(() => (window as any).__first.frame as number), { timeout: 30_000, intervals: [50] })
        .toBeGreaterThan(0);
      times.push(await ben.page.evaluate(() => (window as any).__first.frame - (window as any).__first.clicked));
      if (turn === 0) await expectVideo(ben, 'Ann');
      await ben.call.leave.click();
      await ann.call.expectTiles(1);
      await ben.room.expectLive();
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]);
    const figures = { way, joins: times.length, p50: at(0.5), p95: at(0.95), least: at(0), most: at(1) };
    console.log(figures);
    const folder = join(import.meta.dirname, '../../target/bench');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `joins-${p2pMax}.json`), JSON.stringify({ ...figures, times }, null, 2));
  });
}
