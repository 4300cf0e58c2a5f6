import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { LaunchOptions } from '@playwright/test';

/** Browsers with windows and policies. */
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Chromium without these, which takes half the time, and what replaces it. */
const HEADLESS = ['chromium-headless-shell', ...BROWSERS];

/** Path of Chromium: the variable CHROMIUM, or the first of these names on PATH. */
export function chromiumPath(names: readonly string[] = HEADLESS): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not in this folder.
      }
    }
  }
  throw new Error('No Chromium on PATH. Run `make setup`, or set CHROMIUM to one.');
}

/** As `launch`, of a browser with windows and policies. */
export function launchBrowser(extra: string[] = []): LaunchOptions {
  return { ...launch(extra), executablePath: chromiumPath(BROWSERS) };
}

/** Launch options: two fake cameras, no permission prompts, no background requests. */
export function launch(extra: string[] = []): LaunchOptions {
  return {
    executablePath: chromiumPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-device-for-media-stream=device-count=2',
      '--use-fake-ui-for-media-stream',
      '--auto-accept-this-tab-capture',
      '--autoplay-policy=no-user-gesture-required',
      ...extra,
    ],
  };
}
