import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Server } from './server.ts';

/** Returns the status of an upgrade of `/ws` with these headers: 101 or the refusal. */
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

/** Returns the status of a raw request, which may have headers that browsers forbid. */
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
