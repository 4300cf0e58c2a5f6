import { defineConfig } from '@playwright/test';
import { launch } from './support/chromium.ts';

/** Calls through the server, impaired networks and other browsers: each test takes a core or more. */
const CALLS = /(active-speaker|interop|network-impairment|page-visibility|sfu-call)\.spec\.ts$/;
/** Clients without a browser, which mostly wait. */
const CHAOS = /chaos\.spec\.ts$/;

// Two workers for two cores. Calls decode video in software, so only one call runs at a time,
// beside chaos or pages; pages take both workers when the calls are done. No retries: a test
// that fails sometimes is a bug.
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results/run',
  workers: 2,
  fullyParallel: true,
  retries: 0,
  forbidOnly: true,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  projects: [
    { name: 'calls', testMatch: CALLS, workers: 1 },
    { name: 'chaos', testMatch: CHAOS, workers: 1 },
    { name: 'pages', testIgnore: [CALLS, CHAOS], workers: 2 },
  ],
  use: {
    browserName: 'chromium',
    headless: true,
    launchOptions: launch(),
    actionTimeout: 15_000,
    navigationTimeout: 30_000,
    screenshot: 'only-on-failure',
    trace: 'off',
  },
});
