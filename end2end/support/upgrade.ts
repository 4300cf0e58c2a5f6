import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Server } from './server.ts';

/** What an upgrade to `/ws` with these headers is answered: 101, or the refusal. */
export function upgrade(server: Server, headers: Record<string, string>): Promise<number> {
  return new Promise((done, failed) => {
    const asked = request(`${server.url}/ws`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        ...headers,
      },
    });
    asked.on('upgrade', (answer, socket) => {
      socket.destroy();
      done(answer.statusCode ?? 0);
    });
    asked.on('response', (answer) => {
      answer.resume();
      done(answer.statusCode ?? 0);
    });
    asked.on('error', failed);
    asked.end();
  });
}

/** Status of a raw request: browsers' forbidden headers can be forged here. */
export function status(
  server: Server,
  method: string,
  path: string,
  headers: Record<string, string>,
  body = '',
): Promise<number> {
  return new Promise((done, failed) => {
    const asked = request(`${server.url}${path}`, { method, headers }, (answer) => {
      answer.resume();
      done(answer.statusCode ?? 0);
    });
    asked.on('error', failed);
    asked.end(body);
  });
}

/** Says a byte a second for a while and returns whether the server hung up. */
export function drips(server: Server, seconds: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(server.port, '127.0.0.1');
    const text = 'GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ';
    let i = 0;
    const timer = setInterval(() => {
      if (i >= seconds) return end(false);
      socket.write(text[i] ?? 'x');
      i += 1;
    }, 1000);
    const end = (closed: boolean) => {
      clearInterval(timer);
      socket.destroy();
      done(closed);
    };
    socket.on('close', () => end(true));
    socket.on('error', () => end(true));
  });
}
