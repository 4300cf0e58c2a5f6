import type { Page } from '@playwright/test';
import type { Person } from '../support/test.ts';

/** A direct connection of a page that is not ours: the protocol by hand, without its rules. */
interface Raw {
  socket: WebSocket;
  channel: RTCDataChannel;
  /** The first bytes of each message that has arrived, in hexadecimal. */
  heads: string[];
}

declare global {
  interface Window {
    raw?: Raw;
  }
}

/** A participant who speaks the protocol of direct files by hand. */
export class RawPeer {
  private constructor(private readonly page: Page) {}

  /** Joins a room and opens a direct connection to a person in it. */
  static async connects(person: Person, room: string, to: string): Promise<RawPeer> {
    const { page } = person;
    await page.goto('/');
    await page.evaluate(
      async ({ room, nickname, to }) => {
        const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`);
        await new Promise((resolve) => (socket.onopen = resolve));
        const send = (message: object) => socket.send(JSON.stringify(message));
        const waiting: ((message: any) => boolean)[] = [];
        const next = (type: string) =>
          new Promise<any>((resolve) => waiting.push((message) => message.type === type && (resolve(message), true)));
        const early: RTCIceCandidateInit[] = [];
        let pc: RTCPeerConnection | undefined;
        socket.onmessage = async ({ data }) => {
          const message = JSON.parse(data);
          const found = waiting.findIndex((take) => take(message));
          if (found >= 0) waiting.splice(found, 1);
          const signal = message.type === 'signal' ? message.signal : undefined;
          if (signal?.kind === 'answer') {
            await pc!.setRemoteDescription({ type: 'answer', sdp: signal.sdp });
            for (const candidate of early.splice(0)) await pc!.addIceCandidate(candidate);
          } else if (signal?.kind === 'candidate') {
            const { candidate, mid, mline_index } = signal;
            const init = { candidate, sdpMid: mid, sdpMLineIndex: mline_index };
            if (pc!.remoteDescription) await pc!.addIceCandidate(init);
            else early.push(init);
          }
        };
        const joined = next('joined');
        send({ type: 'join', room, nickname });
        const { people } = await joined;
        const other = people.find((person: any) => person.nickname === to).id;
        const servers = next('ice_servers');
        send({ type: 'ice_servers' });
        const { ice_servers } = await servers;
        pc = new RTCPeerConnection({ iceServers: ice_servers });
        const channel = pc.createDataChannel('files', { negotiated: true, id: 0 });
        channel.binaryType = 'arraybuffer';
        const heads: string[] = [];
        channel.onmessage = ({ data }) =>
          heads.push([...new Uint8Array(data.slice(0, 19))].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
        const connection = Math.floor(Date.now() / 1000);
        pc.onicecandidate = ({ candidate }) => {
          if (!candidate?.candidate) return;
          const { sdpMid: mid, sdpMLineIndex: mline_index } = candidate;
          const of = { kind: 'candidate', connection, candidate: candidate.candidate, mid, mline_index };
          send({ type: 'signal', to: other, signal: of });
        };
        await pc.setLocalDescription();
        const { sdp } = pc.localDescription!;
        const open = new Promise((resolve) => (channel.onopen = resolve));
        send({ type: 'signal', to: other, signal: { kind: 'offer', connection, sdp } });
        await open;
        Object.assign(window, { raw: { socket, channel, heads } });
      },
      { room, nickname: person.name, to },
    );
    return new RawPeer(page);
  }

  /** Sends messages, each bytes in hexadecimal; `text` sends it as text. */
  async sends(messages: (string | { text: string })[]): Promise<void> {
    await this.page.evaluate((messages) => {
      for (const message of messages) {
        if (typeof message !== 'string') window.raw!.channel.send(message.text);
        else window.raw!.channel.send(new Uint8Array((message.match(/../g) ?? []).map((byte) => parseInt(byte, 16))));
      }
    }, messages);
  }

  /** Sends one message many times, until the channel closes. */
  async floods(message: string, times: number): Promise<void> {
    await this.page.evaluate(
      async ({ message, times }) => {
        const { channel } = window.raw!;
        const bytes = new Uint8Array(message.match(/../g)!.map((byte) => parseInt(byte, 16)));
        for (let sent = 0; sent < times && channel.readyState === 'open'; sent += 1) {
          channel.send(bytes);
          if (sent % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
        }
      },
      { message, times },
    );
  }

  /** The first bytes of the messages that have arrived. */
  heads(): Promise<string[]> {
    return this.page.evaluate(() => window.raw!.heads);
  }

  state(): Promise<string> {
    return this.page.evaluate(() => window.raw!.channel.readyState);
  }
}

const hex = (value: bigint | number) => value.toString(16).padStart(16, '0');

/** Frames as hexadecimal, by docs/protocol.md. */
export const frames = {
  offer: (id: number, size: bigint, name: string) =>
    `0101${hex(id)}${hex(size)}${Buffer.from(name, 'utf8').toString('hex')}`,
  data: (id: number, offset: bigint, bytes: string) => `0104${hex(id)}${hex(offset)}${bytes}`,
  done: (id: number, hash: string) => `0108${hex(id)}${hash}`,
  accept: (id: number) => `0102${hex(id)}`,
  cancel: (id: number, reason: number) => `0106${hex(id)}${reason.toString(16).padStart(2, '0')}`,
};
