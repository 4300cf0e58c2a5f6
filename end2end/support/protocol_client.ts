import { randomUUID } from 'node:crypto';
import type { Page } from '@playwright/test';
import WebSocket from 'ws';
import type { Server } from './server.ts';

type Message = { type: string } & Record<string, any>;

/** The messages that a page receives by WebSockets opened from now on; the list grows. */
export function receivedMessages(page: Page): Message[] {
  const messages: Message[] = [];
  page.on('websocket', (socket) =>
    socket.on('framereceived', ({ payload }) => messages.push(JSON.parse(String(payload)))),
  );
  return messages;
}

/** A client of the room protocol without a browser. */
export class ProtocolClient {
  readonly messages: Message[] = [];
  private waiting: (() => void)[] = [];
  closed: number | null = null;

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)));
      this.wake();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.wake();
    });
    socket.on('error', () => this.wake());
  }

  static async open(server: Server): Promise<ProtocolClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, {
      origin: server.url,
      perMessageDeflate: false,
    });
    const client = new ProtocolClient(socket);
    await new Promise<void>((done, failed) => {
      socket.once('open', () => done());
      socket.once('error', failed);
    });
    return client;
  }

  static async join(server: Server, room: string, nickname: string): Promise<ProtocolClient> {
    const client = await ProtocolClient.open(server);
    client.send({ type: 'join', room, nickname });
    await client.next((message) => message.type === 'joined' || message.type === 'error');
    return client;
  }

  send(message: Message): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends a chat message; returns the room's copy of it, or the refusal. */
  async sendChat(text: string): Promise<Message> {
    const id = randomUUID();
    this.send({ type: 'chat', id, text });
    return this.next((message) => message.id === id);
  }

  async rename(nickname: string): Promise<Message> {
    const from = this.messages.length;
    this.send({ type: 'nickname', nickname });
    return this.next(
      (message, i) => i >= from && (message.type === 'error' || (message.type === 'renamed' && message.person.nickname === nickname)),
    );
  }

  /** Waits for the first message that fits, received before or after the call. */
  async next(fits: (message: Message, index: number) => boolean, within = 15_000): Promise<Message> {
    const deadline = Date.now() + within;
    for (;;) {
      const found = this.messages.find(fits);
      if (found) return found;
      if (this.closed !== null) throw new Error(`the socket was closed with ${this.closed}`);
      if (Date.now() > deadline) throw new Error(`no such message among ${JSON.stringify(this.messages.slice(-5))}`);
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
