import { randomUUID } from 'node:crypto';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import WebSocket from 'ws';
import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import type { Server } from '../support/server.ts';
import { status, upgrade } from '../support/http.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

test.describe('origin checks', () => {
  test('a WebSocket upgrade is refused to other origins', async ({ server }) => {
    expect(await upgrade(server, { origin: server.url })).toBe(101);
    expect(await upgrade(server, {}), 'a program sends no Origin').toBe(101);
    for (const origin of [
      'http://evil.example',
      'https://evil.example',
      'null',
      `${server.url}.evil.example`,
      `http://evil${server.url.slice(7)}`,
      `http://127.0.0.1:${server.port + 1}`,
      'http://127.0.0.1',
    ]) {
      expect(await upgrade(server, { origin }), origin).toBe(403);
    }
    expect(await upgrade(server, { 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await upgrade(server, { origin: server.url, 'sec-fetch-site': 'same-origin' })).toBe(101);
  });

  test('unsafe methods are refused to other origins on every path', async ({ server }) => {
    for (const path of ['/', '/room/team', '/room/team/call', '/api/join_room', '/nowhere']) {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const what = `${method} ${path}`;
        expect(await status(server, method, path, { ...FORM, origin: 'http://evil.example' }), what).toBe(403);
        expect(await status(server, method, path, { ...FORM, origin: 'null' }), what).toBe(403);
        expect(await status(server, method, path, { ...FORM, 'sec-fetch-site': 'cross-site' }), what).toBe(403);
        expect(await status(server, method, path, { ...FORM, origin: server.url }), what).not.toBe(403);
      }
    }
    expect(await status(server, 'GET', '/', { 'sec-fetch-site': 'cross-site' }), 'a cross-site link may lead here').toBe(200);
  });

  test('wrong content types are refused with 4xx', async ({ server }) => {
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/json; charset=utf-16']) {
      const answer = await status(server, 'POST', '/api/join_room', { origin: server.url, 'content-type': type }, '\u0000{"x":');
      expect(answer, type).toBeGreaterThanOrEqual(400);
      expect(answer, type).toBeLessThan(500);
    }
  });
});

test.describe('response headers', () => {
  test('every page has the security headers', async ({ server }) => {
    const answer = await fetch(`${server.url}/`);
    const header = (name: string) => answer.headers.get(name) ?? '';
    const policy = Object.fromEntries(
      header('content-security-policy').split(';').map((part) => part.trim()).filter(Boolean).map((part) => {
        const [name, ...values] = part.split(/\s+/);
        return [name, values.join(' ')];
      }),
    );
    expect(policy['default-src']).toBe("'none'");
    expect(policy['script-src']).toMatch(/^'self' 'nonce-[\w+/=-]{16,}' 'wasm-unsafe-eval'$/);
    expect(policy['style-src']).toMatch(/^'self'/);
    for (const name of ['object-src', 'base-uri', 'frame-ancestors']) expect(policy[name], name).toBe("'none'");
    expect(policy['form-action']).toBe("'self'");
    expect(policy['connect-src']).toContain("'self'");
    expect(header('content-security-policy')).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|http:/);
    expect(header('x-content-type-options')).toBe('nosniff');
    expect(header('referrer-policy')).toBe('no-referrer');
    expect(header('cross-origin-opener-policy')).toBe('same-origin');
    expect(header('cross-origin-resource-policy')).toBe('same-origin');
    expect(header('permissions-policy')).toMatch(/camera=\(self\)/);
    expect(header('permissions-policy')).toMatch(/microphone=\(self\)/);
    expect(header('permissions-policy')).toMatch(/geolocation=\(\)/);
  });

  test('the nonce is new in every response and appears in nonce attributes only', async ({ server }) => {
    const seen = new Set<string>();
    for (const path of ['/', '/room/team', '/room/team/call', '/nowhere', '/']) {
      const answer = await fetch(server.url + path);
      const nonce = /'nonce-([^']+)'/.exec(answer.headers.get('content-security-policy') ?? '')?.[1] ?? '';
      expect(nonce, path).not.toBe('');
      seen.add(nonce);
      const html = await answer.text();
      expect(html).toContain(`nonce="${nonce}"`);
      expect(html.replaceAll(`nonce="${nonce}"`, ''), path).not.toContain(nonce);
      expect(html, path).not.toMatch(/\sstyle=|\son\w+="/);
    }
    expect(seen.size).toBe(5);
  });

  test('an injected inline script does not run', async ({ person, pageErrors }) => {
    pageErrors.expects(/Content Security Policy|CSP violation/);
    const ann = await person('Ann');
    await ann.welcome.open();
    const ran = await ann.page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.__xss = 1';
      document.body.append(script);
      return (window as any).__xss;
    });
    expect(ran).toBeUndefined();
  });
});

