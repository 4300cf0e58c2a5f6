import { defineConfig } from '@playwright/test';
import main from '../playwright.config.ts';

// Pictures for people to look at: `npm run shots`. Not part of the tests.
export default defineConfig({ ...main, testDir: '.', outputDir: '../test-results/visual' });
