import { expect, note, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Path of the previous build. `hydration.spec.ts` has the same journeys with one build. */
const BEFORE = process.env.NOOM_BIN_BEFORE;

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
