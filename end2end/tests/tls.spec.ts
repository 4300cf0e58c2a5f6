import { AxeBuilder } from '@axe-core/playwright';
import { chromium, request } from '@playwright/test';
import { readFile, rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { canTrust, trustingHome } from '../support/certificate.ts';
import { launch } from '../support/chromium.ts';
import { videoOf } from '../support/media.ts';
import { expect, note, test } from '../support/test.ts';

/** Addresses that a local authority may sign for. */
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|f[cd])/;

/** A private address of this machine that is not loopback, as the host of a URL. */
function privateHost(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find(({ address, internal }) => !internal && PRIVATE.test(address));
  return found && (found.family === 'IPv6' ? `[${found.address}]` : found.address);
}

test('a device that trusts the authority calls over https at an address of the network', async ({ name, person, startServer }) => {
  const host = privateHost();
  test.skip(!host || !canTrust(), 'no private address, or certutil is not installed');
  test.setTimeout(120_000);
  const server = await startServer({ selfSigned: true, host, p2pMax: 0, turn: true });
  const stored = await readFile(join(server.dataDir, 'tls', 'local-authority.pem'), 'utf8');
  const home = await trustingHome(stored.slice(stored.indexOf('-----BEGIN CERTIFICATE-----')));
  const browser = await chromium.launch({ ...launch(), env: { ...process.env, HOME: home } as Record<string, string> });
  try {
    const [ann, bob] = [await person('Ann', { server, browser }), await person('Bob', { server, browser })];
    await ann.entersCall(name);
    await bob.entersCall(name);

    await expect.poll(async () => (await videoOf(ann, 'Bob')).frames).toBeGreaterThan(20);
    await expect.poll(async () => (await videoOf(bob, 'Ann')).frames).toBeGreaterThan(20);
    expect(await ann.page.evaluate(() => isSecureContext)).toBe(true);
    const protocol = await ann.page.evaluate(() => {
      const [page] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
      return page.nextHopProtocol;
    });
    expect(protocol).toBe('h2');
    note('address', server.url);
  } finally {
    await browser.close();
    await rm(home, { recursive: true, force: true });
  }
});

test('a device that does not trust the authority yet is shown how, in both languages', async ({ browser, startServer }) => {
  const server = await startServer({ selfSigned: true });
  for (const [lang, title] of [['en', 'Trust this server on your device'], ['ko', '기기에서 이 서버를 신뢰하기']] as const) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: true, viewport: { width: 390, height: 844 } });
    const page = await context.newPage();
    await page.goto(`${server.url}/lan?lang=${lang}`);
    await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible();
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('a[download]').click()]);
    expect(await readFile(await download.path(), 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await context.close();
  }
});

test('an address typed without https leads to https', async ({ startServer }) => {
  const server = await startServer({ selfSigned: true });
  const client = await request.newContext({ ignoreHTTPSErrors: true });
  const answer = await client.get(`http://127.0.0.1:${server.port}/?lang=ko`);
  expect(answer.status()).toBe(200);
  expect(answer.url()).toBe(`${server.url}/?lang=ko`);
  await client.dispose();
});
