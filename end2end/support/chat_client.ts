import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import WebSocket from 'ws';

type Message = { type: string } & Record<string, any>;

/** Messages that a new socket sends at once, and per second after that: the server allows 40 and 5. */
const [BURST, PER_SECOND] = [38, 4.5];

/**
 * A client of the documented protocol that reconnects forever: it resumes its session, sends
 * unacknowledged messages again and requests missed ones. It records violations of the order
 * that the server has sent before.
 */
export class ChatClient {
  /** Received messages: `seq` to id. */
  readonly log = new Map<number, string>();
  readonly acknowledged = new Map<string, number>();
  readonly unacknowledged = new Map<string, string>();
  readonly violations: string[] = [];
  live = false;
  resumed = 0;
  snapshots = 0;
  refused = 0;
  closed: number[] = [];
  private readonly seqById = new Map<string, number>();
  private socket?: WebSocket;
  private session?: string;
  private epoch?: string;
  private me = '';
  private seq = 0;
  private tokens = BURST;
  private refilledAt = Date.now();
  private sent = new Set<string>();
  private stopped = false;
  private historyPages = 0;

  constructor(
    private readonly url: () => string,
    readonly room: string,
    readonly nickname: string,
  ) {
    void this.run();
  }

  /** Sends a message now, or as soon as the rate limit allows. */
  say(text: string): void {
    this.unacknowledged.set(randomUUID(), text);
    this.sendUnacknowledged();
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

  /** Runs one connection to its end. */
  private connection(): Promise<void> {
    return new Promise((done) => {
      const url = this.url();
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false, handshakeTimeout: 5_000 });
      this.socket = socket;
      // 15 s of silence mean a dead connection (docs/protocol.md, signs of life).
      let lastReceivedAt = Date.now();
      const heartbeat = setInterval(() => {
        if (Date.now() - lastReceivedAt > 15_000) socket.terminate();
        else this.sendUnacknowledged();
        // A history page that was refused or lost is requested again.
        if (this.historyPages === pagesAtLastTick) this.requestMissing();
        pagesAtLastTick = this.historyPages;
      }, 500);
      let pagesAtLastTick = this.historyPages;
      socket.on('ping', () => (lastReceivedAt = Date.now()));
      socket.on('open', () => {
        const { session, epoch, seq } = this;
        const resume = session ? { session, epoch, seq } : undefined;
        socket.send(JSON.stringify({ type: 'join', room: this.room, nickname: this.nickname, resume }));
      });
      socket.on('message', (data) => {
        lastReceivedAt = Date.now();
        this.receive(JSON.parse(String(data)));
      });
      socket.on('error', () => {});
      socket.on('close', (code) => {
        clearInterval(heartbeat);
        this.closed.push(code);
        done();
      });
    });
  }

  private receive(message: Message): void {
    if (message.type === 'joined') this.onJoined(message);
    else if (message.type === 'chat') this.onChat(message, true);
    else if (message.type === 'history') {
      this.historyPages += 1;
      for (const older of message.messages) this.onChat(older, false);
      this.requestMissing();
    } else if (message.type === 'error') {
      this.refused += 1;
      if (message.id) this.sent.delete(message.id);
    }
  }

  private onJoined(message: Message): void {
    if (message.resumed) this.resumed += 1;
    else this.snapshots += 1;
    if (this.epoch && this.epoch !== message.epoch) this.violations.push('the epoch changed');
    this.session = message.session;
    this.epoch = message.epoch;
    this.me = message.self;
    for (const recent of message.history) this.onChat(recent, true);
    this.seq = Math.max(this.seq, message.seq);
    this.tokens = BURST;
    this.refilledAt = Date.now();
    this.sent.clear();
    this.live = true;
    this.requestMissing();
    this.sendUnacknowledged();
  }

  /** Requests the newest missing page of history. */
  private requestMissing(): void {
    if (!this.live || this.log.size >= this.seq) return;
    let missing = this.seq;
    while (this.log.has(missing)) missing -= 1;
    this.socket?.send(JSON.stringify({ type: 'history', before: missing + 1, limit: 200 }));
  }

  private onChat(message: Message, advancesSeq: boolean): void {
    const { seq, id } = message as unknown as { seq: number; id: string };
    const known = this.log.get(seq);
    if (known !== undefined && known !== id) this.violations.push(`${seq} was ${known} and is ${id}`);
    const place = this.seqById.get(id);
    if (place !== undefined && place !== seq) this.violations.push(`${id} was received as ${place} and as ${seq}`);
    this.log.set(seq, id);
    this.seqById.set(id, seq);
    if (advancesSeq) this.seq = Math.max(this.seq, seq);
    if (message.from.id === this.me && this.unacknowledged.delete(id)) this.acknowledged.set(id, seq);
  }

  private sendUnacknowledged(): void {
    if (!this.live) return;
    const now = Date.now();
    this.tokens = Math.min(BURST, this.tokens + ((now - this.refilledAt) / 1000) * PER_SECOND);
    this.refilledAt = now;
    for (const [id, text] of this.unacknowledged) {
      if (this.tokens < 1) return;
      if (this.sent.has(id)) continue;
      this.tokens -= 1;
      this.sent.add(id);
      this.socket?.send(JSON.stringify({ type: 'chat', id, text }));
    }
  }
}

/** The whole log of a room, oldest first, as a new client receives it. */
export async function wholeLog(url: string, room: string): Promise<{ seq: number; id: string; at: number }[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
  const log: { seq: number; id: string; at: number }[] = [];
  await new Promise<void>((done, failed) => {
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('closed while reading the log')));
    socket.on('open', () => socket.send(JSON.stringify({ type: 'join', room, nickname: 'Reader' })));
    socket.on('message', (data) => {
      const message: Message = JSON.parse(String(data));
      if (message.type === 'error' && message.code === 'too_many_messages') {
        setTimeout(() => socket.send(JSON.stringify({ type: 'history', before: log[0].seq, limit: 200 })), 300);
        return;
      }
      const page = message.type === 'joined' ? message.history : message.type === 'history' ? message.messages : undefined;
      if (!page) return;
      log.unshift(...page.map(({ seq, id, at }: Message) => ({ seq, id, at })));
      if (!message.more) return done();
      socket.send(JSON.stringify({ type: 'history', before: log[0].seq, limit: 200 }));
    });
  });
  socket.removeAllListeners('close');
  socket.close();
  return log;
}

/** Compares what the clients received with the stored log; returns the differences. */
export function verify(clients: ChatClient[], log: { seq: number; id: string }[]): string[] {
  const stored = new Map(log.map(({ seq, id }) => [id, seq]));
  const wrong: string[] = [];
  if (stored.size !== log.length) wrong.push('a message is stored twice');
  if (log.some(({ seq }, at) => seq !== at + 1)) wrong.push('the log has a gap');
  for (const client of clients) {
    wrong.push(...client.violations.map((what) => `${client.nickname}: ${what}`));
    for (const [id, seq] of client.acknowledged) {
      if (stored.get(id) !== seq) wrong.push(`${client.nickname}: ${id} was acknowledged as ${seq} and is ${stored.get(id)}`);
    }
    for (const [seq, id] of client.log) {
      if (stored.get(id) !== seq) wrong.push(`${client.nickname}: received ${id} as ${seq}, it is ${stored.get(id)}`);
    }
    if (client.log.size !== log.length) wrong.push(`${client.nickname}: knows ${client.log.size} of ${log.length}`);
  }
  return wrong;
}
