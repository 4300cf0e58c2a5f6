import { expect, type BrowserContext } from '@playwright/test';

/**
 * What the loader of wasm modules adds to the browser's own report of a failed request, which is a
 * problem of its own. Pages load the module of the dialogs ahead, also while a test stops the server.
 */
const MODULE_LOST = /^console error: TypeError: Failed to fetch\s+at \S+\/pkg\/__wasm_split\./;

/**
 * Errors that fail a test: console errors and warnings (a hydration mismatch is one), uncaught
 * exceptions, violations of the content security policy, dialogs, and failed requests to the server.
 */
export class PageErrors {
  private readonly problems: string[] = [];
  private readonly expected: RegExp[] = [MODULE_LOST];

  /** Allows errors that this test causes on purpose. */
  expects(...patterns: RegExp[]): void {
    this.expected.push(...patterns);
  }

  async watch(context: BrowserContext, origin: string): Promise<void> {
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`CSP violation: ${event.violatedDirective} by ${event.blockedURI || 'inline'}`);
      });
    });
    context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        this.note(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on('weberror', (error) => {
      const { name, message, stack } = error.error();
      this.note(`exception: ${stack || `${name}: ${message}`}`);
    });
    context.on('dialog', async (dialog) => {
      this.note(`dialog: ${dialog.type()} ${dialog.message()}`);
      await dialog.dismiss().catch(() => undefined);
    });
    context.on('requestfailed', (request) => {
      const reason = request.failure()?.errorText ?? '';
      // Navigation aborts the requests of the previous page.
      if (reason === 'net::ERR_ABORTED' || !request.url().startsWith(origin)) return;
      this.note(`request failed: ${request.method()} ${request.url()} ${reason}`);
    });
    context.on('response', (response) => {
      if (response.status() >= 500) this.note(`answer ${response.status()}: ${response.url()}`);
    });
  }

  private note(problem: string): void {
    this.problems.push(problem);
  }

  /** Fails the test on an error that it does not allow. */
  check(): void {
    const surprises = this.problems.filter((problem) => !this.expected.some((one) => one.test(problem)));
    expect(surprises, 'console, exceptions, CSP and requests stay clean').toEqual([]);
  }
}

/** Console output of Chromium while the server or the network is down. */
export const CONNECTION_LOST = /WebSocket connection to|net::ERR_(CONNECTION|INTERNET|NETWORK|EMPTY|SOCKET)/;
/** Console output of Chromium about a page with status 4xx or 503. */
export const ERROR_STATUS = /Failed to load resource: the server responded with a status of (404|409|503)|^answer 503/;
