import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContext } from '@playwright/test';
import { DirectFiles, bytes, sha256 } from '../pages/direct_files.ts';
import { roomPath } from '../pages/room.ts';
import { expect, test as base, type Person } from '../support/test.ts';
import { COLOURS, expectVideo, expectAudio, paintCamera, selectedTransports, type Colour } from '../support/media.ts';
import { Firefox, firefoxPath } from '../support/firefox.ts';
import { expectFlow, observeCalls } from '../support/rtc.ts';
import type { Server } from '../support/server.ts';

const PEERS = join(dirname(fileURLToPath(import.meta.url)), '../peers');
const TOOLS = process.env.NOOM_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'noom');
const PYTHON = process.env.NOOM_AIORTC ?? join(TOOLS, 'aiortc/bin/python');

type Report = { event: string } & Record<string, any>;

/** A person in the call by aiortc, as a child process. */
class AiortcPeer {
  readonly reports: Report[] = [];
  /** Its standard error. */
  errors = '';

  private constructor(private readonly process: ChildProcess) {
    createInterface({ input: process.stdout! }).on('line', (line) => this.reports.push(JSON.parse(line)));
    process.stderr!.on('data', (text) => (this.errors += text));
  }

  static enters(server: Server, room: string, nickname: string): AiortcPeer {
    return AiortcPeer.runs('aiortc_peer.py', server, room, nickname, '--colour', COLOURS[nickname].join(','));
  }

  /** A person who receives direct files. */
  static receives(server: Server, room: string, nickname: string): AiortcPeer {
    return AiortcPeer.runs('aiortc_files.py', server, room, nickname);
  }

  private static runs(program: string, server: Server, ...args: string[]): AiortcPeer {
    const all = [join(PEERS, program), `ws://127.0.0.1:${server.port}/ws`, ...args];
    return new AiortcPeer(spawn(PYTHON, all, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** The last report about a person. */
  last(event: 'audio' | 'video', id: string): Report | undefined {
    return this.reports.filter((one) => one.event === event && one.id === id).at(-1);
  }

  async leaves(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.stdin!.end();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(timer);
  }
}

interface Fixtures {
  /** Starts a person by aiortc. */
  aiortc: (server: Server, room: string, nickname: string, kind?: 'enters' | 'receives') => AiortcPeer;
  /** Starts a Firefox. */
  firefox: () => Promise<Firefox>;
}

const test = base.extend<Fixtures>({
  // Both depend on `startServer`, so that they end before their server.
  aiortc: async ({ startServer: _ }, use) => {
    const all: AiortcPeer[] = [];
    await use((server, room, nickname, kind = 'enters') => {
      const peer = AiortcPeer[kind](server, room, nickname);
      all.push(peer);
      return peer;
    });
    for (const peer of all) {
      await peer.leaves();
      expect(peer.errors, 'nothing fails in the peer').not.toMatch(/Traceback|exception/i);
    }
  },

  firefox: async ({ startServer: _ }, use) => {
    const all: Firefox[] = [];
    await use(async () => {
      const firefox = await Firefox.start();
      all.push(firefox);
      await observeCalls(firefox.page as unknown as BrowserContext);
      return firefox;
    });
    for (const firefox of all) {
      await firefox.close();
      expect(firefox.console.filter(isOurs), 'the console of Firefox stays clean').toEqual([]);
    }
  },
});

/** Whether a line of Firefox's console comes from the page. */
function isOurs(line: string): boolean {
  return !/^\w+: WebRTC:/.test(line);
}

/** Enters the call with a painted camera. */
async function enters(person: Person, room: string): Promise<Person> {
  await paintCamera(person.page, COLOURS[person.name], [640, 360]);
  await person.entersCall(room);
  return person;
}

/**
 * Gives a Firefox a camera of one colour with a moving mark. The microphone stays Firefox's
 * fake one: without a sound card an AudioContext does not start.
 */
async function paintFirefoxCamera(firefox: Firefox, [red, green, blue]: Colour): Promise<void> {
  await firefox.addInitScript((fill) => {
    if (typeof MediaDevices === 'undefined') return;
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const context = canvas.getContext('2d')!;
    let drawn = 0;
    const draw = () => {
      context.fillStyle = fill;
      context.fillRect(0, 0, 640, 360);
      context.fillStyle = 'white';
      context.fillRect((drawn++ * 7) % 640, 0, 8, 8);
    };
    setInterval(draw, 50);
    draw();
    const ask = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = async function ({ video, audio }: MediaStreamConstraints = {}) {
      const sound = audio ? (await ask.call(this, { audio })).getTracks() : [];
      const picture = video ? canvas.captureStream(20).getTracks() : [];
      return new MediaStream([...picture, ...sound]);
    };
  }, `rgb(${red} ${green} ${blue})`);
}

/** Enters the call in a Firefox. */
async function firefoxEnters(firefox: Firefox, server: Server, room: string, nickname: string): Promise<void> {
  await firefox.open(`${server.url}${roomPath(room)}/call?name=${nickname}`);
  const press = () =>
    firefox.evaluate(() => {
      const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent?.includes('Join now'));
      if (!button || button.disabled) return false;
      button.click();
      return true;
    });
  await expect.poll(press, { message: 'Firefox presses "Join now"', timeout: 30_000 }).toBe(true);
}

/** Presses a button in a Firefox, once it is there. */
async function presses(firefox: Firefox, name: string): Promise<void> {
  const press = () =>
    firefox.evaluate((name) => {
      const buttons = [...document.querySelectorAll('button')];
      const button = buttons.find((button) => (button.ariaLabel ?? button.textContent?.trim()) === name);
      button?.click();
      return !!button;
    }, name);
  await expect.poll(press, { message: `Firefox presses "${name}"`, timeout: 45_000 }).toBe(true);
}

/** Chooses a file of sevens in the dialog of a Firefox. */
async function choosesFile(firefox: Firefox, name: string, length: number): Promise<void> {
  const choose = () =>
    firefox.evaluate(
      ({ name, length }) => {
        const field = document.querySelector<HTMLInputElement>('dialog[open] input[type=file]');
        if (!field) return false;
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(length).fill(7)], name));
        field.files = data.files;
        field.dispatchEvent(new Event('change', { bubbles: true }));
        return true;
      },
      { name, length },
    );
  await expect.poll(choose, { message: 'Firefox chooses a file', timeout: 30_000 }).toBe(true);
}

