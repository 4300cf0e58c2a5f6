import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Page } from '@playwright/test';
import { Check } from '../pages/check.ts';
import { canCertify } from '../support/certificate.ts';
import { launch, launchBrowser } from '../support/chromium.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { expect, test } from '../support/test.ts';

const MESSAGES = ['socket', 'poll', 'round_trip'];
const MEDIA = ['udp', 'tcp'];
const RELAY = ['turn_udp', 'turn_tcp'];
const BANDWIDTH = ['download', 'upload'];

async function expectNoViolations(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

/** Whether the page scrolls sideways. */
const isTooWide = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

for (const [lang, colorScheme, width, sentence] of [
  ['en', 'light', 1280, 'Chat and calls work on this connection.'],
  ['ko', 'dark', 390, '이 연결에서 채팅과 통화를 모두 할 수 있어요.'],
] as const) {
  test(`on a good connection every step of /check works: ${lang}, ${colorScheme}, ${width} px`, async ({ person, startServer }) => {
    const server = await startServer({ turn: true });
    const context = { colorScheme, viewport: { width, height: 844 } };
    const { page } = await person('Ann', { server, locale: lang, context });
    const check = new Check(page, lang);
    await check.open();
    await expect(page.locator('html')).toHaveAttribute('lang', lang);
    await expectNoViolations(page, 'before');
    await check.run();
    await check.expectWorks(...MESSAGES, ...MEDIA, ...RELAY, ...BANDWIDTH);
    await expect(check.step('turn_tls').locator('.check__verdict')).toHaveText(check.words.none);
    await expect(check.summary).toContainText(sentence);
    // Nothing was asked for meanwhile.
    expect(await page.evaluate(() => window.__rtc.asked)).toEqual([]);
    for (const step of ['microphone', 'camera', 'speaker']) await check.step(step).locator('[data-test]').click();
    await check.expectWorks('microphone', 'camera');
    await expect(page.getByRole('combobox')).toHaveCount(3);
    await page.locator('#check-heard').click();
    await check.expectWorks('speaker');
    await expectNoViolations(page, 'after');
    expect(await isTooWide(page)).toBe(false);
    await page.screenshot({ path: test.info().outputPath(`check-${lang}-${width}.png`), fullPage: true });
    // A second test starts from the same button.
    await page.getByRole('button', { name: check.words.again }).click();
    await expect(check.summary).not.toContainText(sentence);
    await expect(check.summary).toContainText(sentence, { timeout: 60_000 });
  });
}

test('the level of the microphone moves, and its test stops', async ({ person }) => {
  const { page } = await person('Ann');
  const check = new Check(page);
  await check.open();
  const microphone = check.step('microphone');
  const meter = page.getByRole('meter', { name: 'Level of the microphone' });
  await expect(meter).toHaveCount(0);
  await microphone.getByRole('button', { name: 'Test microphone' }).click();
  const level = () => meter.evaluate((bar: HTMLMeterElement) => bar.value);
  await expect.poll(level).toBeGreaterThan(0.1);
  await microphone.getByRole('button', { name: 'Stop' }).click();
  await expect(meter).toHaveCount(0);
  const states = await page.evaluate(() => window.__rtc.tracks.map(({ readyState }) => readyState));
  expect(states).toEqual(['ended']);
});

test('a report without addresses and names of devices is copied', async ({ person }) => {
  const { page, context } = await person('Ann');
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const check = new Check(page);
  await check.open();
  await check.run();
  await check.step('camera').locator('[data-test]').click();
  await check.expectWorks('camera');
  await page.getByRole('button', { name: 'Copy the report' }).click();
  await expect(page.getByText('The report is copied.')).toBeVisible();
  const report = await page.evaluate(() => navigator.clipboard.readText());
  expect(report).toBe(await check.report.inputValue());
  const agent = await page.evaluate(() => navigator.userAgent);
  expect(report).toContain(agent);
  expect(report).toMatch(/Media by UDP: Works .*Path: \w+\/udp → host\/udp · \[connected\]/);
  expect(report).toMatch(/Media by TCP: Works .*Path: \w+\/tcp → host\/tcp · \[connected\]/);
  expect(report).toMatch(/Bandwidth to you: Works · ≥ \d+ Mbit\/s/);
  const rest = report.replace(agent, '').replace(new URL(page.url()).origin, '');
  expect(rest).not.toMatch(/\d+\.\d+\.\d+\.\d+|fake_device|[0-9a-f]{4}:[0-9a-f]{4}|\.local/i);
});

test('a blocked WebSocket has its sentence, and chat is said to work', async ({ person, server, pageErrors }) => {
  pageErrors.expects(CONNECTION_LOST);
  const proxy = await HttpProxy.before(server);
  proxy.block();
  const { page } = await person('Ann', { server: proxy });
  const check = new Check(page);
  await check.open();
  await check.run();
  await check.expectFails('socket', /something on the way blocks WebSocket/, /long-polling instead/);
  await check.expectWorks('poll', 'round_trip', ...MEDIA, ...BANDWIDTH);
  await expect(check.summary).toContainText('Chat and calls work');
  await page.close();
  await proxy.stop();
});

test('blocked UDP has its sentence, and calls are said to work by TCP', async ({ person, startServer }) => {
  const server = await startServer({ turn: true });
  const args = ['--webrtc-ip-handling-policy=disable_non_proxied_udp'];
  const browser = await chromium.launch({ headless: true, ...launchBrowser(args) });
  const { page } = await person('Ann', { server, browser });
  const check = new Check(page);
  await check.open();
  await check.run();
  await check.expectFails('udp', /No packet gets through by UDP/, /firewall or a VPN often blocks UDP/);
  await check.expectFails('turn_udp', /The relay is not reached in this way/, /open the port of the relay/);
  await check.expectWorks(...MESSAGES, 'tcp', 'turn_tcp');
  await expect(check.summary).toContainText('calls work by TCP only');
  await page.context().close();
  await browser.close();
});

test('a relay over TLS works where the browser takes its certificate, and has its sentence where not', async ({ person, startServer, browser }) => {
  test.skip(!canCertify(), 'openssl is not installed');
  const server = await startServer({ turn: 'tls' });
  const args = [`--ignore-certificate-errors-spki-list=${server.certificate!.fingerprint}`];
  const trusting = await chromium.launch({ headless: true, ...launch(args) });
  for (const [name, used, works] of [['Ann', trusting, true], ['Ben', browser, false]] as const) {
    const { page } = await person(name, { server, browser: used });
    const check = new Check(page);
    await check.open();
    await check.run();
    await check.expectWorks('turn_udp', 'turn_tcp');
    if (works) await check.expectWorks('turn_tls');
    else await check.expectFails('turn_tls', /The relay is not reached in this way/, /direct paths are blocked, too/);
    await page.context().close();
  }
  await trusting.close();
});

test('closed media ports have their sentences, and the summary says that calls do not work', async ({ person, startServer }) => {
  // An address of nobody (RFC 5737).
  const server = await startServer({ mediaIp: '192.0.2.1' });
  const { page } = await person('민지', { server, locale: 'ko' });
  const check = new Check(page, 'ko');
  await check.open();
  await check.run();
  await check.expectFails('udp', /UDP 패킷이 오가지 못해요/, /휴대전화 핫스팟/);
  await check.expectFails('tcp', /TCP로 연결되지 않아요/, /운영자가 미디어 포트의 TCP를 열어야 해요/);
  await check.expectWorks(...MESSAGES, ...BANDWIDTH);
  await expect(check.summary).toContainText('채팅은 할 수 있지만 소리와 영상이 오가지 못해요.');
});

test('a server that is gone has its sentence', async ({ person, startServer, pageErrors }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const { page } = await person('Ann', { server });
  const check = new Check(page);
  await check.open();
  await server.kill();
  await check.run();
  await check.expectFails('socket', /The server does not answer/, /Check your internet connection/);
  await expect(check.step('udp').locator('.check__verdict')).toHaveText(check.words.none);
  await expect(check.summary).toContainText('no message reaches the server');
});

for (const [error, sentence, advice] of [
  ['NotAllowedError', /is blocked for this site/, /symbol beside the address/],
  ['NotFoundError', /^No (camera|microphone) was found/, /Plug one in/],
  ['NotReadableError', /Another application is using the device/, /Close that application/],
] as const) {
  test(`a device that fails with ${error} has its sentence`, async ({ person }) => {
    const { page } = await person('Ann', { refusal: { error } });
    const check = new Check(page);
    await check.open();
    for (const step of ['microphone', 'camera']) {
      await check.step(step).locator('[data-test]').click();
      await check.expectFails(step, sentence, advice);
    }
    await expect(page.getByRole('meter')).toHaveCount(0);
    await expectNoViolations(page, error);
  });
}

test('a browser without WebRTC or devices reads so', async ({ person }) => {
  const { page, context } = await person('Ann');
  await context.addInitScript(() => {
    Reflect.deleteProperty(window, 'RTCPeerConnection');
    Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined });
  });
  const check = new Check(page);
  await check.open();
  await check.run();
  await check.expectFails('udp', /This browser cannot make calls/, /use another browser/);
  await expect(check.summary).toContainText('this browser makes no calls');
  await check.step('camera').locator('[data-test]').click();
  await check.expectFails('camera', /gives no access to devices/, /use another one/);
});

test('without JavaScript /check says what it needs and what the server sees', async ({ person }) => {
  const { page } = await person('Ann', { context: { javaScriptEnabled: false } });
  await page.goto('/check');
  await expect(page.getByText('The test needs JavaScript')).toBeVisible();
  await expect(page.getByRole('button')).toHaveCount(0);
  const seen = page.getByRole('region', { name: 'What the server sees of you' });
  await expect(seen).toContainText('127.0.0.1');
  await expect(seen).toContainText('HTTP/1.1');
  await page.getByRole('link', { name: '한국어' }).click();
  await expect(page.getByText('JavaScript가 필요한데')).toBeVisible();
  await page.goto('/');
  await expect(page.locator('html')).toHaveAttribute('lang', 'ko');
});

test('the prejoin page leads to /check', async ({ person, name }) => {
  const { page, call } = await person('Ann');
  await call.visit(name);
  await page.getByRole('link', { name: 'Test connection and devices' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Connection and device test' })).toBeVisible();
});
