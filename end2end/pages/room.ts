import { expect, type Locator, type Page } from '@playwright/test';
import type { Labels } from '../support/labels.ts';

/** The path of a room's page, as the server writes it. */
export function roomPath(name: string): string {
  const strict = encodeURIComponent(name).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `/room/${strict}`;
}

export class Room {
  readonly heading: Locator;
  readonly log: Locator;
  readonly message: Locator;
  readonly send: Locator;
  readonly people: Locator;
  readonly changeNickname: Locator;
  readonly joinCall: Locator;
  readonly leave: Locator;
  /** The banner of a disconnected room. */
  readonly banner: Locator;
  readonly newMessages: Locator;
  readonly search: Locator;

  constructor(
    private readonly page: Page,
    private readonly words: Labels,
  ) {
    this.heading = page.getByRole('heading', { level: 1 });
    this.log = page.getByRole('log', { name: words.messages });
    this.message = page.getByRole('textbox', { name: words.message });
    this.send = page.getByRole('button', { name: words.send });
    this.people = page.getByRole('list', { name: words.people });
    this.changeNickname = page.getByRole('button', { name: words.changeNickname });
    this.joinCall = page
      .getByRole('link', { name: words.joinCall })
      .or(page.getByRole('button', { name: words.joinCall }));
    this.leave = page
      .getByRole('button', { name: words.leaveRoom })
      .or(page.getByRole('link', { name: words.leaveRoom }));
    this.banner = page
      .getByRole('status')
      .or(page.getByRole('alert'))
      .filter({ hasText: /reconnect|connection lost|다시 연결|연결이 끊/i });
    this.search = page.getByRole('searchbox', { name: words.searchMessages });
    this.newMessages = page.getByRole('button', { name: /\d+ new message/ });
  }

  async open(name: string, query = ''): Promise<void> {
    await this.page.goto(roomPath(name) + query);
    await this.expectLive();
  }

  /** Expects a joined room: one's own entry comes with the answer to `join`, not with the HTML. */
  async expectLive(): Promise<void> {
    await expect(this.message).toBeVisible();
    await expect(this.people.getByRole('listitem').filter({ hasText: this.words.you })).not.toHaveCount(0);
  }

  async says(text: string): Promise<void> {
    await this.message.fill(text);
    await this.message.press('Enter');
    await expect(this.message).toHaveValue('');
  }

  /** The log entry with exactly this text. */
  said(text: string): Locator {
    return this.log.locator('li').filter({ has: this.page.getByText(text, { exact: true }) });
  }

  async sees(text: string): Promise<void> {
    await expect(this.said(text)).toBeVisible();
  }

  notice(text: string): Locator {
    return this.log.getByText(text, { exact: true });
  }

  /** Opens the actions of a message. */
  async opens(text: string): Promise<Locator> {
    const message = this.said(text).first();
    await message.hover();
    await message.getByRole('button', { name: this.words.actions }).click();
    return message;
  }

  /** Performs an action on a message, by the name of its button. */
  async does(text: string, action: string): Promise<void> {
    await (await this.opens(text)).getByRole('button', { name: action, exact: true }).click();
  }

  person(nickname: string): Locator {
    return this.people.getByRole('listitem').filter({ hasText: nickname });
  }

  async expectPeople(count: number): Promise<void> {
    await expect(this.people.getByRole('listitem')).toHaveCount(count);
  }

  async renames(nickname: string): Promise<void> {
    await this.changeNickname.click();
    const field = this.page.getByRole('textbox', { name: this.words.nickname });
    await field.fill(nickname);
    await field.press('Enter');
    await expect(field).toBeHidden();
  }
}
