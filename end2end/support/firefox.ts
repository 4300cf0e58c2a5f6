import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Page } from '@playwright/test';
import WebSocket from 'ws';

const NAMES = ['firefox-esr', 'firefox'];
/** Longest wait until Firefox prints where it listens. */
const READY_WITHIN_MS = 60_000;
/** Longest wait for a response of Firefox. */
const ANSWER_WITHIN_MS = 45_000;
/** Longest wait for the end of Firefox. */
const GONE_WITHIN_MS = 5_000;

/** Preferences of the profile: fake devices, no permission prompts, ICE on loopback. */
const PREFERENCES: Record<string, boolean | number | string> = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.getusermedia.insecure.enabled': true,
  'media.devices.insecure.enabled': true,
  'media.autoplay.default': 0,
  'media.peerconnection.ice.loopback': true,
  // With capture permission Firefox uses every address (RFC 8828, section 5.2, mode 1). Without, it
  // uses the default route only, from which it does not reach a server on loopback.
  'permissions.default.camera': 1,
  'permissions.default.microphone': 1,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  // No background requests, which would take CPU time from the test.
  'app.update.enabled': false,
  'app.normandy.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/** The Firefox of this machine: the variable FIREFOX, else the first found on PATH, if any. */
export function firefoxPath(): string | undefined {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}

type Answer = { done: (result: any) => void; failed: (error: Error) => void };

/**
 * A Firefox with one page, controlled by WebDriver BiDi, because Playwright controls only its own
 * Firefox build. It runs scripts like a Playwright page, see `page`.
 */
export class Firefox {
  /** Console warnings and errors of the page. */
  readonly console: string[] = [];
  private readonly waiting = new Map<number, Answer>();
  private sent = 0;
  private context = '';

  private constructor(
    private readonly process: ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data) => this.heard(JSON.parse(String(data))));
    socket.on('close', () => this.fail(new Error('Firefox has closed the connection')));
    socket.on('error', (error) => this.fail(error));
  }

  /** Starts Firefox; `insecure` lets it open pages whose certificate it does not trust. */
  static async start(insecure = false): Promise<Firefox> {
    const path = firefoxPath();
    if (!path) throw new Error('No Firefox on PATH. Run `make setup`, or set FIREFOX to one.');
    const profile = await mkdtemp(join(tmpdir(), 'noom-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
    await writeFile(join(profile, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port=0', 'about:blank'];
    const env = { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1', HOME: profile };
    const child = spawn(path, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      const socket = new WebSocket(`${await listens(child)}/session`, { perMessageDeflate: false });
      await once(socket, 'open');
      const firefox = new Firefox(child, profile, socket);
      await firefox.begin(insecure);
      return firefox;
    } catch (error) {
      await end(child, profile);
      throw error;
    }
  }

  private async begin(acceptInsecureCerts: boolean): Promise<void> {
    await this.ask('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts } } });
    await this.ask('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = await this.ask('browsingContext.getTree', {});
    this.context = contexts[0].context;
  }

  /** Opens a page and waits until it has loaded. */
  async open(url: string): Promise<void> {
    await this.ask('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  /** Runs a script in every new page before its own scripts. */
  async addInitScript<Arg>(script: (arg: Arg) => unknown, arg?: Arg): Promise<void> {
    await this.ask('script.addPreloadScript', { functionDeclaration: `() => { ${call(script, arg)}; }` });
  }

  /** Runs a function in the page. Function, argument and result are sent as text. */
  async evaluate<Result, Arg>(script: (arg: Arg) => Result | Promise<Result>, arg?: Arg): Promise<Result> {
    const answer = await this.ask('script.evaluate', {
      expression: `(async () => JSON.stringify((await ${call(script, arg)}) ?? null))()`,
      target: { context: this.context },
      awaitPromise: true,
    });
    if (answer.type === 'exception') throw new Error(`In Firefox: ${answer.exceptionDetails.text}`);
    return JSON.parse(answer.result.value);
  }

  /** For helpers that only run scripts in a page: `paintCamera`, `expectFlow`, `selectedTransports`. */
  get page(): Page {
    return this as unknown as Page;
  }

  async close(): Promise<void> {
    await this.ask('browser.close', {}).catch(() => undefined);
    this.socket.terminate();
    await end(this.process, this.profile);
  }

  private ask(method: string, params: object): Promise<any> {
    const id = (this.sent += 1);
    return new Promise((done, failed) => {
      const late = () => this.waiting.delete(id) && failed(new Error(`Firefox does not answer ${method}`));
      const timer = setTimeout(late, ANSWER_WITHIN_MS);
      this.waiting.set(id, {
        done: (result) => (clearTimeout(timer), done(result)),
        failed: (error) => (clearTimeout(timer), failed(error)),
      });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  private heard(message: any): void {
    const answer = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.type === 'success') answer?.done(message.result);
    if (message.type === 'error') answer?.failed(new Error(`Firefox: ${message.error}: ${message.message}`));
    if (message.method === 'log.entryAdded' && ['warn', 'error'].includes(message.params.level)) {
      this.console.push(`${message.params.level}: ${message.params.text}`);
    }
  }

  private fail(error: Error): void {
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }
}

/** Source text that calls a function with an argument. */
function call(script: Function, arg: unknown): string {
  return `(${script})(${arg === undefined ? '' : JSON.stringify(arg)})`;
}

/** Waits for the address on which a new Firefox listens. */
function listens(child: ChildProcess): Promise<string> {
  return new Promise((done, failed) => {
    let said = '';
    const timer = setTimeout(() => failed(new Error(`Firefox was not ready in time:\n${said}`)), READY_WITHIN_MS);
    child.stderr!.on('data', (text) => {
      said = (said + text).slice(-20_000);
      const address = /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(said)?.[1];
      if (address) clearTimeout(timer), done(address);
    });
    child.on('error', failed);
    child.on('exit', (code) => (clearTimeout(timer), failed(new Error(`Firefox ended with ${code}:\n${said}`))));
  });
}

/** Waits until a Firefox has ended, or kills it; deletes its profile. */
async function end(child: ChildProcess, profile: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const timer = setTimeout(() => child.kill('SIGKILL'), GONE_WITHIN_MS);
    await once(child, 'exit');
    clearTimeout(timer);
  }
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
