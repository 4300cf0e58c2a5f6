import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Locator } from '@playwright/test';
import { filled, read } from './moderation.ts';
import type { Person } from '../support/test.ts';

interface Chosen {
  name: string;
  buffer: Buffer;
}

/** A file of the disk: the browser reads it, instead of taking the bytes from the test. */
function onDisk({ name, buffer }: Chosen): string {
  const folder = test.info().outputPath(String(buffer.length));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, buffer);
  return path;
}

/** What the stubs of the page share with the test. */
interface Stubs {
  stalled: boolean;
  written: number;
  waiting: (() => void)[];
  picked?: FileSystemFileHandle;
}

declare global {
  interface Window {
    directFiles?: Stubs;
  }
}

/** Bytes that no compression and no repetition makes alike. */
export function bytes(length: number): Buffer {
  const content = Buffer.alloc(length);
  let state = 0x2545f491 ^ length;
  for (let at = 0; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    content.writeInt32LE(state | 0, at);
  }
  return content;
}

export const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** The list of transfers on the page of one person, and the buttons that share a file. */
export class DirectFiles {
  readonly words: Record<string, string>;
  readonly panel: Locator;

  /** The list of a person whose browser cannot ask where to save a file. Before the page is opened. */
  static async of(person: Person): Promise<DirectFiles> {
    await person.page.addInitScript(() => {
      delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker;
    });
    return new DirectFiles(person);
  }

  private constructor(private readonly person: Person) {
    this.words = read(person.locale, 'transfers');
    this.panel = person.page.getByRole('region', { name: this.words.title, exact: true });
  }

  /** The item of a file. */
  item(file: string): Locator {
    return this.panel.getByRole('listitem').filter({ has: this.person.page.getByText(file, { exact: true }) });
  }

  /** A control of the item of a file, by the key of its name. */
  control(file: string, key: string): Locator {
    const name = filled(this.words[key], { file });
    return this.panel.getByRole('button', { name, exact: true }).or(this.panel.getByRole('link', { name, exact: true }));
  }

  async expectSays(file: string, key: string): Promise<void> {
    await expect(this.item(file).getByText(this.words[key], { exact: true })).toBeVisible({ timeout: 45_000 });
  }

  async shares(nickname: string, files: Chosen[], hidden = false): Promise<void> {
    await this.opens(filled(this.words.share_with, { name: nickname }), this.words.share_with, nickname, files, hidden);
  }

  async sharesWithEverybody(files: Chosen[]): Promise<void> {
    await this.opens(this.words.share_all, this.words.share_all_title, '', files, false);
  }

  /** Shares a file of the disk. */
  async sharesPath(nickname: string, path: string): Promise<void> {
    await this.opens(filled(this.words.share_with, { name: nickname }), this.words.share_with, nickname, path, false);
  }

  /** Opens the dialog that shares files with a person. */
  async opensFor(nickname: string): Promise<Locator> {
    const button = filled(this.words.share_with, { name: nickname });
    return this.dialog(button, this.words.share_with, nickname);
  }

  private async dialog(button: string, title: string, name: string): Promise<Locator> {
    const { page } = this.person;
    await page.getByRole('button', { name: button, exact: true }).click();
    return page.getByRole('dialog', { name: filled(title, { name }) });
  }

  private async opens(button: string, title: string, name: string, files: Chosen[] | string, hidden: boolean): Promise<void> {
    const { page } = this.person;
    const dialog = await this.dialog(button, title, name);
    if (hidden) await dialog.getByRole('checkbox').check();
    const chooser = page.waitForEvent('filechooser');
    await dialog.getByRole('button', { name: this.words.choose, exact: true }).click();
    await (await chooser).setFiles(typeof files === 'string' ? files : files.map(onDisk));
    await expect(dialog).toBeHidden();
  }

  /** Drops a small file on an element. */
  async drops(name: string, on: Locator): Promise<void> {
    const dataTransfer = await this.person.page.evaluateHandle((name) => {
      const data = new DataTransfer();
      data.items.add(new File(['dropped'], name));
      return data;
    }, name);
    for (const event of ['dragenter', 'dragover', 'drop']) await on.dispatchEvent(event, { dataTransfer });
  }

  /** Pastes a small file into an element. */
  async pastes(name: string, into: Locator): Promise<void> {
    const clipboardData = await this.person.page.evaluateHandle((name) => {
      const data = new DataTransfer();
      data.items.add(new File(['pasted'], name));
      return data;
    }, name);
    await into.evaluate((element, clipboardData) => {
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }, clipboardData);
  }

  /** The names of the files in the private storage. */
  storedFiles(): Promise<string[]> {
    return this.person.page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const names = [];
      for await (const [name, handle] of (root as any).entries()) {
        if (handle.kind === 'file') names.push(name);
        else for await (const inside of (handle as any).keys()) names.push(inside);
      }
      return names;
    });
  }

  /** From now on the private storage of the page writes nothing, until `resumesDisk`. */
  async stallsDisk(): Promise<void> {
    await this.person.page.evaluate(() => {
      const stubs: Stubs = (window.directFiles ??= { stalled: false, written: 0, waiting: [] });
      stubs.stalled = true;
      const prototype = FileSystemWritableFileStream.prototype;
      const write = prototype.write;
      prototype.write = async function (data) {
        // Half of what comes, so that there is something to lose.
        if (stubs.stalled && stubs.written >= 8 * 1024 * 1024) {
          await new Promise<void>((resolve) => stubs.waiting.push(resolve));
        }
        await write.call(this, data);
        stubs.written += (data as Blob).size;
      };
    });
  }

  async resumesDisk(): Promise<void> {
    await this.person.page.evaluate(() => {
      const stubs = window.directFiles!;
      stubs.stalled = false;
      stubs.waiting.splice(0).forEach((resolve) => resolve());
    });
  }

  /** The bytes that the private storage has written. */
  stored(): Promise<number> {
    return this.person.page.evaluate(() => window.directFiles!.written);
  }

  async expectStored(least: number): Promise<void> {
    await expect.poll(() => this.stored(), { timeout: 45_000 }).toBeGreaterThanOrEqual(least);
  }

  /** Breaks the connections of this page; the other side notices. */
  async cutsConnections(): Promise<void> {
    await this.person.page.evaluate(() => window.__rtc.connections.forEach(({ pc }) => pc.close()));
  }

  /** The connections that this page has opened. */
  connections(): Promise<number> {
    return this.person.page.evaluate(() => window.__rtc.connections.length);
  }

  /** The kinds of the local candidates of all connections with a data channel. */
  candidates(): Promise<string[]> {
    return this.person.page.evaluate(async () => {
      const kinds = new Set<string>();
      for (const { pc } of window.__rtc.connections) {
        if (!pc.sctp) continue;
        for (const report of (await pc.getStats()).values()) {
          if (report.type === 'local-candidate') kinds.add(report.candidateType);
        }
      }
      return [...kinds];
    });
  }

  /** The browser asks where to save files, and the answer is a file of the private storage. */
  async picksPrivateFile(): Promise<void> {
    await this.person.page.evaluate(() => {
      const stubs: Stubs = (window.directFiles ??= { stalled: false, written: 0, waiting: [] });
      Object.assign(window, {
        showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) => {
          const root = await navigator.storage.getDirectory();
          stubs.picked = await root.getFileHandle(suggestedName, { create: true });
          return stubs.picked;
        },
      });
    });
  }

  /** The SHA-256 of the file that was picked. */
  pickedHash(): Promise<string> {
    return this.person.page.evaluate(async () => {
      const file = await window.directFiles!.picked!.getFile();
      const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
      return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    });
  }
}
