import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { roomPath } from '../pages/room.ts';
import { canTrust, privateHost, trusting } from '../support/certificate.ts';
import { videoOf } from '../support/media.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { OFTEN } from '../support/poll.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import { BINARY } from '../support/server.ts';
import { expect, note, test } from '../support/test.ts';

/** Path of the previous build. `hydration.spec.ts` has the same journeys with one build. */
const BEFORE = process.env.NOOM_BIN_BEFORE;

/** Path of a Debian package to install; without it the binary alone is copied into an empty folder. */
const PACKAGE = process.env.NOOM_DEB;
/** Longest time from the file to a call in which both see each other. */
const FIRST_CALL_WITHIN_MS = 60_000;

/** Puts the package, or the binary alone, into an empty folder. Returns the path of the binary. */
async function install(folder: string): Promise<string> {
  if (PACKAGE) {
    await promisify(execFile)('dpkg-deb', ['-x', PACKAGE, folder]);
    return join(folder, 'usr', 'bin', 'noom');
  }
  const binary = join(folder, 'noom');
  await copyFile(BINARY, binary);
  return binary;
}

/** The asset paths in a page of the server. */
async function files(url: string): Promise<string[]> {
  const html = await (await fetch(`${url}/room/x`)).text();
  return [...new Set(html.match(/\/pkg\/[^"'\s]+/g))].sort();
}

test('open tabs of the previous build work with the build that replaces it', async ({ person, name, startServer, pageErrors }) => {
  test.skip(!BEFORE, 'needs the binary of another build: NOOM_BIN_BEFORE');
  pageErrors.expects(CONNECTION_LOST, /panicked at|unreachable|RuntimeError|Failed to load resource|split_|WebAssembly/);
  const server = await startServer({ binary: BEFORE });
  const under = process.env.NOOM_BIN;
  const waits = await person('Ann', { server });
  const links = await person('Lin', { server });
  const talks = await person('Ben', { server });
  await talks.entersRoom(name);
  await talks.room.says('before');
  await waits.welcome.open();
  await links.welcome.open();
  await expect(links.welcome.entry(name)).toBeVisible();
  await waits.page.waitForLoadState('networkidle');
  const [before] = [await files(server.url)];

  await server.kill('SIGTERM');
  server.binary = under ?? new URL('../../target/release/noom', import.meta.url).pathname;
  await server.run();
  const after = await files(server.url);
  note('files', `${before.filter((file) => !after.includes(file)).length} of ${before.length} files are gone`);
  expect(before.filter((file) => /split_.*wasm/.test(file)), 'another build').not.toEqual(after.filter((file) => /split_.*wasm/.test(file)));

  // A tab in the room continues with the old script.
  await talks.room.expectLive();
  await talks.room.says('after');
  const cem = await ProtocolClient.join(server, name, 'Cem');
  await cem.sendChat('hello');
  await talks.room.sees('hello');
  // A tab on the welcome page joins the room.
  const start = Date.now();
  await waits.welcome.enters(name, 'Ann');
  await waits.page.waitForURL((url) => url.pathname === roomPath(name));
  await waits.room.expectLive();
  await waits.room.sees('after');
  note('form', `${Date.now() - start} ms`);
  await links.welcome.entry(name).click();
  await links.page.waitForURL((url) => url.pathname === roomPath(name));
  await links.room.expectLive();
  // A search in the old tab calls a server function of the new build.
  await talks.room.search.fill('after');
  await talks.room.search.press('Enter');
  await expect(talks.page.getByRole('link', { name: /after/ })).toBeVisible();
  console.log(test.info().annotations.map(({ type, description }) => `${type}: ${description}`).join('\n'));
  cem.close();
});

test('from a file in an empty folder to a call over TLS takes less than a minute', async ({ name, person, startServer }) => {
  const host = privateHost();
  test.skip(!host || !canTrust(), 'no private address, or certutil is not installed');
  test.setTimeout(120_000);
  const folder = await mkdtemp(join(tmpdir(), 'noom-installed-'));
  const start = Date.now();
  const since = () => `${((Date.now() - start) / 1000).toFixed(1)} s`;
  try {
    const binary = await install(folder);
    note('installed', since());
    const server = await startServer({ binary, folder, selfSigned: true, host, p2pMax: 2, turn: true });
    note('ready', since());
    const { browser, end } = await trusting(server);
    try {
      const people = await Promise.all([person('Ann', { server, browser }), person('Ben', { server, browser })]);
      const [ann, ben] = people;
      await Promise.all(people.map((one) => one.entersCall(name)));
      const sees = async (viewer: typeof ann, of: string) => {
        const within = { message: `${viewer.name} sees ${of}`, timeout: FIRST_CALL_WITHIN_MS };
        await expect(viewer.call.video(of)).toBeVisible(within);
        await expect.poll(async () => (await videoOf(viewer, of)).frames, { ...OFTEN, ...within }).toBeGreaterThan(0);
      };
      await Promise.all([sees(ann, 'Ben'), sees(ben, 'Ann')]);
      const took = Date.now() - start;
      note('first call', since());
      expect(took).toBeLessThan(FIRST_CALL_WITHIN_MS);
      expect(await ann.page.evaluate(() => isSecureContext)).toBe(true);
      console.log(test.info().annotations.map(({ type, description }) => `${type}: ${description}`).join(', '));
    } finally {
      await end();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
