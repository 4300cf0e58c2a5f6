import { defineConfig } from '@playwright/test';
import tests from '../playwright.config.ts';

// Pictures for people to look at: `npm run shots`. Not part of the tests.
export default defineConfig({
  ...tests,
  projects: undefined,
  workers: 1,
  fullyParallel: false,
  testDir: '.',
  outputDir: '../test-results/visual',
});
