import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Page } from '@playwright/test';

export interface Impairments {
  /** Share of datagrams lost, 0 to 1, each way. */
  loss?: number;
  /** How many are lost in a row once one is. */
  burst?: number;
  /** Milliseconds each datagram takes. */
  delayMs?: number;
  /** Up to so many milliseconds more, by chance: later ones overtake, unless they are delivered in order. */
  jitterMs?: number;
  /** Whether none overtakes another: whatever comes after a late one is as late. */
  inOrder?: boolean;
  /** Share of datagrams that come twice. */
  duplicate?: number;
  /** Share of datagrams that take 30 ms more than the others, and are overtaken. */
  reorder?: number;
  /** Bits a second towards the page; what does not fit a quarter of a second of it is lost. */
  rateDown?: number;
}

/** What an overtaken datagram takes beside what each takes, in ms: a few packets of a voice or picture. */
const OVERTAKEN_MS = 30;

/** A line between a page and the server's media port that can be made bad, and cut. */
export class UdpProxy {
  /** Datagrams passed on and lost so far. */
  passed = 0;
  lost = 0;
  /** Bytes the server sent towards the page so far, and those of them that were not lost. */
  down = { sent: 0, delivered: 0 };
  private impairments: Impairments = {};
  private upstream = new Map<string, Socket>();
  /** What is still to be lost of a burst, each way. */
  private burstRemaining = { up: 0, down: 0 };
  /** What waits in order, oldest first, and until when the last of it waits, in ms; each way. */
  private waiting = { up: { sends: [] as (() => void)[], until: 0 }, down: { sends: [] as (() => void)[], until: 0 } };
  /** When the line towards the page is free again, in ms. */
  private freeAt = 0;
  private closed = false;

  private constructor(
    private readonly socket: Socket,
    private readonly target: number,
  ) {}

  /** A line to a port of this machine. */
  static async to(target: number): Promise<UdpProxy> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const line = new UdpProxy(socket, target);
    socket.on('message', (bytes, from) => line.up(bytes, from));
    return line;
  }

  get port(): number {
    return this.socket.address().port;
  }

  set(impairments: Impairments): void {
    this.impairments = impairments;
  }

  /** From now on the server sees the page come from other ports, as behind a NAT that forgot it. */
  rebind(): void {
    for (const socket of this.upstream.values()) socket.close();
    this.upstream.clear();
  }

  close(): void {
    this.closed = true;
    this.rebind();
    this.socket.close();
  }

  private up(bytes: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${from.port}`;
    let socket = this.upstream.get(key);
    if (!socket) {
      const made = createSocket('udp4');
      made.bind(0, '127.0.0.1');
      made.on('message', (answer) => this.pass(answer, () => this.socket.send(answer, from.port, from.address), true));
      this.upstream.set(key, made);
      socket = made;
    }
    const out = socket;
    this.pass(bytes, () => {
      if (this.upstream.get(key) === out) out.send(bytes, this.target, '127.0.0.1');
    }, false);
  }

  private pass(bytes: Buffer, send: () => void, down: boolean): void {
    if (down) this.down.sent += bytes.length;
    const { delayMs = 0, jitterMs = 0, duplicate = 0, reorder = 0 } = this.impairments;
    const queued = this.loses(down ? 'down' : 'up') ? undefined : down ? this.queue(bytes.length) : 0;
    if (queued === undefined) {
      this.lost += 1;
      return;
    }
    const overtaken = Math.random() < reorder ? OVERTAKEN_MS : 0;
    const wait = delayMs + Math.random() * jitterMs + overtaken + queued;
    this.passed += 1;
    if (down) this.down.delivered += bytes.length;
    const times = Math.random() < duplicate ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      if (this.impairments.inOrder) this.sendInOrder(this.waiting[down ? 'down' : 'up'], send, wait);
      else if (wait < 1) send();
      else setTimeout(() => this.closed || send(), wait);
    }
  }

  /** Sends after a time, and after everything that waits. */
  private sendInOrder(waiting: { sends: (() => void)[]; until: number }, send: () => void, wait: number): void {
    const now = performance.now();
    waiting.until = Math.max(waiting.until, now + wait);
    waiting.sends.push(send);
    // Whichever timer fires first sends the oldest: timers of one millisecond have no order.
    setTimeout(() => this.closed || waiting.sends.shift()?.(), waiting.until - now);
  }

  /** Whether the next datagram of this way is lost by chance. */
  private loses(way: 'up' | 'down'): boolean {
    const { loss = 0, burst = 1 } = this.impairments;
    if (this.burstRemaining[way] > 0) {
      this.burstRemaining[way] -= 1;
      return true;
    }
    // A burst counts as many losses as it is long, so that the share stays the same.
    if (Math.random() >= loss / burst) return false;
    this.burstRemaining[way] = burst - 1;
    return true;
  }

  /** How long so many bytes wait for the line towards the page, in ms; undefined where they do not fit. */
  private queue(bytes: number): number | undefined {
    const { rateDown } = this.impairments;
    if (!rateDown) return 0;
    const now = performance.now();
    this.freeAt = Math.max(this.freeAt, now);
    if (this.freeAt - now > 250) return undefined;
    this.freeAt += (bytes * 8_000) / rateDown;
    return this.freeAt - now;
  }

  /** Sends a page's media by this line: it is told this port instead of the server's. TCP goes
   * past it, where it is let. */
  async route(page: Page, { tcp = false } = {}): Promise<void> {
    await page.addInitScript(
      ({ from, to, tcp }) => {
        if (typeof RTCPeerConnection === 'undefined') return;
        const set: (this: RTCPeerConnection, description: RTCSessionDescriptionInit) => Promise<void> =
          RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function (this: RTCPeerConnection, description: RTCSessionDescriptionInit) {
          const lines = description.sdp?.split('\r\n').flatMap((line) => {
            if (!line.startsWith('a=candidate:')) return [line];
            // Usually UDP alone: a way around would be taken.
            if (/ tcp /i.test(line)) return tcp ? [line] : [];
            return [line.replace(` ${from} typ`, ` ${to} typ`)];
          });
          return set.call(this, { ...description, sdp: lines?.join('\r\n') });
        } as typeof set;
      },
      { from: this.target, to: this.port, tcp },
    );
  }
}

/** Sends datagrams for `seconds` and closes the socket: STUN, DTLS, RTP, RTCP and junk by their first byte (RFC 7983). */
export async function flood(socket: Socket, port: number, perSecond: number, seconds: number): Promise<void> {
  const firstBytes = [0, 22, 128, 200, 77];
  const started = performance.now();
  for (let sent = 0; sent < perSecond * seconds; ) {
    const due = Math.min(((performance.now() - started) * perSecond) / 1_000, perSecond * seconds);
    for (; sent < due; sent += 1) {
      const junk = Buffer.alloc(20 + (sent % 900), sent);
      junk[0] = firstBytes[sent % firstBytes.length];
      socket.send(junk, port, '127.0.0.1');
    }
    await wait(2);
  }
  socket.close();
}
