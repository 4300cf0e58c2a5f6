import { defineConfig } from '@playwright/test';
import { launch } from './support/chromium.ts';

// One worker: a call of four decodes twelve streams, and two such calls on a small
// machine would test the machine. No retries: a test that fails sometimes is a bug.
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results/run',
  workers: 1,
  fullyParallel: false,
  retries: 0,
  forbidOnly: true,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
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
