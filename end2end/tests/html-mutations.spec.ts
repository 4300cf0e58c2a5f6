import { expect, note, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { HtmlMutator } from '../support/html_mutator.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Mutations of each of the two pages. */
const EACH = Number(process.env.MUTATIONS ?? 100);
/** How long a page may take until it works or explains itself. */
const WITHIN_MS = Number(process.env.MUTATIONS_WITHIN_MS ?? 10_000);

const EXPLAINED = '.plain[role=alert] a.button--primary';

test('whatever is changed in a page on its way, it works or explains itself', async ({ person, name, server, pageErrors }) => {
  test.setTimeout(20 * 60_000);
  // Foreign scripts and fields of the mutations.
  pageErrors.expects(/cdn-cgi|console warning/, ...(process.env.MUTATIONS_WITHIN_MS ? [/./] : []));
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('write to ann@example.com & <b>me</b>');
  await ben.sendChat('한글도 있어요');
  const proxy = await HttpProxy.before(server);
  const ann = await person('Ann', { server: proxy });
  const mutator = await HtmlMutator.in(ann.context);
  await ann.page.bringToFront();
  let seed = 0;
  let what = '';
  proxy.rewrite = async (html) => {
    const mutation = await mutator.mutate(html, seed);
    what = mutation.what;
    return mutation.html;
  };

  const failures: string[] = [];
  let explained = 0;
  const start = Date.now();
  const check = async (page: string, path: string, live: () => Promise<unknown>) => {
    const { page: tab } = ann;
    await tab.goto(path);
    try {
      const outcome = await Promise.any([
        live().then(() => 'works'),
        tab.waitForSelector(EXPLAINED, { timeout: WITHIN_MS }).then(() => 'explained'),
      ]);
      if (outcome === 'explained') explained += 1;
    } catch {
      failures.push(`${page} ${seed}: ${what}`);
      if (process.env.MUTATIONS_WITHIN_MS) console.log(failures.at(-1));
    }
  };
  for (seed = 0; seed < EACH; seed += 1) {
    const text = `message ${seed}`;
    await check('room', `${roomPath(name)}${ann.query}`, async () => {
      // Not by words, which are among what is changed.
      const message = ann.page.locator('textarea[name=text]');
      await ann.page.locator('.person--me').first().waitFor({ timeout: WITHIN_MS });
      await message.fill(text, { timeout: WITHIN_MS });
      await message.press('Enter', { timeout: WITHIN_MS });
      await ben.next((frame) => frame.type === 'chat' && frame.text === text, WITHIN_MS);
      await expect(ann.page.locator('.page')).toHaveCount(1, { timeout: WITHIN_MS });
    });
  }
  for (seed = 0; seed < EACH; seed += 1) {
    await check('welcome', '/', async () => {
      const entry = ann.page.locator('a.rooms__link').first();
      await entry.waitFor({ timeout: WITHIN_MS });
      const theme = ann.page.locator('button.theme');
      const before = await theme.getAttribute('aria-pressed', { timeout: WITHIN_MS });
      await expect(async () => {
        await theme.click({ timeout: WITHIN_MS });
        expect(await theme.getAttribute('aria-pressed')).not.toBe(before);
      }).toPass({ timeout: WITHIN_MS, intervals: [20, 50, 100] });
      await ann.page.locator('input[name=room]').fill(name, { timeout: WITHIN_MS });
      await ann.page.locator('.form button[type=submit]').click({ timeout: WITHIN_MS });
      await ann.page.waitForURL((url) => url.pathname === roomPath(name), { timeout: WITHIN_MS });
      await ann.page.locator('textarea[name=text]').waitFor({ timeout: WITHIN_MS });
      await expect(ann.page.locator('.page')).toHaveCount(1, { timeout: WITHIN_MS });
    });
  }
  const summary = `${2 * EACH} mutations in ${Math.round((Date.now() - start) / 1000)} s: ${failures.length} dead, ${explained} explained`;
  note('mutations', summary);
  console.log([summary, ...failures].join('\n'));
  ben.close();
  await ann.context.close();
  await proxy.stop();
  expect(failures).toEqual([]);
  // An explanation is for what cannot be mended: all of these can.
  expect(explained, 'pages that only explain themselves').toBeLessThanOrEqual(EACH / 10);
});