/** The SHA-256 of the only file that a Firefox has received. */
function storedHash(firefox: Firefox): Promise<string> {
  return firefox.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = (await root.getDirectoryHandle('noom-received')) as any;
    const files: FileSystemFileHandle[] = [];
    for await (const handle of folder.values()) files.push(handle);
    if (files.length !== 1) throw new Error(`${files.length} files`);
    const hash = await crypto.subtle.digest('SHA-256', await (await files[0].getFile()).arrayBuffer());
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  });
}

/** The mean colour of the video in a person's tile, in a Firefox. */
function tileColour(firefox: Firefox, of: string): Promise<Colour | null> {
  return firefox.evaluate((of) => {
    const tiles = [...document.querySelectorAll('li, [role=listitem]')];
    const video = tiles.find((tile) => tile.textContent?.includes(of))?.querySelector('video');
    if (!video?.videoWidth) return null;
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 16 });
    const context = canvas.getContext('2d')!;
    context.drawImage(video, 0, 0, 16, 16);
    const { data } = context.getImageData(0, 0, 16, 16);
    const sum = [0, 0, 0];
    for (let place = 0; place < data.length; place += 1) if (place % 4 < 3) sum[place % 4] += data[place];
    return sum.map((value) => value / 256) as Colour;
  }, of);
}

/** Largest difference of a channel between a colour and a person's colour. */
function away(colour: Colour | undefined, from: string): number {
  return Math.max(...COLOURS[from].map((value, place) => Math.abs(value - (colour?.[place] ?? -255))));
}

/** Waits until a Firefox shows a person's colour. `expectFlow` counts frames, because a headless Firefox paints none. */
async function expectTile(firefox: Firefox, of: string): Promise<void> {
  await expect
    .poll(async () => away((await tileColour(firefox, of)) ?? undefined, of), { message: `Firefox sees the colour of ${of}`, timeout: 40_000 })
    .toBeLessThan(60);
}

