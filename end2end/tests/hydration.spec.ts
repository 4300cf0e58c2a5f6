import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test, type Person } from '../support/test.ts';
import { CONNECTION_LOST, ERROR_STATUS } from '../support/page_errors.ts';
import { LABELS } from '../support/labels.ts';
import { roomPath } from '../pages/room.ts';
import { Firefox } from '../support/firefox.ts';
import { HttpProxy } from '../support/http_proxy.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Console output of a page whose module panics or does not load. */
const PANIC = /panicked at|unreachable|RuntimeError|Failed to load resource|split___|WebAssembly|memory access/;

/** Whether the page was rendered by the client instead of hydrated: the server's end marker is gone then. */
const clientRendered = (page: Page) => page.evaluate(() => document.querySelector('script[data-end]') === null);

/** Counts the documents that a page loads. */
function documents(page: Page): { count: number } {
  const seen = { count: 0 };
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) seen.count += 1;
  });
  return seen;
}

/** The link of the page without script that tries the page with script again. */
const again = (somebody: Person) => somebody.page.getByRole('alert').getByRole('link', { name: LABELS[somebody.locale].retry });

/** Makes the page dispatch the events `hydrating` and `hydrated` when its hydration begins and ends. */
async function observeHydration(page: Page): Promise<void> {
  await page.addInitScript(() => {
    let noom: any;
    Object.defineProperty(window, 'noom', {
      get: () => noom,
      set: (value) => {
        noom = new Proxy(value, {
          set: (target, name, action) => {
            target[name] = () => {
              dispatchEvent(new Event('hydrated'));
              action();
            };
            dispatchEvent(new Event('hydrating'));
            return true;
          },
        });
      },
    });
  });
}

/** Counts the DOM changes during hydration. */
async function countHydrationChanges(page: Page): Promise<void> {
  await observeHydration(page);
  await page.addInitScript(() => {
    let changes = 0;
    const observer = new MutationObserver((records) => (changes += records.length));
    addEventListener('hydrating', () => observer.observe(document.body, { childList: true, subtree: true }));
    addEventListener('hydrated', () => {
      changes += observer.takeRecords().length;
      observer.disconnect();
      (window as any).__changes = changes;
    });
  });
}

for (const locale of ['en', 'ko'] as const) {
  test(`an unmodified page is hydrated without a DOM change: ${locale}`, async ({ person, name, server, pageErrors }) => {
    pageErrors.expects(ERROR_STATUS);
    const ben = await ProtocolClient.join(server, name, 'Ben & <b>"B"</b> \'벤\'');
    for (const text of ['a & b < c > d "e" \'f\' &amp; &#x27; &nbsp;', '한글 👋🏽 ℹ️\n\n\nthree lines', 'שלום עולם \u2067x\u2069', '<script>1</script><!-- x --> https://example.org/?a=1&b=2', 'ann@example.com', '\u00a0|\u3000']) {
      await ben.sendChat(text);
    }
    const odd = await ProtocolClient.join(server, `${name} & <i> 회의`, 'Cem');
    await odd.sendChat('here');
    const ann = await person('Ann', { locale });
    await countHydrationChanges(ann.page);
    for (const path of ['/', '/?problem=x&nickname=%3Ca%26%22', roomPath(name), roomPath(`${name} & <i> 회의`), `${roomPath(name)}/call`, `${roomPath(name)}?q=lines`, `${roomPath(name)}?at=2`, '/nowhere', `/room/${'x'.repeat(80)}`]) {
      await ann.page.goto(path);
      await ann.page.waitForFunction(() => (window as any).__changes !== undefined || !document.querySelector('script[data-end]'));
      expect(await clientRendered(ann.page), path).toBe(false);
      expect(await ann.page.evaluate(() => (window as any).__changes), path).toBe(0);
      expect(await ann.page.evaluate(() => document.querySelector<HTMLElement>('script[data-page]')?.dataset.page), path).toMatch(/^[0-9a-f]{8}$/);
    }
    ben.close();
    odd.close();
  });
}

