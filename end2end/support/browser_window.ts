import type { Browser, BrowserContext, CDPSession, Page, PlaywrightWorkerArgs } from '@playwright/test';
import { launch } from './chromium.ts';
import { freePort } from './server.ts';

/** A page in a window that can be minimized: Playwright holds all pages of its own in sight. */
export class BrowserWindow {
  private constructor(
    private readonly browser: Browser,
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly session: CDPSession,
  ) {}

  static async open({ chromium }: PlaywrightWorkerArgs['playwright']): Promise<BrowserWindow> {
    const port = await freePort();
    const browser = await chromium.launch(launch([`--remote-debugging-port=${port}`]));
    const [context] = (await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true })).contexts();
    const page = await context.newPage();
    return new BrowserWindow(browser, context, page, await context.newCDPSession(page));
  }

  /** Takes it out of sight, or brings it back; returns when the page knows. */
  async set(windowState: 'minimized' | 'normal'): Promise<void> {
    const { windowId } = await this.session.send('Browser.getWindowForTarget');
    await this.session.send('Browser.setWindowBounds', { windowId, bounds: { windowState } });
    await this.page.waitForFunction((hidden) => document.hidden === hidden, windowState === 'minimized', { polling: 100 });
  }

  async close(): Promise<void> {
    await this.browser.close();
  }
}
