import { expect, type Locator, type Page } from '@playwright/test';

/** The words of the page that a test looks for. */
const WORDS = {
  en: { start: 'Start the test', again: 'Test again', works: 'Works', fails: 'Does not work', none: 'Not tested' },
  ko: { start: '테스트 시작', again: '다시 테스트', works: '정상', fails: '안 됨', none: '테스트 안 함' },
};

/** The connection and device test. */
export class Check {
  readonly words: (typeof WORDS)['en'];

  constructor(
    readonly page: Page,
    language: 'en' | 'ko' = 'en',
  ) {
    this.words = WORDS[language];
  }

  /** Opens the page and waits for its script. */
  async open(): Promise<void> {
    await this.page.goto('/check');
    await expect(this.start).toBeVisible();
  }

  get start(): Locator {
    return this.page.getByRole('button', { name: this.words.start });
  }

  /** The sentence about the whole test. */
  get summary(): Locator {
    return this.page.locator('#check-summary');
  }

  get report(): Locator {
    return this.page.locator('#check-text');
  }

  /** A step by its name in the source. */
  step(name: string): Locator {
    return this.page.locator(`[data-step="${name}"]`);
  }

  /** Runs the test of the connection, by keyboard, to its end. */
  async run(): Promise<void> {
    await this.start.focus();
    await this.page.keyboard.press('Enter');
    await expect(this.page.getByRole('button', { name: this.words.again })).toBeVisible({ timeout: 60_000 });
  }

  async expectWorks(...names: string[]): Promise<void> {
    for (const name of names) await expect(this.step(name).locator('.check__verdict'), name).toContainText(this.words.works);
  }

  async expectFails(name: string, sentence: RegExp, advice: RegExp): Promise<void> {
    await expect(this.step(name).locator('.check__verdict'), name).toHaveText(this.words.fails);
    await expect(this.step(name).locator('.check__sentence')).toHaveText(sentence);
    await expect(this.step(name).locator('.check__advice')).toHaveText(advice);
  }
}
