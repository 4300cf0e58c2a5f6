import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { certify, type Certificate } from './certificate.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = resolve(process.env.NOOM_BIN ?? join(HERE, '../../target/release/noom'));
/** How long a start may take until the server says it is ready. */
const READY_WITHIN_MS = 20_000;

export interface ServerOptions {
  /** Largest call browser to browser. */
  p2pMax?: number;
  /** Most people in one call. */
  callCapacity?: number;
  /** Whether it relays, and by TLS, too. */
  turn?: boolean | 'tls';
  /** Most people in one room. */
  roomCapacity?: number;
  /** The address that its media is said to be at. */
  mediaIp?: string;
  /** Variables of the process, beside those every process has. */
  env?: Record<string, string>;
  /** Another build than the one under test. */
  binary?: string;
}

/** The real binary on a free port with an empty data folder of its own. */
export class Server {
  /** Everything it has written so far. */
  log = '';
  /** What it relays by TLS with. */
  certificate?: Certificate;
  /** What runs from the next `run` on. */
  binary = BINARY;
  private process?: ChildProcess;

  private constructor(
    readonly port: number,
    readonly mediaPort: number,
    readonly turnPort: number,
    readonly metricsPort: number,
    readonly dataDir: string,
    readonly options: ServerOptions,
  ) {}

  static async start(options: ServerOptions = {}): Promise<Server> {
    if (!existsSync(BINARY)) {
      throw new Error(`There is no ${BINARY}. Run \`make build\`, or set NOOM_BIN.`);
    }
    const dataDir = await mkdtemp(join(tmpdir(), 'noom-end2end-'));
    const server = new Server(await freePort(), await freePort(), await freePort(), await freePort(), dataDir, options);
    if (options.binary) server.binary = options.binary;
    if (options.turn === 'tls') server.certificate = await certify(dataDir);
    await server.run();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The number of the process, while it runs. */
  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Starts the process again after `kill`: same port, same data. */
  async run(): Promise<void> {
    const { p2pMax = 64, roomCapacity = 100, callCapacity, turn, mediaIp = '127.0.0.1', env = {} } = this.options;
    const args = ['--listen', `127.0.0.1:${this.port}`, '--data-dir', this.dataDir];
    args.push('--media-listen', `127.0.0.1:${this.mediaPort}`, '--media-ip', mediaIp);
    args.push('--metrics-listen', `127.0.0.1:${this.metricsPort}`);
    if (callCapacity) args.push('--call-capacity', String(callCapacity));
    args.push('--turn-listen', turn ? `127.0.0.1:${this.turnPort}` : 'off');
    if (this.certificate) {
      // The host of the URL is the one that the relay is reached by.
      args.push('--public-url', this.url, '--turn-tls-listen', '127.0.0.1:0');
      args.push('--turn-tls-cert', this.certificate.chain, '--turn-tls-key', this.certificate.key);
    }
    args.push('--p2p-max', String(p2pMax), '--room-capacity', String(roomCapacity), '--log', process.env.NOOM_TEST_LOG ?? 'warn');
    const child = spawn(this.binary, args, { env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.process = child;
    child.stdout.on('data', (text) => (this.log += text));
    child.stderr.on('data', (text) => (this.log += text));
    await this.ready(child);
  }

  private async ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`The server ended with ${child.exitCode ?? child.signalCode}:\n${this.log}`);
      }
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return;
      if (Date.now() > deadline) {
        throw new Error(`The server was not ready within ${READY_WITHIN_MS} ms:\n${this.log}`);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  /** All metrics, now. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)).text();
  }

  /** The sum of a metric over its labels, now. */
  async metric(name: string): Promise<number> {
    const text = await this.metrics();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Ends the process as a power cut would. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** The settings of whoever runs the tests are not the settings under test. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(NOOM|LEPTOS)_/.test(name));
  return Object.fromEntries(entries);
}

/**
 * A port that is free for TCP and for UDP: media and relay take both. Below those that the
 * system gives to connections (from 32,768 on Linux), any of which may take it before the
 * server does, and while a server is down between two runs.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if ((await isFreeForTcp(port)) && (await isFreeForUdp(port))) return port;
  }
}

/** Whether nobody has this port for TCP. */
async function isFreeForTcp(port: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((tell) => {
    probe.once('error', () => tell(false));
    probe.listen(port, '127.0.0.1', () => tell(true));
  });
  if (free) {
    probe.close();
    await once(probe, 'close');
  }
  return free;
}

/** Whether nobody has this port for UDP. */
async function isFreeForUdp(port: number): Promise<boolean> {
  const probe = createSocket('udp4');
  const free = await new Promise<boolean>((tell) => {
    probe.once('error', () => tell(false));
    probe.bind(port, '127.0.0.1', () => tell(true));
  });
  if (free) {
    probe.close();
    await once(probe, 'close');
  }
  return free;
}
