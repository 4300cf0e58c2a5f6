import { defineConfig } from '@playwright/test';
import tests from '../playwright.config.ts';

// What is measured, not what must hold: `npm run measure`.
export default defineConfig({ ...tests, testDir: '.', outputDir: '../test-results/measure', timeout: 900_000 });