test.describe('aiortc', () => {
  test.skip(!existsSync(PYTHON), 'aiortc is not installed: make setup');

  test('aiortc and Chromium see and hear each other through the server', async ({ person, aiortc, name, startServer }) => {
    test.setTimeout(120_000);
    const server = await startServer({ p2pMax: 0 });
    const ann = await enters(await person('Ann', { server }), name);
    const ben = aiortc(server, name, 'Ben');
    await expectVideo(ann, 'Ben');
    await expectAudio(ann.page, 1);
    const seen = () => ben.reports.filter(({ event }) => event === 'video').at(-1);
    await expect.poll(() => away(seen()?.colour, 'Ann'), { message: 'aiortc sees Ann', timeout: 30_000 }).toBeLessThan(60);
    const { id, frames } = seen()!;
    await expect.poll(() => ben.last('video', id)?.frames, { message: 'aiortc sees Ann move' }).toBeGreaterThan(frames + 5);
    await expect.poll(() => ben.last('audio', id)?.energy, { message: 'aiortc hears Ann' }).toBeGreaterThan(10_000);
  });

  test('slots tell aiortc whose video is whose when people join and leave', async ({ person, aiortc, name, startServer }) => {
    test.setTimeout(180_000);
    const server = await startServer({ p2pMax: 0 });
    const eve = aiortc(server, name, 'Eve');
    const ann = await enters(await person('Ann', { server }), name);
    await expectVideo(ann, 'Eve');
    const dan = aiortc(server, name, 'Dan');
    const sees = (of: string) => {
      const recent = eve.reports.filter(({ event }) => event === 'video').slice(-4);
      return recent.find(({ colour }) => away(colour, of) < 60);
    };
    for (const other of ['Ann', 'Dan']) {
      await expect.poll(() => sees(other)?.frames, { message: `Eve sees ${other}`, timeout: 40_000 }).toBeGreaterThan(5);
    }
    expect(sees('Ann')!.id, 'two people').not.toBe(sees('Dan')!.id);
    await dan.leaves();
    const cleo = await enters(await person('Cleo', { server }), name);
    await expect.poll(() => sees('Cleo')?.frames, { message: 'Eve sees Cleo', timeout: 40_000 }).toBeGreaterThan(5);
    await expect.poll(() => sees('Ann')?.frames, { message: 'Eve still sees Ann' }).toBeGreaterThan(5);
    await expectVideo(cleo, 'Eve');
  });

  test('aiortc receives a direct file of Chromium', async ({ person, aiortc, name, startServer }) => {
    const server = await startServer();
    const ann = await person('Ann', { server });
    const mine = await DirectFiles.of(ann);
    const ben = aiortc(server, name, 'Ben', 'receives');
    await expect.poll(() => ben.reports.some(({ event }) => event === 'joined'), { timeout: 30_000 }).toBe(true);
    await ann.entersRoom(name);
    const content = bytes(5 * 1024 * 1024 + 1);
    await mine.shares('Ben', [{ name: 'to aiortc.bin', buffer: content }]);
    await mine.expectSays('to aiortc.bin', 'sent');
    expect(ben.reports.at(-1)).toMatchObject({ event: 'received', name: 'to aiortc.bin', sha256: sha256(content) });
  });

  test('datagrams that queue up while the server is stopped are all forwarded', async ({ aiortc, name, startServer }) => {
    const server = await startServer({ p2pMax: 0 });
    const ben = aiortc(server, name, 'Ben');
    const packets = () => server.metric('noom_media_received_packets_total');
    await expect.poll(() => ben.reports.some(({ state }) => state === 'connected')).toBe(true);
    await expect.poll(packets, { message: 'media comes' }).toBeGreaterThan(100);
    const before = await packets();
    process.kill(server.pid!, 'SIGSTOP');
    await wait(1_000);
    process.kill(server.pid!, 'SIGCONT');
    // 50 audio packets and 15 video frames a second are in the socket's buffer.
    await wait(100);
    expect((await packets()) - before).toBeGreaterThan(45);
  });
});

test.describe('Firefox', () => {
  test.skip(!firefoxPath(), 'there is no Firefox: make setup');

  test('Firefox and Chromium see and hear each other through the server', async ({ person, firefox, name, startServer }) => {
    test.setTimeout(150_000);
    const server = await startServer({ p2pMax: 0 });
    const ann = await enters(await person('Ann', { server }), name);
    const fox = await firefox();
    await paintFirefoxCamera(fox, COLOURS.Ben);
    await firefoxEnters(fox, server, name, 'Ben');
    await expectVideo(ann, 'Ben');
    await expectTile(fox, 'Ann');
    await expectAudio(ann.page, 1);
    await expectFlow(fox.page, 1);
    expect(await selectedTransports(ann.page)).toEqual(['udp']);
  });

  test('Firefox and Chromium exchange files directly', async ({ person, firefox, name, startServer }) => {
    test.setTimeout(150_000);
    const server = await startServer();
    const ann = await person('Ann', { server });
    const mine = await DirectFiles.of(ann);
    await ann.entersRoom(name);
    const fox = await firefox();
    await fox.open(`${server.url}${roomPath(name)}?name=Ben`);
    const content = bytes(9 * 1024 * 1024);
    await mine.shares('Ben', [{ name: 'to fox.bin', buffer: content }]);
    await presses(fox, 'Accept to fox.bin');
    await mine.expectSays('to fox.bin', 'sent');
    expect(await storedHash(fox), 'Firefox has the file').toBe(sha256(content));
    await presses(fox, 'Share a file with Ann');
    await choosesFile(fox, 'from fox.bin', 3_000_000);
    await mine.control('from fox.bin', 'accept_file').click();
    await mine.expectSays('from fox.bin', 'received');
    const download = ann.page.waitForEvent('download');
    await mine.control('from fox.bin', 'save_file').click();
    const arrived = readFileSync(await (await download).path());
    expect(sha256(arrived), 'Chromium has the file').toBe(sha256(Buffer.alloc(3_000_000, 7)));
  });

  test('Firefox and Chromium see and hear each other browser to browser', async ({ person, firefox, name, startServer }) => {
    test.setTimeout(150_000);
    const server = await startServer({ p2pMax: 2 });
    const ann = await enters(await person('Ann', { server }), name);
    const fox = await firefox();
    // Firefox's own fake camera and microphone this time.
    await firefoxEnters(fox, server, name, 'Ben');
    await expectTile(fox, 'Ann');
    await expectFlow(ann.page, 1);
    await expectFlow(fox.page, 1);
    expect(await server.metric('noom_media_connections'), 'nothing goes through the server').toBe(0);
  });
});
