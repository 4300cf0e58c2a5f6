import { readFileSync } from 'node:fs';
import { expect, type Locator } from '@playwright/test';
import type { Person } from '../support/test.ts';
import type { Locale } from '../support/labels.ts';
import { Moderation, filled } from './moderation.ts';
import { roomPath } from './room.ts';

type Words = Record<string, string>;

const read = (locale: Locale, part: string): Words =>
  JSON.parse(readFileSync(new URL(`../../locales/${locale}/${part}.json`, import.meta.url), 'utf8'));

/** The pages of somebody who is not in the room. */
export class Entry {
  readonly words: Words;
  readonly name: Locator;
  readonly line: Locator;
  readonly tell: Locator;
  readonly password: Locator;
  readonly showPassword: Locator;
  readonly enter: Locator;
  readonly askAgain: Locator;
  readonly tryAgain: Locator;
  readonly alert: Locator;

  constructor(private readonly person: Person) {
    const { page, locale } = person;
    this.words = read(locale, 'entry');
    this.name = page.getByRole('textbox', { name: read(locale, 'welcome').nickname, exact: true });
    this.line = page.getByRole('textbox', { name: this.words.line, exact: true });
    this.tell = page.getByRole('button', { name: this.words.line_send, exact: true });
    this.password = page.getByLabel(this.words.password, { exact: true });
    this.showPassword = page.getByRole('button', { name: this.words.password_show, exact: true });
    this.enter = page.getByRole('button', { name: this.words.password_enter, exact: true });
    this.askAgain = page.getByRole('button', { name: this.words.ask_again, exact: true });
    this.tryAgain = page.getByRole('button', { name: read(locale, 'common').try_again, exact: true });
    this.alert = page.getByRole('alert').filter({ hasText: /./ });
  }

  /** Opens the page of a room, whatever it shows. */
  async visits(room: string, more = ''): Promise<void> {
    await this.person.page.goto(roomPath(room) + this.person.query + more);
  }

  heading(title: string): Locator {
    return this.person.page.getByRole('heading', { level: 1, name: title, exact: true });
  }

  /** Expects a page, by the key of its title without `_title`; the title of the document says it, too. */
  async expectPage(key: string): Promise<void> {
    const title = this.words[`${key}_title`];
    await expect(this.heading(title)).toBeVisible();
    await expect(this.person.page).toHaveTitle(new RegExp(`^${title} · `));
  }

  /** Expects the lobby, with this place. */
  async expectWaits(place: number): Promise<void> {
    await this.expectPage('waiting');
    const sentence = place === 1 ? this.words.place_next : filled(this.words.place, { place: String(place) });
    await expect(this.person.page.getByRole('status').filter({ hasText: sentence })).toBeVisible();
  }

  async types(password: string): Promise<void> {
    await this.password.fill(password);
    await this.enter.click();
  }
}

/** The lobby and the access of a room, on the page of a host. */
export class Doorkeeper {
  readonly words: Words;
  readonly host: Moderation;
  readonly list: Locator;
  readonly admitAll: Locator;
  private readonly dialog: Locator;

  constructor(private readonly person: Person) {
    const { page, locale } = person;
    this.words = read(locale, 'entry');
    this.host = new Moderation(person);
    const [before, after] = this.words.list.split('{{ count }}');
    const escape = (text: string) => text.replace(/[()]/g, '\\$&');
    this.list = page.getByRole('list', { name: new RegExp(`^${escape(before)}\\d+${escape(after)}$`) });
    this.admitAll = page.getByRole('button', { name: this.words.admit_all, exact: true });
    this.dialog = this.host.dialog;
  }

  /** The row of somebody who waits. */
  row(nickname: string): Locator {
    return this.list.getByRole('listitem').filter({ hasText: nickname });
  }

  admit(nickname: string): Locator {
    return this.person.page.getByRole('button', { name: filled(this.words.admit_name, { name: nickname }), exact: true });
  }

  deny(nickname: string): Locator {
    return this.person.page.getByRole('button', { name: filled(this.words.deny_name, { name: nickname }), exact: true });
  }

  /** Turns somebody away with a reason. */
  async turnsAway(nickname: string, reason: string): Promise<void> {
    await this.deny(nickname).click();
    const title = filled(this.words.deny_title, { name: nickname });
    const dialog = this.person.page.getByRole('dialog', { name: title, exact: true });
    await dialog.getByRole('textbox').fill(reason);
    await dialog.getByRole('button', { name: this.words.deny, exact: true }).click();
    await expect(dialog).toBeHidden();
  }

  /** Changes something in the open dialog of the settings. */
  async inSettings(change: (dialog: Locator) => Promise<void>): Promise<void> {
    await this.host.openSettings();
    await change(this.dialog);
    await this.host.closeSettings();
  }

  /** Switches the lobby, and waits until the server has changed it. */
  async setLobby(on: boolean): Promise<void> {
    await this.inSettings(async (dialog) => {
      const box = dialog.getByRole('switch', { name: this.words.lobby, exact: true });
      await box.click();
      await expect(box).toBeChecked({ checked: on });
    });
  }

  async setAccess(access: 'listed' | 'unlisted' | 'closed'): Promise<void> {
    await this.inSettings(async (dialog) => {
      const choice = dialog.getByRole('radio', { name: this.words[access], exact: true });
      await choice.click();
      await expect(choice).toBeChecked();
    });
  }

  /** Sets or changes the password. */
  async setPassword(password: string): Promise<void> {
    await this.inSettings(async (dialog) => {
      await dialog.getByLabel(this.words.room_password, { exact: true }).fill(password);
      const set = dialog.getByRole('button', { name: this.words.password_set, exact: true });
      await set.or(dialog.getByRole('button', { name: this.words.password_change, exact: true })).click();
      await expect(dialog.getByText(this.words.password_saved, { exact: true })).toBeVisible();
    });
  }

  async setCapacity(people: string): Promise<void> {
    await this.inSettings(async (dialog) => {
      await dialog.getByRole('spinbutton', { name: this.words.capacity, exact: true }).fill(people);
      await dialog.getByRole('spinbutton', { name: this.words.capacity, exact: true }).press('Enter');
      await expect(dialog.getByText(this.words.saved, { exact: true })).toBeVisible();
    });
  }
}
