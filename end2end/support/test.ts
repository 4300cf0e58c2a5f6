import { randomUUID } from 'node:crypto';
import {
  expect,
  test as base,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';
import { Call } from '../pages/call.ts';
import { Room } from '../pages/room.ts';
import { Welcome } from '../pages/welcome.ts';
import { PageErrors } from './page_errors.ts';
import { observeCalls, type Refusal } from './rtc.ts';
import { Server, type ServerOptions } from './server.ts';
import { LABELS, type Locale } from './labels.ts';

export { expect };

/** Adds a figure to the report of the running test. */
export const note = (type: string, description: string) => test.info().annotations.push({ type, description });

/** A person with their own browser context. */
export class Person {
  readonly welcome: Welcome;
  readonly room: Room;
  readonly call: Call;

  constructor(
    readonly name: string,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly locale: Locale,
  ) {
    const words = LABELS[locale];
    this.welcome = new Welcome(page, words);
    this.room = new Room(page, words);
    this.call = new Call(page, words);
  }

  /** The query that presets the nickname. */
  get query(): string {
    return `?name=${encodeURIComponent(this.name)}`;
  }

  async entersRoom(room: string): Promise<void> {
    await this.room.open(room, this.query);
  }

  async entersCall(room: string, more = ''): Promise<void> {
    await this.call.open(room, `${this.query}${more}`);
  }
}

export interface PersonOptions {
  /** Base of their pages: a server or a proxy. */
  server?: { readonly url: string };
  locale?: Locale;
  refusal?: Refusal;
  context?: BrowserContextOptions;
  browser?: Browser;
}

interface TestFixtures {
  /** A unique room name. */
  name: string;
  pageErrors: PageErrors;
  /** Creates a person with a new browser context. */
  person: (nickname: string, options?: PersonOptions) => Promise<Person>;
  /** Starts a server for this test. */
  startServer: (options?: ServerOptions) => Promise<Server>;
}

interface WorkerFixtures {
  /** The server that the tests of a worker share. */
  server: Server;
}

const LANGUAGES: Record<Locale, string> = { en: 'en-US', ko: 'ko-KR' };

export const test = base.extend<TestFixtures, WorkerFixtures>({
  server: [
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.stop();
    },
    { scope: 'worker', timeout: 60_000 },
  ],

  name: async ({}, use) => {
    await use(`team ${randomUUID().slice(0, 8)}`);
  },

  pageErrors: [
    async ({ server }, use) => {
      const pageErrors = new PageErrors();
      const from = server.log.length;
      await use(pageErrors);
      pageErrors.check();
      expect(server.log.slice(from), 'nothing panics in the server').not.toMatch(/panicked at/);
    },
    { auto: true },
  ],

  startServer: async ({}, use) => {
    const servers: Server[] = [];
    await use(async (options) => {
      const server = await Server.start(options);
      servers.push(server);
      return server;
    });
    for (const server of servers) {
      await server.stop();
      expect(server.log, 'nothing panics in the server').not.toMatch(/panicked at/);
    }
  },

  // Depends on `startServer`, so that pages close before their servers.
  person: async ({ browser, server, pageErrors, startServer: _ }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (nickname, options = {}) => {
      const locale = options.locale ?? 'en';
      const url = (options.server ?? server).url;
      const context = await (options.browser ?? browser).newContext({
        baseURL: url,
        locale: LANGUAGES[locale],
        ...options.context,
      });
      contexts.push(context);
      await pageErrors.watch(context, url);
      await observeCalls(context, options.refusal);
      return new Person(nickname, context, await context.newPage(), locale);
    });
    // Closes all at once: what the others see of it is not part of the test.
    await Promise.all(contexts.map((context) => context.close()));
  },
});