test('nodes inserted beside text fields before and during hydration break nothing', async ({ person, name, server }) => {
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  await ann.page.addInitScript(() => {
    const timer = setInterval(() => {
      for (const field of document.querySelectorAll('textarea, input')) {
        if (field.nextElementSibling?.localName !== 'lt-highlighter') field.after(document.createElement('lt-highlighter'));
      }
      document.querySelector('.page')?.prepend(document.createElement('lt-div'));
    }, 3);
    addEventListener('stop-extension', () => clearInterval(timer));
  });
  await ann.entersRoom(name);
  await ann.page.evaluate(() => dispatchEvent(new Event('stop-extension')));
  await ann.room.says('hello');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'hello');
  ben.close();
});

test('nodes inserted during hydration are removed', async ({ person, name, server }) => {
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  // From the check of the HTML to the end of hydration.
  await ann.page.addInitScript(() => {
    let noom: any;
    let put = 0;
    Object.defineProperty(window, 'noom', {
      get: () => noom,
      set: (value) => {
        noom = new Proxy(value, {
          set: (target, key, action) => {
            const timer = setInterval(() => {
              const field = document.querySelector('textarea');
              field?.before(document.createElement('lt-div'));
              const button = document.querySelector('.composer__send span');
              if (button?.firstChild?.nodeType === 3) {
                const font = document.createElement('font');
                button.firstChild.replaceWith(font);
                font.append('Senden');
              }
              put += 1;
              (window as any).__put = put;
            }, 0);
            target[key] = () => {
              clearInterval(timer);
              action();
            };
            return true;
          },
        });
      },
    });
  });
  await ann.entersRoom(name);
  expect(await ann.page.evaluate(() => (window as any).__put)).toBeGreaterThan(0);
  expect(await clientRendered(ann.page)).toBe(false);
  await ann.room.says('hello');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'hello');
  ben.close();
});

test('a tab of an older build whose next module is gone reaches the room by itself', async ({ person, name, pageErrors }) => {
  pageErrors.expects(PANIC);
  const ann = await person('Ann');
  let gone = true;
  await ann.page.route('**/pkg/split_*.wasm', (route) => (gone ? route.fulfill({ status: 404, body: 'not found' }) : route.continue()));
  await ann.welcome.open();
  await ann.page.waitForLoadState('networkidle');
  const loads = documents(ann.page);
  ann.page.on('request', (request) => {
    // The next document is of the current build.
    if (request.isNavigationRequest()) gone = false;
  });
  await ann.welcome.enters(name, 'Ann');
  await ann.room.expectLive();
  expect(loads.count).toBe(1);
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
});

test('a link in a tab of an older build leads to its target', async ({ person, name, server, pageErrors }) => {
  pageErrors.expects(PANIC);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  let gone = true;
  await ann.page.route('**/pkg/split_*.wasm', (route) => (gone ? route.fulfill({ status: 404, body: 'not found' }) : route.continue()));
  await ann.welcome.open();
  await ann.page.waitForLoadState('networkidle');
  ann.page.on('request', (request) => {
    if (request.isNavigationRequest()) gone = false;
  });
  await ann.welcome.entry(name).click();
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
  await ann.room.expectLive();
  ben.close();
});

test('a module that never loads leads to the page without script after one reload, with the typed text', async ({ person, name, server, pageErrors }) => {
  pageErrors.expects(PANIC);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('hello out there');
  const ann = await person('Ann');
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await ann.page.route('**/pkg/*.wasm', async (route) => {
    await held;
    await route.fulfill({ status: 404, body: 'not found' });
  });
  const loads = documents(ann.page);
  await ann.page.goto(roomPath(name));
  await ann.room.message.fill('half a sentence');
  release();
  await expect(again(ann)).toBeVisible();
  expect(loads.count).toBe(3);
  await expect(ann.room.message).toHaveValue('half a sentence');
  await expect(ann.room.log).toContainText('hello out there');
  // Chat works by plain forms, and stays on pages without script.
  await ann.room.message.press('End');
  await ann.room.send.click();
  await ann.room.sees('half a sentence');
  await expect(again(ann)).toBeVisible();
  await expect(ann.room.message).toHaveValue('');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'half a sentence');
  // A second failure does not loop.
  const before = loads.count;
  await again(ann).click();
  await ann.page.waitForURL((url) => !url.search.includes('plain'));
  await expect(again(ann)).toBeVisible();
  expect(loads.count - before).toBeLessThanOrEqual(3);
  // Back to the page with script once the module loads.
  await ann.page.unroute('**/pkg/*.wasm');
  await again(ann).click();
  await ann.room.expectLive();
  ben.close();
});

