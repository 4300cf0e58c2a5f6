import { expect, type Locator, type Page } from '@playwright/test';
import type { Labels } from '../support/labels.ts';

export class Welcome {
  readonly nickname: Locator;
  readonly roomName: Locator;
  readonly join: Locator;
  readonly openPrivate: Locator;
  readonly openRooms: Locator;

  constructor(
    private readonly page: Page,
    words: Labels,
  ) {
    this.nickname = page.getByRole('textbox', { name: words.nickname });
    this.roomName = page.getByRole('textbox', { name: words.roomName });
    this.join = page.getByRole('button', { name: words.join });
    this.openPrivate = page.getByRole('button', { name: words.openPrivate });
    this.openRooms = page.getByRole('list', { name: words.openRooms });
  }

  async open(query = ''): Promise<void> {
    await this.page.goto(`/${query}`);
    await expect(this.join).toBeVisible();
  }

  /** Fills in and submits the form. */
  async enters(room: string, nickname?: string): Promise<void> {
    if (nickname !== undefined) await this.nickname.fill(nickname);
    await this.roomName.fill(room);
    await this.join.click();
  }

  /** The link to an open room. */
  entry(room: string): Locator {
    return this.openRooms.getByRole('link').filter({ hasText: room });
  }

  /** Expects an invalid field with a visible description. */
  async expectRefused(field: Locator, kept: string): Promise<void> {
    await expect(field).toHaveAttribute('aria-invalid', 'true');
    await expect(field).toHaveValue(kept);
    await expect(field).toHaveAccessibleDescription(/\S{2,}/);
    const ids = (await field.getAttribute('aria-describedby')) ?? (await field.getAttribute('aria-errormessage'));
    const shown = this.page.locator((ids ?? '').split(/\s+/).map((id) => `[id="${id}"]`).join(','));
    await expect(shown.filter({ hasText: /\S/ }).first()).toBeVisible();
  }
}
