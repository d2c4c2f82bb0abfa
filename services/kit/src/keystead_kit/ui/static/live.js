// The live progress of one order. The element #live says where its events come from (data-events); each `progress`
// event carries the whole state, so whatever was missed while asleep or offline does not matter.

import { local, showTimes } from "/static/page.js";

const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const live = document.getElementById("live");
const words = JSON.parse(live.dataset.words); // of each state of a line, in the page's language
const announce = live.querySelector("[data-announce]");
const connection = live.querySelector("[data-connection]");
const help = document.querySelector("[data-late]");

/** Remembers `what` under `name` in this browser. Answers whether it was new; false where nothing can be remembered. */
function firstTime(storage, name, what) {
  const key = `keystead.${name}`;
  try {
    const known = JSON.parse(storage().getItem(key) ?? "[]");
    if (known.includes(what)) return false;
    storage().setItem(key, JSON.stringify([...known, what].slice(-50)));
    return true;
  } catch {
    return false;
  }
}

/** Opens the agent, once for a link in this browser: a reload or a second tab does not open it again, a renewed link
 * does. The link is a secret: only its end is remembered. */
function launchAgent() {
  const link = live.dataset.launch;
  const mark = `${live.dataset.order} ${link?.slice(-6)}`;
  if (link && !agentAnswered() && firstTime(() => localStorage, "launched", mark)) location.assign(link);
}

function agentAnswered() {
  const state = live.querySelector("[data-key=agent]")?.dataset.state; // none where the person provided the request
  return state !== "waiting" && state !== "active";
}

function showHelpLater() {
  if (!help) return;
  const waited = Date.now() - Date.parse(live.dataset.since); // two clocks: it may be off, even negative
  const late = Number(help.dataset.late) * 1000;
  const wait = Math.min(Math.max(late - waited, 0), late);
  setTimeout(() => { if (!agentAnswered()) help.classList.add("shown"); }, wait);
}

function drawLine(line) {
  const item = live.querySelector(`[data-key="${CSS.escape(line.key)}"]`);
  if (!item) return;
  const changed = item.dataset.state !== line.state;
  item.dataset.state = line.state;
  if (line.state === "active") item.setAttribute("aria-current", "step");
  else item.removeAttribute("aria-current");
  const label = item.querySelector(".step-label");
  const named = line.label ?? (line.state === "done" ? item.dataset.doneLabel : null);
  if (named) label.textContent = named;
  item.querySelector(".step-word").textContent = words[line.state] ?? line.state;
  item.querySelector(".step-text").textContent = line.text ?? "";
  const when = item.querySelector(".step-time");
  if (!line.at) {
    when.replaceChildren();
  } else if (when.firstElementChild?.dateTime !== line.at) {
    const time = document.createElement("time");
    time.dateTime = line.at;
    time.dataset.style = "time";
    time.textContent = local(line.at, "time");
    when.replaceChildren(time);
    showTimes(when);
  }
  if (changed && line.state !== "waiting" && line.state !== "skipped") {
    announce.textContent = `${label.textContent}: ${words[line.state]}. ${line.state === "done" ? "" : line.text ?? ""}`;
  }
}

function draw(progress) {
  progress.lines.forEach(drawLine);
  for (const element of document.querySelectorAll("[data-until-agent]")) {
    element.hidden ||= agentAnswered();
  }
  if (progress.terminal) finish();
  else if (live.dataset.state === "awaiting_approval" && progress.state !== "awaiting_approval") location.reload();
}

/** Lets the server draw the end. If that was tried before and this page came back, a button does it instead. */
function finish() {
  stop();
  if (firstTime(() => sessionStorage, "finished", live.dataset.order)) location.replace(live.dataset.done);
  else live.querySelector("[data-finished]").hidden = false;
}

let source;
let failures = 0;
let retry;
let lastTick = Date.now();
let hiddenSince = null;

function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource(live.dataset.events);
  source.addEventListener("open", () => {
    failures = 0;
    connection.hidden = true;
  });
  source.addEventListener("progress", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    connection.hidden = false;
    if (source.readyState !== EventSource.CLOSED) return;
    failures += 1;
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length) - 1];
    retry = setTimeout(failures % 4 ? connect : connectOrReload, pause * (0.75 + Math.random() / 2));
  });
}

/** After several refusals: where the server does answer, its page knows why (an ended session leads to sign-in). */
async function connectOrReload() {
  try {
    const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
    if (source && answer.status < 500) location.reload();
    else connect();
  } catch {
    connect();
  }
}

function stop() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function reconnectIfStale(stale) {
  if (source && (stale || source.readyState === EventSource.CLOSED)) connect();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = Date.now();
  else reconnectIfStale(hiddenSince !== null && Date.now() - hiddenSince > 30_000);
});
addEventListener("online", () => reconnectIfStale(true));
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
setInterval(() => { // a gap in the ticks: the machine slept, and the connection may be dead without saying so
  const now = Date.now();
  if (now - lastTick > 30_000 && !document.hidden) reconnectIfStale(true);
  lastTick = now;
}, 5000);

connect();
showHelpLater();
// Not before the page is whole: the navigation would stop what still loads.
if (document.readyState === "complete") launchAgent();
else addEventListener("load", () => setTimeout(launchAgent), { once: true });