test('a page that panics while the server is down says so, and reloads when the server is back', async ({ person, name, startServer, pageErrors }) => {
  pageErrors.expects(PANIC, CONNECTION_LOST, /not today|recursive|closure/);
  const server = await startServer();
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  await ann.room.message.fill('half a sentence');
  await server.kill();
  await ann.page.evaluate(() => {
    document.createElement = ((kind: string) => {
      // The program can no longer render; the start-up script can.
      if (kind === 'p') return document.createElementNS('http://www.w3.org/1999/xhtml', 'p');
      throw new TypeError('not today');
    }) as never;
    Node.prototype.cloneNode = document.createElement as never;
  });
  await expect(ann.page.getByRole('alert').filter({ hasText: 'as soon as the server answers' })).toBeVisible({ timeout: 30_000 });
  await server.run();
  await ann.room.expectLive();
  await expect(ann.room.message).toHaveValue('half a sentence');
});

test('a room that cannot load while the server is down says so, and keeps its address and the typed text', async ({ person, name, startServer, pageErrors }) => {
  pageErrors.expects(PANIC, CONNECTION_LOST, /Failed to fetch|console warning/);
  const server = await startServer();
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('one');
  ben.close();
  const ann = await person('Ann', { server });
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await ann.page.route('**/pkg/split_*.wasm', async (route) => {
    await held;
    await route.abort();
  });
  const [asked, ready] = ['split_', 'noom.'].map((start) => ann.page.waitForEvent('request', (request) => new RegExp(`/pkg/${start}.*wasm$`).test(request.url())));
  await ann.page.goto(`${roomPath(name)}${ann.query}`);
  await asked;
  await (await ready.then((request) => request.response()))?.finished();
  await server.kill();
  release();
  await expect(ann.page.getByRole('alert').filter({ hasText: 'as soon as the server answers' })).toBeVisible({ timeout: 30_000 });
  await ann.room.message.fill('typed while nobody answers');
  await server.run();
  await expect(again(ann)).toBeVisible({ timeout: 30_000 });
  expect(new URL(ann.page.url()).searchParams.get('name')).toBe('Ann');
  await expect(ann.room.message).toHaveValue('typed while nobody answers');
});

test('a click on "Join call" during hydration leads to the call', async ({ person, name }) => {
  const ann = await person('Ann');
  await observeHydration(ann.page);
  await ann.page.addInitScript(() => {
    if (location.pathname.endsWith('/call')) return;
    // In the task after the start of hydration.
    addEventListener('hydrating', () => setTimeout(() => document.querySelector<HTMLAnchorElement>('.room__actions a')!.click()));
  });
  // The client-side router handles links to names without a space.
  await ann.page.goto(`${roomPath(name.replace(' ', '-'))}${ann.query}`);
  await ann.page.waitForURL((url) => url.pathname.endsWith('/call'));
  await expect(ann.call.controls.or(ann.page.getByRole('button', { name: 'Join now' }))).toBeVisible();
  await expect(ann.page.locator('.room__bar')).toHaveCount(0);
});

