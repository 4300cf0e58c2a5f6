import type { Page } from '@playwright/test';

/** A picture of this size and type, with a gradient from red on the left to blue on the right. */
export async function gradient(page: Page, type: 'image/jpeg' | 'image/png', width: number, height: number): Promise<Buffer> {
  const base64 = await page.evaluate(
    ({ type, width, height }) => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext('2d', { willReadFrequently: true })!;
      const colours = context.createLinearGradient(0, 0, width, 0);
      colours.addColorStop(0, 'red');
      colours.addColorStop(1, 'blue');
      context.fillStyle = colours;
      context.fillRect(0, 0, width, height);
      return canvas.toDataURL(type).split(',')[1];
    },
    { type, width, height },
  );
  return Buffer.from(base64, 'base64');
}
