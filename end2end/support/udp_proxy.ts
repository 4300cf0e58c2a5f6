import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Page } from '@playwright/test';

export interface Impairments {
  /** Share of lost datagrams, 0 to 1, each way. */
  loss?: number;
  /** Number of datagrams lost in a row. */
  burst?: number;
  /** Delay of each datagram, in ms. */
  delayMs?: number;
  /** Largest additional random delay, in ms; reorders unless `inOrder` is set. */
  jitterMs?: number;
  /** Whether the order is kept: a datagram after a late one is as late. */
  inOrder?: boolean;
  /** Share of duplicated datagrams. */
  duplicate?: number;
  /** Share of datagrams that take 30 ms more, and are reordered by that. */
  reorder?: number;
  /** Rate limit towards the page in bit/s, with a queue of 250 ms. */
  rateDown?: number;
}

/** Additional delay of a reordered datagram, in ms: a few packets of audio or video. */
const REORDER_DELAY_MS = 30;

/** A UDP proxy between a page and the server's media port, with impairments. */
export class UdpProxy {
  /** Datagrams forwarded and lost so far. */
  passed = 0;
  lost = 0;
  /** Bytes sent towards the page so far, and bytes of them that were delivered. */
  down = { sent: 0, delivered: 0 };
  private impairments: Impairments = {};
  private upstream = new Map<string, Socket>();
  /** Datagrams still to lose of a burst, each way. */
  private burstRemaining = { up: 0, down: 0 };
  /** Datagrams that wait in order, oldest first, and the latest delivery time, in ms; each way. */
  private waiting = { up: { sends: [] as (() => void)[], until: 0 }, down: { sends: [] as (() => void)[], until: 0 } };
  /** When the rate limit has passed everything so far, in ms. */
  private freeAt = 0;
  private closed = false;

  private constructor(
    private readonly socket: Socket,
    private readonly target: number,
  ) {}

  /** Opens a proxy to a port of this machine. */
  static async to(target: number): Promise<UdpProxy> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const proxy = new UdpProxy(socket, target);
    socket.on('message', (bytes, from) => proxy.up(bytes, from));
    return proxy;
  }

  get port(): number {
    return this.socket.address().port;
  }

  set(impairments: Impairments): void {
    this.impairments = impairments;
  }

  /** Changes the source ports that the server sees, as a NAT with an expired binding does. */
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
    const overtaken = Math.random() < reorder ? REORDER_DELAY_MS : 0;
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

  /** Sends after a delay and after everything that waits. */
  private sendInOrder(waiting: { sends: (() => void)[]; until: number }, send: () => void, wait: number): void {
    const now = performance.now();
    waiting.until = Math.max(waiting.until, now + wait);
    waiting.sends.push(send);
    // Timers of the same millisecond fire in any order, so each sends the oldest datagram.
    setTimeout(() => this.closed || waiting.sends.shift()?.(), waiting.until - now);
  }

  /** Whether the next datagram of a direction is lost. */
  private loses(direction: 'up' | 'down'): boolean {
    const { loss = 0, burst = 1 } = this.impairments;
    if (this.burstRemaining[direction] > 0) {
      this.burstRemaining[direction] -= 1;
      return true;
    }
    // A burst counts as its length, so that the share stays the same.
    if (Math.random() >= loss / burst) return false;
    this.burstRemaining[direction] = burst - 1;
    return true;
  }

  /** Queueing delay of a datagram at the rate limit, in ms; undefined if the queue is full. */
  private queue(bytes: number): number | undefined {
    const { rateDown } = this.impairments;
    if (!rateDown) return 0;
    const now = performance.now();
    this.freeAt = Math.max(this.freeAt, now);
    if (this.freeAt - now > 250) return undefined;
    this.freeAt += (bytes * 8_000) / rateDown;
    return this.freeAt - now;
  }

  /** Routes a page's UDP media through this proxy by replacing the port in remote candidates.
   * TCP candidates are kept only with `tcp`. */
  async route(page: Page, { tcp = false } = {}): Promise<void> {
    await page.addInitScript(
      ({ from, to, tcp }) => {
        if (typeof RTCPeerConnection === 'undefined') return;
        const set: (this: RTCPeerConnection, description: RTCSessionDescriptionInit) => Promise<void> =
          RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function (this: RTCPeerConnection, description: RTCSessionDescriptionInit) {
          const lines = description.sdp?.split('\r\n').flatMap((line) => {
            if (!line.startsWith('a=candidate:')) return [line];
            // A TCP candidate would bypass the proxy.
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
