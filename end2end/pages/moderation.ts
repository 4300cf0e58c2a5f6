import { readFileSync } from 'node:fs';
import { expect, type Locator } from '@playwright/test';
import type { Person } from '../support/test.ts';
import type { Locale } from '../support/labels.ts';

type Words = Record<string, string>;

/** The words of one part of the interface. */
export const read = (locale: Locale, part: string): Words =>
  JSON.parse(readFileSync(new URL(`../../locales/${locale}/${part}.json`, import.meta.url), 'utf8'));

/** A sentence with its names. */
export const filled = (sentence: string, names: Record<string, string>): string =>
  sentence.replace(/\{\{ (\w+) \}\}/g, (_, key: string) => names[key]);

/** What a host does, on the page of one person. */
export class Moderation {
  /** The words of hosts, in the language of the page. */
  readonly words: Words;
  /** The words of the room. */
  readonly roomWords: Words;
  readonly settings: Locator;
  readonly dialog: Locator;
  /** Opens the list of people beside the call. */
  readonly showPeople: Locator;

  constructor(private readonly person: Person) {
    const { page, locale } = person;
    this.words = read(locale, 'hosts');
    this.roomWords = read(locale, 'room');
    this.settings = page.getByRole('button', { name: this.words.settings, exact: true });
    this.dialog = page.getByRole('dialog', { name: this.words.settings, exact: true });
    this.showPeople = page.getByRole('button', { name: this.roomWords.show_people, exact: true });
  }

  /** The button of the menu about a person. */
  menu(nickname: string): Locator {
    return this.person.page.getByRole('button', { name: filled(this.words.actions_for, { name: nickname }), exact: true });
  }

  /** The actions about a person, while they are open. */
  actions(nickname: string): Locator {
    return this.person.page.getByRole('group', { name: filled(this.words.actions_for, { name: nickname }), exact: true });
  }

  /** Takes an action on a person, by the key of its word. */
  async does(nickname: string, action: string): Promise<void> {
    await this.menu(nickname).click();
    await this.actions(nickname).getByRole('button', { name: this.words[action], exact: true }).click();
    await expect(this.actions(nickname)).toBeHidden();
  }

  /** The dialog that asks before an action on a person. */
  question(key: string, nickname: string): Locator {
    return this.person.page.getByRole('dialog', { name: filled(this.words[key], { name: nickname }), exact: true });
  }

  /** Removes or bans a person, with a reason. */
  async sendsAway(nickname: string, action: 'remove' | 'ban', reason = ''): Promise<void> {
    await this.does(nickname, action);
    const dialog = this.question(`${action}_title`, nickname);
    await dialog.getByRole('textbox').fill(reason);
    await dialog.getByRole('button', { name: this.words[action], exact: true }).click();
    await expect(dialog).toBeHidden();
  }

  async openSettings(): Promise<void> {
    await this.settings.click();
    await expect(this.dialog).toBeVisible();
  }

  async closeSettings(): Promise<void> {
    await this.person.page.keyboard.press('Escape');
    await expect(this.dialog).toBeHidden();
    await expect(this.settings).toBeFocused();
  }

  /** Switches a setting, and waits until the server has changed it. */
  async switches(key: string, on: boolean): Promise<void> {
    await this.openSettings();
    const box = this.dialog.getByRole('switch', { name: this.words[key], exact: true });
    await expect(box).toBeChecked({ checked: !on });
    await box.click();
    await expect(box).toBeChecked({ checked: on });
    await this.closeSettings();
  }

  /** Expects the role beside a nickname in the list of people; none for a guest. */
  async expectRole(nickname: string, role: 'host' | 'co_host' | 'viewer' | null): Promise<void> {
    const row = this.person.room.person(nickname);
    for (const known of ['host', 'co_host', 'viewer']) {
      await expect(row.getByText(this.words[known], { exact: true })).toHaveCount(known === role ? 1 : 0);
    }
  }
}
