import { expect, type Locator, type Page } from '@playwright/test';
import type { Labels } from '../support/labels.ts';
import { OFTEN } from '../support/poll.ts';
import { roomPath } from './room.ts';

export class Call {
  readonly controls: Locator;
  readonly microphone: Locator;
  readonly camera: Locator;
  readonly shareScreen: Locator;
  readonly leave: Locator;
  readonly settings: Locator;
  readonly flip: Locator;
  readonly participants: Locator;
  readonly dialog: Locator;
  readonly cameraDevice: Locator;
  readonly retry: Locator;
  /** The button that enters the call, on the prejoin page. */
  readonly joinNow: Locator;
  readonly hideAddress: Locator;

  constructor(
    private readonly page: Page,
    private readonly named: Labels,
  ) {
    this.controls = page.getByRole('toolbar', { name: named.controls });
    this.microphone = this.controls.getByRole('button', { name: named.microphone });
    this.camera = this.controls.getByRole('button', { name: named.camera, exact: true });
    this.shareScreen = this.controls.getByRole('button', { name: named.shareScreen });
    this.leave = this.controls.getByRole('button', { name: named.leaveCall });
    this.settings = this.controls.getByRole('button', { name: named.settings });
    this.flip = page.getByRole('button', { name: /switch camera|flip camera|카메라 (전환|바꾸기)/i });
    this.participants = page.getByRole('list', { name: named.participants });
    this.dialog = page.getByRole('dialog', { name: named.settings });
    this.cameraDevice = this.dialog.getByRole('combobox', { name: named.cameraDevice });
    this.joinNow = page.getByRole('button', { name: named.joinNow, exact: true });
    this.hideAddress = page.getByRole('checkbox', { name: named.hideAddress });
    this.retry = page.getByRole('button', { name: named.retry }).or(page.getByRole('link', { name: named.retry }));
  }

  async open(room: string, query = ''): Promise<void> {
    await this.visit(room, query);
    await this.joinNow.click();
    await this.expectEntered();
  }

  /** Opens the prejoin page. */
  async visit(room: string, query = ''): Promise<void> {
    await this.page.goto(`${roomPath(room)}/call${query}`);
    await this.expectAsks();
  }

  /** Expects the prejoin page, ready to enter. */
  async expectAsks(): Promise<void> {
    await expect(this.joinNow).toBeEnabled();
    await expect(this.controls).toHaveCount(0);
  }

  /** Expects the entered call: tiles come with the answer of the server. */
  async expectEntered(): Promise<void> {
    await expect(this.controls).toBeVisible();
    await expect(this.participants.getByRole('listitem')).not.toHaveCount(0);
  }

  /** The tile of a person, by accessible name or visible nickname. */
  tile(nickname: string): Locator {
    const tiles = this.participants.getByRole('listitem');
    return tiles
      .and(this.page.getByRole('listitem', { name: nickname }))
      .or(tiles.filter({ hasText: nickname }));
  }

  video(nickname: string): Locator {
    return this.tile(nickname).locator('video');
  }

  /** The sign that a person's video is paused for lack of bandwidth. */
  paused(nickname: string): Locator {
    return this.tile(nickname).getByText(/^(paused|video paused)/i).locator('visible=true');
  }

  /** The shared screen of a person. */
  screen(nickname: string): Locator {
    return this.page.getByRole('listitem', { name: new RegExp(`^${nickname}('s screen|님의 화면)$`) });
  }

  /** The full-screen button of a shared screen. */
  fullScreen(nickname: string): Locator {
    return this.screen(nickname).getByRole('button', { name: this.named.fullScreen });
  }

  async expectTiles(count: number): Promise<void> {
    await expect(this.participants.getByRole('listitem')).toHaveCount(count);
  }

  /** All text of a tile, with accessible names and titles. */
  words(nickname: string): Promise<string> {
    return this.tile(nickname).evaluate((tile) => {
      const parts = [tile, ...tile.querySelectorAll('*')].flatMap((element) => [
        element.getAttribute('aria-label'),
        element.getAttribute('title'),
      ]);
      return [...parts, tile.textContent].filter(Boolean).join(' ');
    });
  }

  async expectSays(nickname: string, sign: RegExp): Promise<void> {
    await expect.poll(() => this.words(nickname), { ...OFTEN, message: `${nickname}'s tile says ${sign}` }).toMatch(sign);
  }

  async expectSaysNot(nickname: string, sign: RegExp): Promise<void> {
    await expect.poll(() => this.words(nickname), { ...OFTEN, message: `${nickname}'s tile no longer says ${sign}` }).not.toMatch(sign);
  }

  /** Whether a video is mirrored, by itself or an ancestor. */
  mirrored(nickname: string): Promise<boolean> {
    return this.video(nickname).evaluate((video) => {
      let sign = 1;
      for (let element: Element | null = video; element; element = element.parentElement) {
        const { transform, scale } = getComputedStyle(element);
        if (transform !== 'none') sign *= Math.sign(new DOMMatrix(transform).a);
        if (scale && scale !== 'none') sign *= Math.sign(Number.parseFloat(scale));
      }
      return sign < 0;
    });
  }

  /** The mean colour of the current frame: red, green, blue, each 0 to 255. */
  colour(nickname: string): Promise<[number, number, number]> {
    return this.video(nickname).evaluate((element) => {
      const video = element as HTMLVideoElement;
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 16;
      const context = canvas.getContext('2d', { willReadFrequently: true })!;
      context.drawImage(video, 0, 0, 16, 16);
      const { data } = context.getImageData(0, 0, 16, 16);
      const mean = (channel: number) => {
        let sum = 0;
        for (let i = channel; i < data.length; i += 4) sum += data[i];
        return sum / (data.length / 4);
      };
      return [mean(0), mean(1), mean(2)] as [number, number, number];
    });
  }

  async openSettings(): Promise<void> {
    await this.settings.click();
    await expect(this.dialog).toBeVisible();
  }

  async closeSettings(): Promise<void> {
    await this.page.keyboard.press('Escape');
    await expect(this.dialog).toBeHidden();
  }
}
