import { expect, type BrowserContext } from '@playwright/test';

/**
 * What no journey may cause: console errors and warnings (a hydration mismatch is
 * one), uncaught exceptions, violations of the content security policy, dialogs,
 * and failed requests to our own server.
 */
export class PageErrors {
  private readonly problems: string[] = [];
  private readonly expected: RegExp[] = [];

  /** Says that this test causes such problems on purpose. */
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
      // A page that is left gives up what it was still loading; that is no failure.
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

  /** Fails the test if anything happened that it did not announce. */
  check(): void {
    const surprises = this.problems.filter((problem) => !this.expected.some((one) => one.test(problem)));
    expect(surprises, 'console, exceptions, CSP and requests stay clean').toEqual([]);
  }
}

/** What Chromium says while the server is gone or the network is cut. */
export const CONNECTION_LOST = /WebSocket connection to|net::ERR_(CONNECTION|INTERNET|NETWORK|EMPTY|SOCKET)/;
/** What Chromium says about a page whose status is 4xx or 503. */
export const ERROR_STATUS = /Failed to load resource: the server responded with a status of (404|409|503)|^answer 503/;
