import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';

/** A TCP proxy that can break, swallow or throttle connections. */
export class TcpProxy {
  private readonly pairs = new Set<[Socket, Socket]>();
  private port = 0;
  resets = 0;
  /** While true, bytes of both directions are dropped and the connections stay open. */
  blackhole = false;
  /** Bytes per second towards clients, for connections accepted from now on. */
  bytesPerSecond = Infinity;
  /** Whether bytes from the server are lost, and every connection is reset with them. */
  losesAnswer: (bytes: Buffer) => boolean = () => false;
  private readonly listener = createServer((near) => {
    const far = connect(this.target, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    const pace = this.bytesPerSecond;
    for (const [from, to] of [[near, far], [far, near]] as const) {
      if (from === far && pace < Infinity) throttle(from, to, pace).catch(end);
      else {
        from.on('data', (bytes) => {
          if (this.blackhole) return;
          if (from === far && this.losesAnswer(bytes)) this.resetAll();
          else to.write(bytes);
        });
      }
      from.on('close', end);
      from.on('error', end);
    }
  });

  private constructor(private readonly target: number) {}

  static async before(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.listener.listen(0, '127.0.0.1');
    await once(proxy.listener, 'listening');
    proxy.port = (proxy.listener.address() as { port: number }).port;
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Breaks every connection: half with a reset, half after a part of a WebSocket frame. */
  resetMidFrame(): void {
    for (const [near, far] of [...this.pairs]) {
      this.resets += 1;
      // A text frame of 100 bytes with three of them.
      if (this.resets % 2) far.write(Buffer.from([0x81, 0x80 | 100, 1, 2, 3, 4, 0x7a, 0x7a, 0x7a]));
      else near.resetAndDestroy();
      far.end();
    }
  }

  /** Resets every connection at once. */
  resetAll(): void {
    for (const [near, far] of [...this.pairs]) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  close(): void {
    this.listener.close();
    this.resetAll();
  }
}

/** Forwards a number of bytes per second; the rest stays in the socket's buffers. */
async function throttle(from: Socket, to: Socket, bytesPerSecond: number): Promise<void> {
  const slice = Math.ceil(bytesPerSecond / 10);
  for await (const bytes of from.iterator({ destroyOnReturn: false })) {
    for (let at = 0; at < bytes.length && !to.destroyed; at += slice) {
      to.write(bytes.subarray(at, at + slice));
      await wait(100);
    }
  }
}
