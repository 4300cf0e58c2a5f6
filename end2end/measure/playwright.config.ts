import { defineConfig } from '@playwright/test';
import tests from '../playwright.config.ts';

// Figures, which no test asserts: `npm run measure`. One worker, or tests would measure each other.
export default defineConfig({
  ...tests,
  projects: undefined,
  workers: 1,
  fullyParallel: false,
  testDir: '.',
  outputDir: '../test-results/measure',
  timeout: 900_000,
});
