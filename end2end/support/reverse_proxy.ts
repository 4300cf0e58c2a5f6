import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type Server } from './server.ts';

export const REVERSE_PROXIES = ['nginx', 'caddy', 'haproxy'] as const;
export type ReverseProxyName = (typeof REVERSE_PROXIES)[number];

/** Whether a proxy is installed. */
export const hasProxy = (name: ReverseProxyName) => spawnSync(name, ['-h']).error === undefined;

/** Where a proxy has the site. */
export interface Mount {
  /** The path below which it has the site; empty for the root. */
  below: string;
  /** Whether it strips that path from requests. */
  strips: boolean;
}

type Configure = (port: number, server: number, folder: string, mount: Mount) => string;

/** The configuration of each proxy, as docs/operating.md recommends it. */
const CONFIGURATIONS: Record<ReverseProxyName, Configure> = {
  nginx: (port, server, folder, { below, strips }) => `
    daemon off;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    pid ${folder}/pid;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      close;
      }
      server {
        listen 127.0.0.1:${port};
        absolute_redirect off;
        location ${below}/ {
          proxy_pass http://127.0.0.1:${server}${strips ? '/' : ''};
          proxy_http_version 1.1;
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header Forwarded "";
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_read_timeout 1h;
          proxy_send_timeout 1h;
        }
      }
    }`,
  caddy: (port, server, _, { below, strips }) => `
    {
      admin off
      auto_https off
    }
    http://127.0.0.1:${port} {
      bind 127.0.0.1
      ${below && `redir ${below} ${below}/`}
      ${strips ? 'handle_path' : 'handle'} ${below}/* {
        reverse_proxy 127.0.0.1:${server} {
          header_up -Forwarded
        }
      }
    }`,
  haproxy: (port, server, _, { below, strips }) => `
defaults
    mode http
    timeout connect 5s
    timeout http-request 10s
    timeout client 1m
    timeout server 1m
    timeout tunnel 1h
frontend pages
    bind 127.0.0.1:${port}
    http-request del-header Forwarded
    option forwardfor
    ${below && `http-request redirect location ${below}/ if { path ${below} }`}
    use_backend noom if { path_beg ${below}/ }
backend noom
    ${strips ? `http-request replace-path ${below}(/.*) \\1` : ''}
    server noom 127.0.0.1:${server}
`,
};

/** The arguments with which each proxy reads its configuration and stays in the foreground. */
const ARGUMENTS: Record<ReverseProxyName, (file: string, folder: string) => string[]> = {
  nginx: (file, folder) => ['-c', file, '-p', folder, '-e', `${folder}/errors`],
  caddy: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  haproxy: (file) => ['-db', '-f', file],
};

/** A real reverse proxy before a server. */
export class ReverseProxy {
  private constructor(
    readonly port: number,
    private readonly process: ChildProcess,
    private readonly folder: string,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  static async before(
    server: Server,
    name: ReverseProxyName,
    mount: Mount = { below: '', strips: false },
  ): Promise<ReverseProxy> {
    const folder = await mkdtemp(join(tmpdir(), `noom-${name}-`));
    const port = await freePort();
    const file = join(folder, 'configuration');
    await writeFile(file, CONFIGURATIONS[name](port, server.port, folder, mount));
    const child = spawn(name, ARGUMENTS[name](file, folder), {
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    child.stdout.on('data', (text) => (log += text));
    child.stderr.on('data', (text) => (log += text));
    const deadline = Date.now() + 20_000;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} does not listen:\n${log}`);
    }
    return new ReverseProxy(port, child, folder);
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, 'exit');
      this.process.kill('SIGTERM');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Whether a connection to this port is accepted. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    await new Promise((done) => setTimeout(done, 50));
    return false;
  } finally {
    socket.destroy();
  }
}
