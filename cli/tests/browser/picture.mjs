// Takes the picture of the console for the README, while a restore runs. `cargo xtask console-picture` runs it.
//
// CONSOLE: the printed address. ID: the restore. BROWSER: Chromium. FILE: the picture.

import puppeteer from "puppeteer-core";

const { CONSOLE, ID, BROWSER, FILE } = process.env;

const browser = await puppeteer.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--force-color-profile=srgb"] });
const page = await browser.newPage();
await page.setViewport({ width: 960, height: 1000, deviceScaleFactor: 1.1 });
await page.goto(CONSOLE);
await page.goto(`${new URL(CONSOLE).origin}/restores/${ID}`);
// Some of the slow ones are there, and some are not.
const isInTheMiddle = () => {
  const [, published, total] = document.title.match(/^(\d+) of (\d+) published/) ?? [];
  return Number(published) >= 0.85 * Number(total);
};
await page.waitForFunction(isInTheMiddle, { timeout: 120_000 });
const height = await page.evaluate(() => Math.ceil(document.querySelector(".columns").getBoundingClientRect().bottom) + 16);
await page.screenshot({ path: FILE, clip: { x: 0, y: 0, width: 960, height } });
await browser.close();
