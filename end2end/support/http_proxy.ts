import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ProxyOptions {
  /** Source address of its requests: the server does not limit 127.0.0.1. */
  from?: string;
  /** `Host` header that replaces the requested one. */
  host?: string;
}

/** An HTTP proxy that can block WebSocket, lose responses and rewrite pages. */
export class HttpProxy {
  /** Whether it refuses upgrades. */
  blocked = false;
  /** Requests to `/poll` so far. */
  polls = 0;
  /** Times of connection attempts, by WebSocket or long polling, in ms. */
  readonly attempts: number[] = [];
  /** Number of posted batches whose responses it will lose. */
  losing = 0;
  /** Rewrites each HTML page, while set. */
  rewrite?: (html: string) => Promise<string>;
  private readonly upgraded = new Set<Duplex>();
  private port = 0;

  private constructor(
    private readonly server: { readonly port: number },
    private readonly listener: HttpServer,
    private readonly options: ProxyOptions,
  ) {}

  static async before(server: { readonly port: number }, options: ProxyOptions = {}): Promise<HttpProxy> {
    const listener = createServer();
    const proxy = new HttpProxy(server, listener, options);
    listener.on('request', (asked, answer) => {
      const path = asked.url ?? '/';
      const loses = asked.method === 'POST' && path.startsWith('/poll?') && path.includes('batch=') && proxy.losing > 0;
      if (/\/poll(\?|$)/.test(path)) proxy.polls += 1;
      if (path === '/poll' && asked.method === 'POST') proxy.attempts.push(Date.now());
      if (loses) proxy.losing -= 1;
      const headers = { ...asked.headers };
      if (proxy.rewrite) delete headers['accept-encoding'];
      const onward = request(
        {
          host: '127.0.0.1',
          port: server.port,
          localAddress: options.from,
          method: asked.method,
          path,
          headers: { ...headers, ...(options.host && { host: options.host }) },
        },
        (answered) => {
          if (proxy.rewrite && answered.headers['content-type']?.startsWith('text/html')) {
            void proxy.changed(answered, answer, proxy.rewrite);
            return;
          }
          if (loses) {
            answered.resume();
            answer.writeHead(502).end();
            return;
          }
          answer.writeHead(answered.statusCode ?? 502, answered.headers);
          answered.pipe(answer);
        },
      );
      onward.on('error', () => answer.destroy());
      answer.on('close', () => onward.destroy());
      asked.pipe(onward);
    });
    listener.on('upgrade', (asked: IncomingMessage, socket: Duplex, head: Buffer) => proxy.upgrade(asked, socket, head));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    proxy.port = address.port;
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Number of open WebSockets. */
  get sockets(): number {
    return this.upgraded.size;
  }

  /** Refuses upgrades from now on and closes open WebSockets. */
  block(): void {
    this.blocked = true;
    for (const socket of this.upgraded) socket.destroy();
  }

  async stop(): Promise<void> {
    this.block();
    this.listener.closeAllConnections();
    this.listener.close();
    await once(this.listener, 'close');
  }

  private async changed(
    answered: IncomingMessage,
    answer: ServerResponse,
    rewrite: (html: string) => Promise<string>,
  ): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of answered) parts.push(part as Buffer);
    const { 'content-length': _, ...headers } = answered.headers;
    const html = await rewrite(Buffer.concat(parts).toString());
    answer.writeHead(answered.statusCode ?? 502, headers).end(html);
  }

  private upgrade(asked: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.blocked) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    this.attempts.push(Date.now());
    const onward: Socket = connect({ port: this.server.port, host: '127.0.0.1', localAddress: this.options.from });
    const lines = [`${asked.method} ${asked.url} HTTP/1.1`];
    for (let i = 0; i < asked.rawHeaders.length; i += 2) {
      const [name, value] = asked.rawHeaders.slice(i, i + 2);
      lines.push(`${name}: ${(name.toLowerCase() === 'host' && this.options.host) || value}`);
    }
    onward.write(`${lines.join('\r\n')}\r\n\r\n`);
    onward.write(head);
    onward.pipe(socket).pipe(onward);
    this.upgraded.add(socket);
    const over = () => {
      this.upgraded.delete(socket);
      socket.destroy();
      onward.destroy();
    };
    for (const end of [socket, onward]) end.on('close', over).on('error', over);
  }
}
