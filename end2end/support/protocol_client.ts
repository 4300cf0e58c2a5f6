import { randomUUID } from 'node:crypto';
import type { Page } from '@playwright/test';
import WebSocket from 'ws';
import type { Server } from './server.ts';

type Frame = { type: string } & Record<string, any>;

/** What the server tells a page by the sockets it opens from now on; it grows. */
export function told(page: Page): Frame[] {
  const frames: Frame[] = [];
  page.on('websocket', (socket) =>
    socket.on('framereceived', ({ payload }) => frames.push(JSON.parse(String(payload)))),
  );
  return frames;
}

/** A client without a page: the room protocol, frame by frame. */
export class Wire {
  readonly frames: Frame[] = [];
  private waiting: (() => void)[] = [];
  closed: number | null = null;

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)));
      this.wake();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.wake();
    });
    socket.on('error', () => this.wake());
  }

  static async open(server: Server): Promise<Wire> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, {
      origin: server.url,
      perMessageDeflate: false,
    });
    const wire = new Wire(socket);
    await new Promise<void>((done, failed) => {
      socket.once('open', () => done());
      socket.once('error', failed);
    });
    return wire;
  }

  static async join(server: Server, room: string, nickname: string): Promise<Wire> {
    const wire = await Wire.open(server);
    wire.send({ type: 'join', room, nickname });
    await wire.next((frame) => frame.type === 'joined' || frame.type === 'error');
    return wire;
  }

  send(frame: Frame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Says something and returns the room's copy of it, or the refusal. */
  async say(text: string): Promise<Frame> {
    const id = randomUUID();
    this.send({ type: 'chat', id, text });
    return this.next((frame) => frame.id === id);
  }

  async rename(nickname: string): Promise<Frame> {
    const from = this.frames.length;
    this.send({ type: 'nickname', nickname });
    return this.next(
      (frame, i) => i >= from && (frame.type === 'error' || (frame.type === 'renamed' && frame.person.nickname === nickname)),
    );
  }

  /** The first frame, come or coming, that fits. */
  async next(fits: (frame: Frame, index: number) => boolean, within = 15_000): Promise<Frame> {
    const deadline = Date.now() + within;
    for (;;) {
      const found = this.frames.find(fits);
      if (found) return found;
      if (this.closed !== null) throw new Error(`the socket was closed with ${this.closed}`);
      if (Date.now() > deadline) throw new Error(`no such frame among ${JSON.stringify(this.frames.slice(-5))}`);
      await new Promise<void>((done) => {
        const timer = setTimeout(done, 200);
        this.waiting.push(() => (clearTimeout(timer), done()));
      });
    }
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const go of waiting) go();
  }

  close(): void {
    this.socket.close();
  }
}
