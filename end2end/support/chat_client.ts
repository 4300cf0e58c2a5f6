import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import WebSocket from 'ws';

type Frame = { type: string } & Record<string, any>;

/** How many messages a new socket may send at once, and a second after that: the server allows 40 and 5. */
const [BURST, PER_SECOND] = [38, 4.5];

/** Something a promise forbids. */
export class Broken extends Error {}

/**
 * A client of the documented protocol that never gives up: it comes back with `resume`,
 * sends again what is not acknowledged, and asks for what it missed. It keeps the order
 * it was told, and notices at once when that changes.
 */
export class Resumer {
  /** `seq` to id, as this client was told. */
  readonly log = new Map<number, string>();
  readonly acknowledged = new Map<string, number>();
  readonly waiting = new Map<string, string>();
  readonly broken: string[] = [];
  live = false;
  resumed = 0;
  snapshots = 0;
  refused = 0;
  closed: number[] = [];
  private readonly places = new Map<string, number>();
  private socket?: WebSocket;
  private session?: string;
  private epoch?: string;
  private me = '';
  private seq = 0;
  private tokens = BURST;
  private filled = Date.now();
  private sent = new Set<string>();
  private stopped = false;
  private pages = 0;

  constructor(
    private readonly url: () => string,
    readonly room: string,
    readonly nickname: string,
  ) {
    void this.run();
  }

  /** Says something, now or as soon as it may. */
  say(text: string): void {
    this.waiting.set(randomUUID(), text);
    this.flush();
  }

  stop(): void {
    this.stopped = true;
    this.socket?.terminate();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      await this.connection();
      this.live = false;
      if (!this.stopped) await wait(50 + Math.random() * 200);
    }
  }

  /** One socket, to its end. */
  private connection(): Promise<void> {
    return new Promise((done) => {
      const url = this.url();
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false, handshakeTimeout: 5_000 });
      this.socket = socket;
      // What is silent for 15 s is dead, for a server as for a client.
      let heard = Date.now();
      const beat = setInterval(() => {
        if (Date.now() - heard > 15_000) socket.terminate();
        else this.flush();
        // A page that was refused, or lost with its line, is asked for again.
        if (this.pages === asked) this.fill();
        asked = this.pages;
      }, 500);
      let asked = this.pages;
      socket.on('ping', () => (heard = Date.now()));
      socket.on('open', () => {
        const { session, epoch, seq } = this;
        const resume = session ? { session, epoch, seq } : undefined;
        socket.send(JSON.stringify({ type: 'join', room: this.room, nickname: this.nickname, resume }));
      });
      socket.on('message', (data) => {
        heard = Date.now();
        this.take(JSON.parse(String(data)));
      });
      socket.on('error', () => {});
      socket.on('close', (code) => {
        clearInterval(beat);
        this.closed.push(code);
        done();
      });
    });
  }

  private take(frame: Frame): void {
    if (frame.type === 'joined') this.join(frame);
    else if (frame.type === 'chat') this.hear(frame, true);
    else if (frame.type === 'history') {
      this.pages += 1;
      for (const message of frame.messages) this.hear(message, false);
      this.fill();
    } else if (frame.type === 'error') {
      this.refused += 1;
      if (frame.id) this.sent.delete(frame.id);
    }
  }

  private join(frame: Frame): void {
    if (frame.resumed) this.resumed += 1;
    else this.snapshots += 1;
    if (this.epoch && this.epoch !== frame.epoch) this.broken.push('the epoch changed');
    this.session = frame.session;
    this.epoch = frame.epoch;
    this.me = frame.self;
    for (const message of frame.history) this.hear(message, true);
    this.seq = Math.max(this.seq, frame.seq);
    this.tokens = BURST;
    this.filled = Date.now();
    this.sent.clear();
    this.live = true;
    this.fill();
    this.flush();
  }

  /** Asks for the newest of what is missing. */
  private fill(): void {
    if (!this.live || this.log.size >= this.seq) return;
    let missing = this.seq;
    while (this.log.has(missing)) missing -= 1;
    this.socket?.send(JSON.stringify({ type: 'history', before: missing + 1, limit: 200 }));
  }

  private hear(message: Frame, moves: boolean): void {
    const { seq, id } = message as unknown as { seq: number; id: string };
    const known = this.log.get(seq);
    if (known !== undefined && known !== id) this.broken.push(`${seq} was ${known} and is ${id}`);
    const place = this.places.get(id);
    if (place !== undefined && place !== seq) this.broken.push(`${id} was told as ${place} and as ${seq}`);
    this.log.set(seq, id);
    this.places.set(id, seq);
    if (moves) this.seq = Math.max(this.seq, seq);
    if (message.from.id === this.me && this.waiting.delete(id)) this.acknowledged.set(id, seq);
  }

  private flush(): void {
    if (!this.live) return;
    const now = Date.now();
    this.tokens = Math.min(BURST, this.tokens + ((now - this.filled) / 1000) * PER_SECOND);
    this.filled = now;
    for (const [id, text] of this.waiting) {
      if (this.tokens < 1) return;
      if (this.sent.has(id)) continue;
      this.tokens -= 1;
      this.sent.add(id);
      this.socket?.send(JSON.stringify({ type: 'chat', id, text }));
    }
  }
}

/** The whole log of a room, oldest first, as somebody new is told it. */
export async function wholeLog(url: string, room: string): Promise<{ seq: number; id: string; at: number }[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
  const log: { seq: number; id: string; at: number }[] = [];
  await new Promise<void>((done, failed) => {
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('closed while reading the log')));
    socket.on('open', () => socket.send(JSON.stringify({ type: 'join', room, nickname: 'Reader' })));
    socket.on('message', (data) => {
      const frame: Frame = JSON.parse(String(data));
      if (frame.type === 'error' && frame.code === 'too_many_messages') {
        setTimeout(() => socket.send(JSON.stringify({ type: 'history', before: log[0].seq, limit: 200 })), 300);
        return;
      }
      const page = frame.type === 'joined' ? frame.history : frame.type === 'history' ? frame.messages : undefined;
      if (!page) return;
      log.unshift(...page.map(({ seq, id, at }: Frame) => ({ seq, id, at })));
      if (!frame.more) return done();
      socket.send(JSON.stringify({ type: 'history', before: log[0].seq, limit: 200 }));
    });
  });
  socket.removeAllListeners('close');
  socket.close();
  return log;
}

/** What is wrong with what these clients were told, held against the log as it is. */
export function verdict(clients: Resumer[], log: { seq: number; id: string }[]): string[] {
  const stored = new Map(log.map(({ seq, id }) => [id, seq]));
  const wrong: string[] = [];
  if (stored.size !== log.length) wrong.push('a message is stored twice');
  if (log.some(({ seq }, at) => seq !== at + 1)) wrong.push('the log has a gap');
  for (const client of clients) {
    wrong.push(...client.broken.map((what) => `${client.nickname}: ${what}`));
    for (const [id, seq] of client.acknowledged) {
      if (stored.get(id) !== seq) wrong.push(`${client.nickname}: ${id} was acknowledged as ${seq} and is ${stored.get(id)}`);
    }
    for (const [seq, id] of client.log) {
      if (stored.get(id) !== seq) wrong.push(`${client.nickname}: was told ${id} as ${seq}, it is ${stored.get(id)}`);
    }
    if (client.log.size !== log.length) wrong.push(`${client.nickname}: knows ${client.log.size} of ${log.length}`);
  }
  return wrong;
}
