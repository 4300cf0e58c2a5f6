import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from '@playwright/test';
import { DirectFiles } from '../pages/direct_files.ts';
import { expect, note, test } from '../support/test.ts';

/** Size of the file in MiB. */
const MIB = Number(process.env.DIRECT_MIB ?? 1024);
const BYTES = MIB * 1024 * 1024;

/** A file of random bytes, and its hash. */
function randomFile(path: string): string {
  const [file, part, hash] = [openSync(path, 'w'), Buffer.alloc(1024 * 1024), createHash('sha256')];
  for (let at = 0; at < MIB; at += 1) {
    randomFillSync(part);
    hash.update(part);
    writeSync(file, part);
  }
  closeSync(file);
  return hash.digest('hex');
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}

/** Resident memory of each renderer of the browser, in MiB, largest first. */
async function renderers(browser: Browser): Promise<number[]> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const sizes = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => {
    const status = readFileSync(`/proc/${id}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  });
  return sizes.sort((a, b) => b - a);
}

/** Resident memory of the server, in MiB. */
function serverMemory(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);
}

/** Bytes a second of a bare data channel from one page to the other: nothing is read, hashed or stored. */
async function bareChannel(from: Page, to: Page): Promise<number> {
  await to.evaluate(() => {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel('bare', { negotiated: true, id: 0 });
    channel.binaryType = 'arraybuffer';
    let received = 0;
    channel.onmessage = ({ data }) => {
      received += (data as ArrayBuffer).byteLength;
      Object.assign(window, { bareReceived: received });
    };
    Object.assign(window, { bare: pc });
  });
  const offer = await from.evaluate(async () => {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel('bare', { negotiated: true, id: 0 });
    Object.assign(window, { bare: pc, bareChannel: channel });
    await pc.setLocalDescription();
    await new Promise<void>((resolve) => {
      if (pc.iceGatheringState === 'complete') resolve();
      pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && resolve();
    });
    return pc.localDescription!.sdp;
  });
  const answer = await to.evaluate(async (sdp) => {
    const { bare: pc } = window as unknown as { bare: RTCPeerConnection };
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription();
    await new Promise<void>((resolve) => {
      if (pc.iceGatheringState === 'complete') resolve();
      pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && resolve();
    });
    return pc.localDescription!.sdp;
  }, offer);
  await from.evaluate(async (sdp) => {
    const { bare: pc, bareChannel: channel } = window as unknown as { bare: RTCPeerConnection; bareChannel: RTCDataChannel };
    await pc.setRemoteDescription({ type: 'answer', sdp });
    if (channel.readyState !== 'open') await new Promise((resolve) => (channel.onopen = resolve));
  }, answer);
  const began = Date.now();
  await from.evaluate(async (total) => {
    const { bareChannel: channel } = window as unknown as { bareChannel: RTCDataChannel };
    channel.bufferedAmountLowThreshold = 2 * 1024 * 1024;
    const chunk = new Uint8Array(256 * 1024);
    for (let sent = 0; sent < total; sent += chunk.byteLength) {
      channel.send(chunk);
      if (channel.bufferedAmount > 8 * 1024 * 1024) {
        await new Promise((resolve) => (channel.onbufferedamountlow = resolve));
      }
    }
  }, BYTES);
  await expect.poll(() => to.evaluate(() => (window as unknown as { bareReceived: number }).bareReceived), {
    timeout: 600_000,
    intervals: [100],
  }).toBe(BYTES);
  const seconds = (Date.now() - began) / 1000;
  for (const page of [from, to]) await page.evaluate(() => (window as unknown as { bare: RTCPeerConnection }).bare.close());
  return BYTES / seconds;
}

test('a large file against a bare data channel between the same pages', async ({ person, name, browser, server }) => {
  test.setTimeout(1_800_000);
  const folder = mkdtempSync(join(tmpdir(), 'noom-direct-'));
  try {
    const path = join(folder, 'large.bin');
    const hash = randomFile(path);
    const [ann, ben] = [await person('Ann'), await person('Ben')];
    const [mine, theirs] = [await DirectFiles.of(ann), await DirectFiles.of(ben)];
    await ann.entersRoom(name);
    await ben.entersRoom(name);
    const idle = await renderers(browser);
    const before = await bareChannel(ann.page, ben.page);
    await mine.sharesPath('Ben', path);
    await theirs.control('large.bin', 'accept_file').click();
    const began = Date.now();
    const memory: number[][] = [];
    const ofServer = [serverMemory(server.pid!)];
    const watch = setInterval(() => {
      ofServer.push(serverMemory(server.pid!));
      void renderers(browser).then((sizes) => memory.push(sizes));
    }, 1_000);
    await expect(theirs.item('large.bin').getByText(theirs.words.received)).toBeVisible({ timeout: 900_000 });
    const rate = BYTES / ((Date.now() - began) / 1000);
    clearInterval(watch);
    const after = await bareChannel(ann.page, ben.page);
    const download = ben.page.waitForEvent('download');
    await theirs.control('large.bin', 'save_file').click();
    expect(await hashOf(await (await download).path())).toBe(hash);
    const mb = (value: number) => Math.round(value / 1e6);
    const most = memory.reduce((all, sizes) => sizes.map((size, at) => Math.max(size, all[at] ?? 0)), [] as number[]);
    note('rate', `${MIB} MiB: ${mb(rate)} MB/s, bare channel ${mb(before)} and ${mb(after)} MB/s`);
    note('memory', `renderers in MiB: idle ${idle.slice(0, 2).join(' and ')}, at most ${most.slice(0, 2).join(' and ')}`);
    note('server', `MiB: ${ofServer[0]} before, at most ${Math.max(...ofServer)}`);
    console.log(test.info().annotations);
    // The windows and queues of both sides, whatever the size of the file.
    for (const [at, size] of most.slice(0, 2).entries()) expect(size - idle[at]).toBeLessThan(256);
    expect(Math.max(...ofServer) - ofServer[0]).toBeLessThan(32);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
