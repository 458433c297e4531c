// Drives the console in a real browser, as a person and an attacker would. `cargo xtask test console` runs it.
//
// CONSOLE: {"changes": printed address, "readOnly": printed address, "ids": {…}} of two running consoles. BROWSER: Chromium.
// SHOTS: a folder for pictures.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const consoles = JSON.parse(process.env.CONSOLE);
const { ids } = consoles;
const shots = process.env.SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const originOf = (url) => new URL(url).origin;
const WAIT = 20_000;

const LIGHT = { width: 1200, height: 900 };
// Not `isMobile`: that loads the page anew.
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2 };

const browser = await puppeteer.launch({
  executablePath: process.env.BROWSER,
  args: [
    // A container's root has no other way; the pages are our own.
    "--no-sandbox",
    "--disable-background-networking",
    "--force-color-profile=srgb",
    // Nothing is looked up outside, and the attacker's name points here (DNS rebinding).
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});

/** What went wrong in any tab, and where tabs sent requests. */
const complaints = [];
const origins = new Set();

/** Pages of the attacker, which are no page of the console. */
const staged = new Set();

async function tab(context = browser) {
  const page = await context.newPage();
  await page.setViewport(LIGHT);
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => {
    const { url } = message.location();
    // The icon of the attacker's page is refused as the page is, but at any time, also in the next step.
    const isIcon = url?.endsWith("/favicon.ico") && staged.has(originOf(url));
    if (message.type() === "error" && !isIcon) complaints.push(`${url}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  page.on("request", (request) => origins.add(originOf(request.url())));
  return page;
}

/** Chromium logs each refused request as an error. These are looked for, and taken off the list. */
function expectComplaints(about) {
  const expected = complaints.filter((complaint) => about.test(complaint));
  assert.notEqual(expected.length, 0, complaints.join("\n"));
  expected.forEach((complaint) => complaints.splice(complaints.indexOf(complaint), 1));
}

const text = (page) => page.evaluate(() => document.body.innerText);

async function isAccessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const says = serious.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join("\n")}`);
  assert.deepEqual(says, [], `${page.url()}`);
}

/** Pictures for a person to look at, in light, dark and phone width; each of them is checked. */
async function lookAt(page, name) {
  const look = async (kind, viewport, scheme) => {
    await page.setViewport(viewport);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await isAccessible(page);
    const isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    assert.equal(isTooWide, false, `${name} scrolls sideways (${kind})`);
    const height = await page.evaluate(() => Math.min(document.documentElement.scrollHeight, 2400));
    const clip = { x: 0, y: 0, width: viewport.width, height };
    await page.screenshot({ path: join(shots, `${name}-${kind}.png`), clip, captureBeyondViewport: true });
  };
  await look("light", LIGHT, "light");
  await look("dark", LIGHT, "dark");
  await look("phone", PHONE, "light");
  await page.setViewport(LIGHT);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
}

/** Opens a page and says how long it took until something was seen. */
async function timed(page, url, name) {
  await page.goto(url, { waitUntil: "load" });
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  console.log(`first paint of ${name}: ${paint.toFixed(0)} ms`);
}

/** Presses what has this text or selector, and waits for the page that follows. */
async function follow(page, selector) {
  const button = await page.waitForSelector(selector);
  await Promise.all([page.waitForNavigation(), button.click()]);
}

/** Fills in the form for a new restore, and asks for its plan. */
async function plan(page, address, limit) {
  await page.goto(`${originOf(consoles.changes)}/new`);
  await page.type("#uris", address);
  if (limit) await page.type("#max-cost", limit);
  await follow(page, "#plan");
}

const steps = {
  async "the printed address opens the list, and the token leaves the address bar"(page) {
    await page.goto(consoles.changes);
    assert.equal(page.url(), `${originOf(consoles.changes)}/`);
    const cookies = await browser.cookies();
    assert.deepEqual(cookies.map(({ httpOnly, sameSite, domain }) => ({ httpOnly, sameSite, domain })), [{ httpOnly: true, sameSite: "Strict", domain: "127.0.0.1" }]);
    assert.match(await text(page), /Restores[\s\S]*running[\s\S]*partly failed/);
    await lookAt(page, "list");
  },

  async "the printed address works once"() {
    const stranger = await browser.createBrowserContext();
    const page = await tab(stranger);
    const answer = await page.goto(consoles.changes);
    assert.equal(answer.status(), 403);
    assert.match(await text(page), /was used already/);
    const wrong = await page.goto(`${originOf(consoles.changes)}/?token=0123`);
    assert.equal(wrong.status(), 403);
    assert.match(await text(page), /token in this address is wrong/);
    await stranger.close();
    expectComplaints(/status of 403/);
  },

  async "a name that points to this machine is another host"(page) {
    const { port } = new URL(consoles.changes);
    staged.add(`http://evil.example:${port}`);
    const answer = await page.goto(`http://evil.example:${port}/`);
    assert.equal(answer.status(), 421);
    assert.doesNotMatch(await text(page), /my-archive/);
    expectComplaints(/evil\.example.*status of 421/);
    // The page is of an untrustworthy origin, and Chromium says so, too.
    complaints.splice(0);
  },

  async "what another page sends is refused, even if it is on this machine"(page) {
    const target = `${originOf(consoles.changes)}/restores/${ids.running}/cancel`;
    const evil = createServer((_, answer) => {
      answer.setHeader("content-type", "text/html");
      answer.end(`<link rel=icon href=data:,><img src="${originOf(consoles.changes)}/restores/${ids.hostile}/retry"><form method=post action="${target}"><button>A kitten</button></form>`);
    });
    await new Promise((ready) => evil.listen(0, "127.0.0.1", ready));
    const { port } = evil.address();
    staged.add(`http://127.0.0.1:${port}`);
    await page.goto(`http://127.0.0.1:${port}/`);
    await follow(page, "button");
    assert.equal(page.url(), target);
    assert.match(await text(page), /Another page sent this request, so nothing was done/);
    evil.close();
    expectComplaints(/cancel.*status of 403/);
    expectComplaints(/retry.*NotSameOrigin/);
  },

  async "a running restore is followed without a reload, and the focus stays"(page) {
    await page.goto(`${originOf(consoles.changes)}/restores/${ids.running}`);
    await page.evaluate(() => { window.isTheSamePage = true; });
    await page.waitForFunction(() => document.getElementById("state-published"));
    await page.focus("#state-published");
    await page.evaluate(() => document.querySelector("#cancel summary").click());
    await page.waitForFunction(() => /(60|72|84) of 120 published/.test(document.title));
    assert.equal(await page.evaluate(() => document.activeElement.id), "state-published");
    assert.equal(await page.evaluate(() => document.getElementById("cancel").open), true);
    await lookAt(page, "running");
    await page.waitForFunction(() => document.querySelector("#standing .status")?.innerText.includes("succeeded"));
    assert.equal(await page.evaluate(() => window.isTheSamePage), true);
    assert.match(await text(page), /Of 120 objects: 120 published\.[\s\S]*They expire/);
    await lookAt(page, "succeeded");
  },

  async "a lost connection is said, what was seen stays, and it goes on by itself"(page) {
    await page.goto(`${originOf(consoles.changes)}/restores/${ids.flaky}`);
    assert.match(await text(page), /1 restoring/);
    await page.waitForFunction(() => document.getElementById("connection").innerText.includes("does not answer"));
    assert.match(await text(page), /1 restoring/);
    await page.waitForFunction(() => document.getElementById("connection").innerText === "" && document.getElementById("state-restoring").innerText === "5 restoring");
    expectComplaints(/flaky.*status of 502/);
  },

  async "a hostile key and hostile words are text"(page) {
    for (const address of ["/", `/restores/${ids.hostile}`, `/restores/${ids.hostile}/objects`]) {
      await page.goto(`${originOf(consoles.changes)}${address}`);
      assert.match(await text(page), /<script>window\.hacked = true<\/script>/, address);
      assert.equal(await page.evaluate(() => window.hacked), undefined, address);
    }
    await page.goto(`${originOf(consoles.changes)}/restores/${ids.hostile}`);
    await lookAt(page, "partly-failed");
  },

  async "a restore is started after the price, with the answer yes"(page) {
    await plan(page, "s3://my-archive/cat.jpg");
    assert.match(await text(page), /Restore 1 object for \$0\.02\?/);
    await lookAt(page, "plan");
    await follow(page, "#start");
    assert.equal(page.url(), `${originOf(consoles.changes)}/restores/${ids.started}`);
    await page.goto(`${originOf(consoles.changes)}/new`);
    await lookAt(page, "new");
  },

  async "what costs too much is refused, and so is a plan that has changed"(page) {
    await plan(page, "s3://my-archive/cat.jpg", "0.01");
    assert.match(await text(page), /Refused: it costs \$0\.02, more than your limit of \$0\.01/);
    assert.equal(await page.$("#start"), null);
    await plan(page, "s3://my-archive/changed.jpg");
    await follow(page, "#start");
    assert.match(await text(page), /Nothing was started[\s\S]*The plan is another one now/);
    expectComplaints(/restores.*status of 422/);
  },

  async "a read-only console has no button that changes something, and refuses to be asked"(page) {
    await page.goto(consoles.readOnly);
    await page.goto(`${originOf(consoles.readOnly)}/restores/${ids.large}`);
    assert.match(await text(page), /read-only/);
    assert.equal(await page.$("#cancel"), null);
    const status = await page.evaluate(async (path) => (await fetch(path, { method: "POST" })).status, `/restores/${ids.large}/cancel`);
    assert.equal(status, 403);
    expectComplaints(/cancel.*status of 403/);
    await lookAt(page, "read-only");
  },

  async "the keyboard is enough"(page) {
    await page.goto(`${originOf(consoles.changes)}/`);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.innerText), "Skip to the content");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    assert.equal(await page.evaluate(() => document.activeElement.id), `to-${ids.running}`);
    await page.keyboard.press("?");
    assert.equal(await page.evaluate(() => document.getElementById("keys").open), true);
    await isAccessible(page);
    await page.screenshot({ path: join(shots, "keys.png") });
    await page.keyboard.press("Escape");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("n")]);
    assert.equal(new URL(page.url()).pathname, "/new");
  },

  async "ten thousand objects and a thousand restores are shown at once"(page) {
    const origin = originOf(consoles.changes);
    await timed(page, `${origin}/`, "a list of 1,000 restores");
    await timed(page, `${origin}/restores/${ids.large}`, "a restore of 10,000 objects");
    await lookAt(page, "ten-thousand");
    await page.emulateMediaType("print");
    await page.screenshot({ path: join(shots, "print.png"), fullPage: true });
    await page.emulateMediaType("screen");
    await timed(page, `${origin}/restores/${ids.large}/objects`, "a page of 10,000 objects");
    await lookAt(page, "objects");
    await follow(page, "a[rel=next]");
    assert.match(await text(page), /photos\/2019\/00100\.jpg/);
  },
};

mkdirSync(shots, { recursive: true });
let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  const page = await tab();
  const begun = Date.now();
  try {
    await step(page);
    assert.deepEqual(complaints, [], "errors in the browser's console");
    const own = [originOf(consoles.changes), originOf(consoles.readOnly), ...staged];
    assert.deepEqual([...origins].filter((origin) => !own.includes(origin)), [], "requests to others");
    console.log(`ok: ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED: ${name}\n${error.stack}`);
    await page.screenshot({ path: join(shots, "failed.png") }).catch(() => {});
    complaints.length = 0;
    origins.clear();
  }
  await page.close();
}
await browser.close();
console.log(`${Object.keys(steps).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
