// Runs Lighthouse on a page for a slow phone and a desktop, and prints the scores as JSON:
// node lighthouse.mjs URL CHROMIUM
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const [url, chromium] = process.argv.slice(2);
const chrome = await launch({
  chromePath: chromium,
  chromeFlags: [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

/** The scores of one form factor, 0 to 100, and their main metrics. */
async function audit(config) {
  const options = {
    port: chrome.port,
    logLevel: "error",
    onlyCategories: ["performance", "accessibility", "best-practices"],
  };
  const { lhr } = await lighthouse(url, options, config);
  const score = (name) => Math.round((lhr.categories[name].score ?? 0) * 100);
  const value = (name) => Math.round(lhr.audits[name].numericValue ?? -1);
  const failed = Object.values(lhr.audits).filter((audit) => audit.score !== null && audit.score < 0.9);
  return {
    performance: score("performance"),
    accessibility: score("accessibility"),
    best_practices: score("best-practices"),
    first_paint_ms: value("first-contentful-paint"),
    largest_paint_ms: value("largest-contentful-paint"),
    blocked_ms: value("total-blocking-time"),
    bytes: value("total-byte-weight"),
    failed: failed.map((audit) => audit.id),
  };
}

try {
  const phone = await audit();
  const desktop = await audit(desktopConfig);
  console.log(JSON.stringify({ phone, desktop }));
} finally {
  await chrome.kill();
}