interface Answer {
  status: number;
  headers: import('node:http').IncomingHttpHeaders;
  body: Buffer;
}

function get(server: Server, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((done, failed) => {
    const asked = request(`${server.url}${path}`, { headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => done({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on('error', failed);
    asked.end();
  });
}

/** Largest allowed transfer of the first load of the welcome page, in bytes. */
const BUDGET = 250 * 1024;
/** Largest allowed size of the modules that the page of a room loads at its start, beside those of the welcome page, in bytes. */
const ROOM_BUDGET = 432_233;

test.describe('assets', () => {
  test('are named by their hash, compressed, immutable, and answered with 304', async ({ server }) => {
    const html = await (await fetch(server.url)).text();
    const paths = [...new Set(html.match(/\/pkg\/[^"'\s)]+\.(?:js|wasm|css)/g))];
    expect(paths.map((path) => path.split('.').at(-1)).sort()).toEqual(expect.arrayContaining(['css', 'js', 'wasm']));
    for (const path of paths) {
      expect(path, 'hashed').toMatch(/[.-][\w-]{10,}\.(js|wasm|css)$/);
      const plain = await get(server, path, { 'accept-encoding': 'identity' });
      expect(plain.status, path).toBe(200);
      expect(plain.headers['content-encoding']).toBeUndefined();
      const br = await get(server, path, { 'accept-encoding': 'gzip, deflate, br' });
      expect(br.headers['content-encoding'], path).toBe('br');
      expect(brotliDecompressSync(br.body).equals(plain.body)).toBe(true);
      const gzip = await get(server, path, { 'accept-encoding': 'gzip' });
      expect(gzip.headers['content-encoding'], path).toBe('gzip');
      expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
      for (const { headers } of [plain, br, gzip]) {
        expect(headers['cache-control'], path).toMatch(/immutable/);
        expect(headers['cache-control'], path).toMatch(/max-age=31536000/);
        expect(headers.etag, path).toMatch(/^(W\/)?"[^"]+"$/);
        expect(headers['last-modified'], path).toBeUndefined();
        expect(headers.vary, path).toMatch(/accept-encoding/i);
        expect(headers['x-content-type-options'], path).toBe('nosniff');
      }
      const again = await get(server, path, { 'accept-encoding': 'br', 'if-none-match': br.headers.etag! });
      expect(again.status, path).toBe(304);
      expect(again.body.length).toBe(0);
      const other = await get(server, path, { 'accept-encoding': 'br', 'if-none-match': '"something-else"' });
      expect(other.status, path).toBe(200);
      const types = { js: 'javascript', wasm: 'application/wasm', css: 'text/css' };
      expect(plain.headers['content-type']).toContain(types[path.split('.').at(-1) as keyof typeof types]);
    }
  });

  test('nothing outside the site is served', async ({ server }) => {
    for (const path of ['/pkg/../Cargo.toml', '/pkg/%2e%2e/Cargo.toml', '/pkg/..%2f..%2fCargo.toml', '/pkg/none.js', '/pkg/']) {
      expect((await get(server, path)).status, path).toBe(404);
    }
  });

  test('the first load of the welcome page stays within its budget', async ({ person }) => {
    const ann = await person('Ann');
    const session = await ann.context.newCDPSession(ann.page);
    await session.send('Network.enable');
    const sizes = new Map<string, number>();
    const urls = new Map<string, string>();
    session.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
    await ann.welcome.open();
    await ann.page.waitForLoadState('networkidle');
    const rows = [...sizes].map(([id, bytes]) => [new URL(urls.get(id) ?? ann.page.url()).pathname, bytes] as const);
    const total = rows.reduce((sum, [, bytes]) => sum + bytes, 0);
    console.log([...rows, ['in all', total] as const].map(([what, bytes]) => `${String(bytes).padStart(8)} ${what}`).join('\n'));
    expect(rows.some(([path]) => path.endsWith('.wasm')), 'the wasm is counted').toBe(true);
    expect(total).toBeLessThanOrEqual(BUDGET);
  });

  test('the modules of the first load of a room stay within their budget', async ({ person, name, server }) => {
    const ann = await person('Ann');
    const fetched = new Set<string>();
    ann.page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (/^\/pkg\/(split|chunk)_.*\.wasm$/.test(pathname)) fetched.add(pathname);
    });
    const answer = await ann.page.goto(`${roomPath(name)}${ann.query}`);
    const named = /data-room="([^"]*)"/.exec(await answer!.text())?.[1]?.split(' ') ?? [];
    await ann.room.expectLive();
    const modules = named.filter((path) => path.endsWith('.wasm'));
    // The dialogs load later, when the room is idle.
    const atStart = [...fetched].filter((path) => !path.startsWith('/pkg/split_dialogs'));
    expect(atStart.sort(), 'the page names what it loads').toEqual(modules.sort());
    expect(modules.some((path) => path.startsWith('/pkg/split___room_route_view')), 'the room is counted').toBe(true);
    const rows = await Promise.all(modules.map(async (path) => [path, (await get(server, path, { 'accept-encoding': 'br' })).body.length] as const));
    const total = rows.reduce((sum, [, bytes]) => sum + bytes, 0);
    console.log([...rows, ['in all', total] as const].map(([what, bytes]) => `${String(bytes).padStart(8)} ${what}`).join('\n'));
    expect(total).toBeLessThanOrEqual(ROOM_BUDGET);
  });
});

test.describe('concurrent requests', () => {
  test('concurrent page requests are all answered', async ({ server, name }) => {
    const paths = ['/', `/room/${name}`, `/room/${name}/call`, '/nowhere'];
    const asks = Array.from({ length: 24 }, async (_, i) => {
      for (let turn = 0; turn < 25; turn += 1) {
        const path = paths[(i + turn) % paths.length];
        const answer = await fetch(server.url + path, { headers: { accept: 'text/html' } });
        const html = await answer.text();
        expect(answer.status, path).toBe(path === '/nowhere' ? 404 : 200);
        expect(html, path).toContain('</html>');
      }
    });
    await Promise.all(asks);
  });
});

test.describe('health', () => {
  test('/healthz and /readyz report health', async ({ server }) => {
    const alive = await fetch(`${server.url}/healthz`);
    expect([alive.status, (await alive.text()).trim()]).toEqual([200, 'ok']);
    const ready = await fetch(`${server.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(ready.headers.get('content-type')).toContain('application/json');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} closes every socket with 1012 and ends within ten seconds`, async ({ name, startServer }) => {
      const server = await startServer();
      const ann = await ProtocolClient.join(server, name, 'Ann');
      const start = Date.now();
      await server.kill(signal);
      expect(Date.now() - start).toBeLessThan(10_000);
      await expect.poll(() => ann.closed).toBe(1012);
    });
  }
});

test.describe('invalid frames', () => {
  /** Sends raw frames; returns the first error code or the close code. */
  async function answers(server: Server, ...frames: (string | Buffer)[]): Promise<string | number> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, { origin: server.url, perMessageDeflate: false });
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error('no answer')), 10_000);
      const end = (result: string | number) => {
        clearTimeout(timer);
        socket.terminate();
        done(result);
      };
      socket.on('open', () => frames.forEach((frame) => socket.send(frame, { binary: false })));
      socket.on('message', (data) => {
        const { type, code } = JSON.parse(String(data));
        if (type === 'error') end(code);
      });
      socket.on('close', (code) => end(code));
      socket.on('error', () => undefined);
    });
  }

  test('each gets the documented answer, and the chat of others continues', async ({ name, server }) => {
    const [ann, ben] = [await ProtocolClient.join(server, name, 'Ann'), await ProtocolClient.join(server, name, 'Ben')];
    const join = JSON.stringify({ type: 'join', room: `${name} x`, nickname: 'Mallory' });
    const chat = (text: string) => JSON.stringify({ type: 'chat', id: randomUUID(), text });
    expect(await answers(server, 'not json')).toBe('bad_message');
    expect(await answers(server, '[]')).toBe('bad_message');
    expect(await answers(server, '{"type":"dance"}')).toBe('unknown_type');
    expect(await answers(server, '{"type":"join"}')).toBe('bad_message');
    expect(await answers(server, chat('too early'))).toBe('not_joined');
    expect(await answers(server, join, join)).toBe('already_joined');
    expect(await answers(server, join, chat('  '))).toBe('message_empty');
    expect(await answers(server, join, chat('x'.repeat(4001)))).toBe('message_too_long');
    expect(await answers(server, join, chat('a\u0000b'))).toBe('message_not_allowed');
    expect(await answers(server, join, '{"type":"nickname","nickname":"\\u202E\\u3164"}')).toBe('bad_nickname');
    expect(await answers(server, join, chat('\u200B\u2800'))).toBe('message_empty');
    expect(await answers(server, '{"type":"join","room":"..","nickname":"x"}')).toBe('bad_room_name');
    const devices = '{"type":"devices","devices":{"microphone":true,"camera":false}}';
    expect(await answers(server, join, devices)).toBe('not_in_call');
    expect(await answers(server, `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`)).toBe('bad_message');
    expect(await answers(server, `{"type":"ping","x":"${'x'.repeat(64 * 1024)}"}`)).toBe(4413);
    expect([1007, 4400]).toContain(await answers(server, Buffer.from([0x22, 0xc3, 0x28, 0x22])));
    const flood = Array.from({ length: 10_000 }, () => chat('flood'));
    expect(['too_many_messages', 4429]).toContain(await answers(server, join, ...flood));
    await ann.sendChat('still here');
    const heard = await ben.next((frame) => frame.type === 'chat');
    expect(heard.text, 'no other message came first').toBe('still here');
    ann.close();
    ben.close();
  });

  test('forged senders and other rooms change nothing', async ({ name, server }) => {
    const [ann, mallory] = [await ProtocolClient.join(server, name, 'Ann'), await ProtocolClient.join(server, `${name} x`, 'Mallory')];
    const self = ann.messages.find(({ type }) => type === 'joined')!.self;
    mallory.send({ type: 'chat', id: randomUUID(), text: 'hi', from: { id: self, nickname: 'Ann' }, room: name });
    const copy = await mallory.next(({ type }) => type === 'chat');
    expect(copy.from.nickname).toBe('Mallory');
    expect(copy.from.id).not.toBe(self);
    mallory.send({ type: 'enter_call', leg: 7, devices: { microphone: true, camera: true } });
    await mallory.next(({ type }) => type === 'call');
    mallory.send({ type: 'signal', to: self, leg: 1, signal: { kind: 'offer', connection: 0, sdp: 'v=0' } });
    expect((await mallory.next(({ type }) => type === 'error')).code).toBe('no_such_person');
    await ann.sendChat('alone here');
    expect(ann.messages.filter(({ type }) => type === 'signal' || type === 'call_entered')).toEqual([]);
    expect(ann.messages.filter(({ type }) => type === 'chat').map(({ text }) => text)).toEqual(['alone here']);
    ann.close();
    mallory.close();
  });

  test('a repeated id is the same message', async ({ name, server }) => {
    const ann = await ProtocolClient.join(server, name, 'Ann');
    const id = randomUUID();
    ann.send({ type: 'chat', id, text: 'once' });
    ann.send({ type: 'chat', id, text: 'once' });
    await ann.sendChat('after');
    const copies = ann.messages.filter((frame) => frame.type === 'chat' && frame.id === id);
    expect(new Set(copies.map(({ seq }) => seq)).size).toBe(1);
    const late = await ProtocolClient.join(server, name, 'Ben');
    const { history } = late.messages.find(({ type }) => type === 'joined')!;
    expect(history.map(({ text }: { text: string }) => text)).toEqual(['once', 'after']);
    ann.close();
    late.close();
  });
});
