import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';

/** A line to the server that breaks: every so often, in the middle of whatever is under way. */
export class Cutter {
  private readonly pairs = new Set<[Socket, Socket]>();
  private port = 0;
  cuts = 0;
  /** While true, bytes vanish both ways and nobody is told. */
  swallows = false;
  private readonly listener = createServer((near) => {
    const far = connect(this.target, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on('data', (bytes) => this.swallows || to.write(bytes));
      from.on('close', end);
      from.on('error', end);
    }
  });

  private constructor(private readonly target: number) {}

  static async before(target: number): Promise<Cutter> {
    const cutter = new Cutter(target);
    cutter.listener.listen(0, '127.0.0.1');
    await once(cutter.listener, 'listening');
    cutter.port = (cutter.listener.address() as { port: number }).port;
    return cutter;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Breaks every line: half of them by a reset, half after a piece of a frame. */
  cut(): void {
    for (const [near, far] of [...this.pairs]) {
      this.cuts += 1;
      // A text frame that announces 100 bytes and brings three of them.
      if (this.cuts % 2) far.write(Buffer.from([0x81, 0x80 | 100, 1, 2, 3, 4, 0x7a, 0x7a, 0x7a]));
      else near.resetAndDestroy();
      far.end();
    }
  }

  close(): void {
    this.listener.close();
    for (const [near, far] of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }
}