test('a failing page does not reload forever where storage is blocked', async ({ person, name, pageErrors }) => {
  pageErrors.expects(PANIC);
  const ann = await person('Ann');
  await ann.page.addInitScript(() => {
    for (const storage of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, storage, {
        get: () => {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    }
  });
  await ann.page.route('**/pkg/*.wasm', (route) => route.abort('blockedbyclient'));
  pageErrors.expects(/ERR_BLOCKED_BY_CLIENT|Failed to fetch/);
  const loads = documents(ann.page);
  await ann.page.goto(roomPath(name));
  await expect(again(ann)).toBeVisible();
  expect(loads.count).toBe(3);
});

test('without WebAssembly the page without script is shown at once', async ({ person, name, pageErrors }) => {
  pageErrors.expects(/./);
  const ann = await person('Ann');
  await ann.page.addInitScript(() => {
    delete (window as any).WebAssembly;
  });
  const loads = documents(ann.page);
  await ann.page.goto(roomPath(name));
  await expect(again(ann)).toBeVisible();
  expect(loads.count).toBe(2);
  await ann.welcome.open('?plain=1');
  await ann.welcome.enters(name, 'Ann');
  await ann.page.waitForURL((url) => url.pathname === roomPath(name) && url.search === '?plain=1');
  await expect(ann.room.message).toBeVisible();
});

test('Firefox hydrates an unmodified page, renders a modified one, and explains a failed one', async ({ name, server }) => {
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('write to ann@example.com & <b>me</b> 한글');
  const proxy = await HttpProxy.before(server);
  const firefox = await Firefox.start();
  const says = async (text: string) => {
    await expect.poll(() => firefox.evaluate(() => document.querySelectorAll('.person--me').length)).toBe(1);
    await firefox.evaluate((text) => {
      document.querySelector<HTMLTextAreaElement>('textarea[name=text]')!.value = text;
      document.querySelector<HTMLButtonElement>('.composer__send')!.click();
    }, text);
    await ben.next((frame) => frame.type === 'chat' && frame.text === text);
  };
  const rendered = () => firefox.evaluate(() => document.querySelector('script[data-end]') === null);
  try {
    await firefox.open(`${proxy.url}${roomPath(name)}?name=Fox`);
    await says('unmodified');
    expect(await rendered()).toBe(false);
    proxy.rewrite = async (html) => html.replaceAll(/<!-*>/g, '').replace('<body>', '<body><div>menu</div>');
    await firefox.open(`${proxy.url}${roomPath(name)}?name=Fox`);
    await says('modified in transit');
    expect(await rendered()).toBe(true);
    proxy.rewrite = async (html) => html.replaceAll('.wasm"', '.gone"');
    await firefox.open(`${proxy.url}${roomPath(name)}?name=Fox`);
    await expect.poll(() => firefox.evaluate(() => document.querySelector('.plain a.button')?.textContent ?? '')).toBe('Try again');
  } finally {
    await firefox.close();
    await proxy.stop();
    ben.close();
  }
});

test('a browser that does not know module scripts gets the page without script', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.page.route((url) => url.pathname === roomPath(name) && !url.search, async (route) => {
    const answer = await route.fetch();
    const html = await answer.text();
    await route.fulfill({ response: answer, body: html.replace('type="module"', 'type="unheard-of"') });
  });
  await ann.page.goto(roomPath(name));
  await expect(again(ann)).toBeVisible();
});

for (const [locale, colorScheme] of [['en', 'light'], ['ko', 'dark']] as const) {
  test(`the page without script reads well and axe finds nothing: ${locale}, ${colorScheme}`, async ({ person, name, server }) => {
    const ben = await ProtocolClient.join(server, name, 'Ben');
    await ben.sendChat('안녕하세요, hello');
    const ann = await person('Ann', { locale, context: { colorScheme, viewport: { width: 390, height: 780 } } });
    for (const path of ['/', roomPath(name), `${roomPath(name)}/call`, `${roomPath(name)}?q=hello`]) {
      await ann.page.goto(`${path}${path.includes('?') ? '&' : '?'}plain=1`);
      await expect(again(ann)).toBeVisible();
      const { violations } = await new AxeBuilder({ page: ann.page }).analyze();
      expect.soft(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`), path).toEqual([]);
      const wide = await ann.page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide, path).toBeLessThanOrEqual(390);
      await ann.page.screenshot({ path: test.info().outputPath(`plain-${path.replace(/\W+/g, '-')}.png`) });
    }
    await ann.page.goto(`${roomPath(name)}?plain=1`);
    await ann.page.keyboard.press('Tab');
    await expect(again(ann)).toBeFocused();
    await ann.room.message.fill('한글 & <b>');
    await ann.room.send.click();
    await ann.room.sees('한글 & <b>');
    await expect(again(ann)).toBeVisible();
    await expect(ann.room.message).toBeInViewport();
    ben.close();
  });
}
