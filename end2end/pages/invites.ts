import { expect, type Locator } from '@playwright/test';
import type { Person } from '../support/test.ts';
import { Moderation, read } from './moderation.ts';

/** The section of invites in the open settings of a person. */
export class Invites {
  readonly words: Record<string, string>;
  readonly host: Moderation;
  readonly section: Locator;

  constructor(readonly person: Person) {
    this.words = read(person.locale, 'invites');
    this.host = new Moderation(person);
    this.section = person.page.getByRole('region', { name: this.words.title, exact: true });
  }

  button(word: string): Locator {
    return this.section.getByRole('button', { name: this.words[word], exact: true });
  }

  /** Makes an invite; returns its row. */
  async makes(nickname: string, uses: string): Promise<Locator> {
    await this.section.getByLabel(this.words.name, { exact: true }).fill(nickname);
    await this.section.getByLabel(this.words.uses, { exact: true }).selectOption({ label: this.words[uses] });
    await this.button('make').click();
    await expect(this.section.getByText(this.words.made, { exact: true })).toBeVisible();
    return this.section.getByRole('group').filter({ hasText: nickname });
  }

  /** The link that the button copies. */
  async copies(row: Locator): Promise<string> {
    await row.getByRole('button', { name: this.words.copy, exact: true }).click();
    await expect(row.getByRole('button', { name: this.words.copied, exact: true })).toBeVisible();
    return this.person.page.evaluate(() => navigator.clipboard.readText());
  }

  /** Revokes the invite of a row. */
  async revokes(row: Locator): Promise<void> {
    await row.getByRole('button', { name: this.words.revoke, exact: true }).click();
    await row.getByRole('button', { name: this.words.revoke_now, exact: true }).click();
    await expect(row).toHaveCount(0);
  }
}
