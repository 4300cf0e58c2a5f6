import { expect, note, test, type Person } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { HtmlMutator } from '../support/html_mutator.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Mutations of each page; MUTATIONS overrides it. */
const EACH = Number(process.env.MUTATIONS ?? 100);
/** How long a page may take until it works or explains itself, in ms; MUTATIONS_WITHIN_MS overrides it. */
const WITHIN_MS = Number(process.env.MUTATIONS_WITHIN_MS ?? 10_000);

/** The link that the page without script shows. */
const EXPLAINED = '.plain[role=alert] a.button--primary';

interface Journey {
  path: (room: string, ann: Person) => string;
  /** Uses the page once; rejects if it does not work. */
  works: (ann: Person, ben: ProtocolClient, room: string, seed: number) => Promise<void>;
}

const JOURNEYS: Record<string, Journey> = {
  room: {
    path: (room, ann) => `${roomPath(room)}${ann.query}`,
    works: async (ann, ben, _room, seed) => {
      const text = `message ${seed}`;
      // Selectors, because names are among what is mutated.
      const message = ann.page.locator('textarea[name=text]');
      await ann.page.locator('.person--me').first().waitFor({ timeout: WITHIN_MS });
      await message.fill(text, { timeout: WITHIN_MS });
      await message.press('Enter', { timeout: WITHIN_MS });
      await ben.next((frame) => frame.type === 'chat' && frame.text === text, WITHIN_MS);
      await expect(ann.page.locator('.page')).toHaveCount(1, { timeout: WITHIN_MS });
    },
  },
  welcome: {
    path: () => '/',
    works: async (ann, _ben, room) => {
      await ann.page.locator('a.rooms__link').first().waitFor({ timeout: WITHIN_MS });
      const theme = ann.page.locator('button.theme');
      const before = await theme.getAttribute('aria-pressed', { timeout: WITHIN_MS });
      await expect(async () => {
        await theme.click({ timeout: WITHIN_MS });
        expect(await theme.getAttribute('aria-pressed')).not.toBe(before);
      }).toPass({ timeout: WITHIN_MS, intervals: [20, 50, 100] });
      await ann.page.locator('input[name=room]').fill(room, { timeout: WITHIN_MS });
      await ann.page.locator('.form button[type=submit]').first().click({ timeout: WITHIN_MS });
      await ann.page.waitForURL((url) => url.pathname === roomPath(room), { timeout: WITHIN_MS });
      await ann.page.locator('textarea[name=text]').waitFor({ timeout: WITHIN_MS });
      await expect(ann.page.locator('.page')).toHaveCount(1, { timeout: WITHIN_MS });
    },
  },
};

for (const [what, { path, works }] of Object.entries(JOURNEYS)) {
  test(`whatever changes the HTML of a page on its way, it works or explains itself: ${what}`, async ({ person, name, server, pageErrors }) => {
    test.setTimeout(10 * 60_000);
    // The mutations add foreign scripts and form fields.
    pageErrors.expects(/cdn-cgi|console warning/, ...(process.env.MUTATIONS_WITHIN_MS ? [/./] : []));
    const ben = await ProtocolClient.join(server, name, 'Ben');
    await ben.sendChat('write to ann@example.com & <b>me</b>');
    await ben.sendChat('한글도 있어요');
    const proxy = await HttpProxy.before(server);
    const ann = await person('Ann', { server: proxy });
    const mutator = await HtmlMutator.in(ann.context);
    await ann.page.bringToFront();
    let [seed, mutation] = [0, ''];
    proxy.rewrite = async (html) => {
      const mutated = await mutator.mutate(html, seed);
      mutation = mutated.what;
      return mutated.html;
    };

    const failures: string[] = [];
    let explained = 0;
    const start = Date.now();
    for (seed = 0; seed < EACH; seed += 1) {
      await ann.page.goto(path(name, ann));
      try {
        const outcome = await Promise.any([
          works(ann, ben, name, seed).then(() => 'works'),
          ann.page.waitForSelector(EXPLAINED, { timeout: WITHIN_MS }).then(() => 'explained'),
        ]);
        if (outcome === 'explained') explained += 1;
      } catch {
        failures.push(`${what} ${seed}: ${mutation}`);
        if (process.env.MUTATIONS_WITHIN_MS) console.log(failures.at(-1));
      }
    }
    const summary = `${EACH} mutations of ${what} in ${Math.round((Date.now() - start) / 1000)} s: ${failures.length} failed, ${explained} explained`;
    note('mutations', summary);
    console.log([summary, ...failures].join('\n'));
    ben.close();
    await ann.context.close();
    await proxy.stop();
    expect(failures).toEqual([]);
    // The explanation is for what cannot be repaired; all of these mutations can.
    expect(explained, 'pages that only explain themselves').toBeLessThanOrEqual(EACH / 20);
  });
}
