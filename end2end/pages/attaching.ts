import { expect, type Locator } from '@playwright/test';
import type { Person } from '../support/test.ts';
import { filled, read } from './moderation.ts';

/** A file as a test makes it. */
export interface Made {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

/** Attaching files to a message, on the page of one person. */
export class Attaching {
  /** The words of files, in the language of the page. */
  readonly words: Record<string, string>;
  /** Opens the browser's dialog that chooses files. */
  readonly button: Locator;
  /** The files of the next message. */
  readonly list: Locator;
  /** The sign that files can be dropped. */
  readonly drop: Locator;

  constructor(private readonly person: Person) {
    const { page, locale } = person;
    // The browser reports its dialog only once somebody listens, which a key press would not wait for.
    page.on('filechooser', () => {});
    this.words = read(locale, 'files');
    this.button = page.getByRole('button', { name: this.words.attach, exact: true });
    this.list = page.getByRole('list', { name: this.words.to_send });
    this.drop = page.getByText(this.words.drop, { exact: true });
  }

  /** A file of the next message, by its name. */
  chip(name: string): Locator {
    return this.list.getByRole('listitem').filter({ hasText: name });
  }

  /** The button that removes a file. */
  remove(name: string): Locator {
    return this.list.getByRole('button', { name: filled(this.words.remove, { name }), exact: true });
  }

  /** The button that tries a file again. */
  retry(name: string): Locator {
    return this.list.getByRole('button', { name: filled(this.words.retry, { name }), exact: true });
  }

  /** Chooses files in the dialog that `press` opens. */
  async picks(files: Made[] | string, press = () => this.button.click()): Promise<void> {
    const chooser = this.person.page.waitForEvent('filechooser');
    await press();
    await (await chooser).setFiles(files);
  }

  /** Waits until these files have arrived. */
  async expectArrived(...names: string[]): Promise<void> {
    for (const name of names) await expect(this.chip(name)).toContainText(this.words.arrived, { timeout: 30_000 });
  }

  /** Pastes or drops a file by events such as those of the browser. */
  async transfers(how: 'paste' | 'drag' | 'drop', { name, mimeType, buffer }: Made): Promise<void> {
    const content = buffer.toString('base64');
    const { message, log } = this.person.room;
    await (how === 'paste' ? message : log).evaluate(
      (field, { how, name, mimeType, content }) => {
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, { type: mimeType }));
        const common = { bubbles: true, cancelable: true };
        if (how === 'paste') field.dispatchEvent(new ClipboardEvent('paste', { ...common, clipboardData: data }));
        else field.dispatchEvent(new DragEvent(how === 'drag' ? 'dragover' : 'drop', { ...common, dataTransfer: data }));
      },
      { how, name, mimeType, content },
    );
  }
}
