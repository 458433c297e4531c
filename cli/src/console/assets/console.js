// Keeps a page as the server has it, without a reload, and knows a few keys. Without it every page works, and stays as it is.
"use strict";

// What the server sent for each part. The page itself may have changed since: a list was opened, a field was filled in.
const sent = new Map();
const parts = (root) => root.querySelectorAll("[data-part]");
parts(document).forEach((part) => sent.set(part.id, part.innerHTML));

const SOON = 1000;
const LATEST = 60_000;
const PATIENCE = 45_000;
let etag = null;
let failures = 0;
let timer = null;
let isAsking = false;

function showParts(page) {
  document.title = page.title;
  parts(page).forEach((part) => {
    const here = document.getElementById(part.id);
    if (here && sent.get(part.id) !== part.innerHTML) {
      sent.set(part.id, part.innerHTML);
      replace(here, part);
    }
  });
}

// Replaces a part, and keeps what the person did with it: the focus, what is open, what was typed.
function replace(here, part) {
  const focused = here.contains(document.activeElement) ? document.activeElement.id : null;
  const open = [...here.querySelectorAll("details[open][id]")].map((one) => one.id);
  const typed = [...here.querySelectorAll("input[id]")].map((one) => [one.id, one.value]);
  const [left, top] = [window.scrollX, window.scrollY];
  here.replaceChildren(...part.childNodes);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  typed.forEach(([id, value]) => {
    const input = document.getElementById(id);
    if (input) input.value = value;
  });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  window.scrollTo(left, top);
}

function say(text) {
  const place = document.getElementById("connection");
  if (place.textContent !== text) place.textContent = text;
}

function askIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, Math.min(Math.max(milliseconds, SOON), LATEST));
}

async function ask() {
  clearTimeout(timer);
  // A hidden tab asks again when it is looked at.
  if (document.hidden || isAsking) return;
  isAsking = true;
  try {
    const headers = etag ? { "if-none-match": etag } : {};
    const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 403) {
      say("This tab is not let in any more: thaw console was started anew. Open the address that it has printed.");
      return;
    }
    if (answer.status !== 304) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && document.getElementById("failed")) location.reload();
      else if (answer.ok) showParts(page);
      // What was seen stays, and why it is old is said.
      const problem = answer.ok ? "" : page.querySelector(".problem")?.innerText;
      say(problem ?? `thaw console answers ${answer.status}.`);
    }
    etag = answer.headers.get("etag");
    failures = 0;
    const next = answer.headers.get("x-thaw-next");
    if (next !== "never") askIn(Number(next));
  } catch {
    failures += 1;
    say("thaw console does not answer. It may have been ended; what is above is from before.");
    askIn(SOON * 2 ** failures);
  } finally {
    isAsking = false;
  }
}

function nextRow(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
}

function onKey(event) {
  const isTyping = event.target.closest("input, textarea, select, dialog[open]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
  if (event.key === "j") nextRow(1);
  else if (event.key === "k") nextRow(-1);
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (link) link.click();
  else return;
  event.preventDefault();
}

const keysButton = document.getElementById("keys-button");
keysButton.hidden = false;
keysButton.addEventListener("click", () => document.getElementById("keys").showModal());
document.addEventListener("keydown", onKey);
// A question is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  const button = event.submitter;
  setTimeout(() => button?.setAttribute("disabled", ""));
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("button[disabled]").forEach((button) => button.removeAttribute("disabled"));
});

// Pages that were asked for with a form are not asked for again.
if (document.body.hasAttribute("data-live")) {
  document.addEventListener("visibilitychange", ask);
  askIn(Number(document.body.dataset.live));
}
