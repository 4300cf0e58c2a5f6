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
export const BINARY = resolve(process.env.NOOM_BIN ?? join(HERE, '../../target/release/noom'));
/** Longest wait until a started server is ready. */
const READY_WITHIN_MS = 20_000;

export interface ServerOptions {
  /** Largest browser-to-browser call. */
  p2pMax?: number;
  /** Most people in one call. */
  callCapacity?: number;
  /** Whether TURN is on, and with TLS. */
  turn?: boolean | 'tls';
  /** Most people in one room. */
  roomCapacity?: number;
  /** Address of its media candidates. */
  mediaIp?: string;
  /** The certificate is of the server's own authority, and pages are on https. */
  selfSigned?: boolean;
  /** Address of its HTTP and media listeners, instead of 127.0.0.1. IPv6 in brackets. */
  host?: string;
  /** Additional environment variables. */
  env?: Record<string, string>;
  /** Another build than the one under test. */
  binary?: string;
  /** Working directory of the process, instead of that of the tests. */
  folder?: string;
}

/** The release binary on free ports with its own empty data directory. */
export class Server {
  /** Its output so far. */
  log = '';
  /** Its certificate for TURN over TLS. */
  certificate?: Certificate;
  /** The binary of the next `run`. */
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
    return `${this.options.selfSigned ? 'https' : 'http'}://${this.host}:${this.port}`;
  }

  private get host(): string {
    return this.options.host ?? '127.0.0.1';
  }

  /** Its process id, while it runs. */
  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Starts the process, also again after `kill`: same ports, same data. */
  async run(): Promise<void> {
    const { p2pMax = 64, roomCapacity = 100, callCapacity, turn, env = {} } = this.options;
    const mediaIp = this.options.mediaIp ?? this.host.replace(/[[\]]/g, '');
    const args = ['--listen', `${this.host}:${this.port}`, '--data-dir', this.dataDir];
    args.push('--media-listen', `${this.host}:${this.mediaPort}`, '--media-ip', mediaIp);
    if (this.options.selfSigned) args.push('--tls', 'self-signed', '--turn-tls-listen', `${this.host}:0`);
    args.push('--metrics-listen', `127.0.0.1:${this.metricsPort}`);
    if (callCapacity) args.push('--call-capacity', String(callCapacity));
    args.push('--turn-listen', turn ? `${this.host}:${this.turnPort}` : 'off');
    if (this.certificate) {
      // Clients reach the relay at the host of this URL.
      args.push('--public-url', this.url, '--turn-tls-listen', '127.0.0.1:0');
      args.push('--turn-tls-cert', this.certificate.chain, '--turn-tls-key', this.certificate.key);
    }
    args.push('--p2p-max', String(p2pMax), '--room-capacity', String(roomCapacity), '--log', process.env.NOOM_TEST_LOG ?? 'warn');
    const child = spawn(this.binary, args, { cwd: this.options.folder, env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
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
      // A server with TLS answers health checks without it, too; Node does not trust its certificate.
      const url = `http://${this.host}:${this.port}/readyz`;
      const answer = await fetch(url, { redirect: 'manual' }).catch(() => undefined);
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

  /** The current sum of a metric over its labels. Throws without such a metric, which is not 0. */
  async metric(name: string): Promise<number> {
    const text = await this.metrics();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (lines.length === 0) throw new Error(`there is no metric ${name}`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Kills the process, by default as a power failure would. */
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

/** The environment without settings of Noom and Leptos. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(NOOM|LEPTOS)_/.test(name));
  return Object.fromEntries(entries);
}

/**
 * A port that is free for TCP and UDP: media and relay use both. It is below the ephemeral ports
 * (from 32,768 on Linux), which a connection could take before the server does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if ((await isFreeForTcp(port)) && (await isFreeForUdp(port))) return port;
  }
}

/** Whether a TCP port is free. */
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

/** Whether a UDP port is free. */
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
