// The progress of one bulk job, asked for again and again while somebody looks. The server draws it, in the page's
// language; here only what changed is put in its place. Where the job stands elsewhere, the page itself is another.

const EVERY_MS = 1500;
const RETRY_MS = [2000, 4000, 8000, 15_000];
const place = document.querySelector("[data-progress]");
const connection = document.querySelector("[data-connection]");
let etag = "";
let failures = 0;
let timer;

function draw(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("bulk-progress");
  const shown = document.getElementById("bulk-progress");
  if (!fresh || fresh.dataset.state !== shown.dataset.state) {
    location.reload();
    return false;
  }
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const old = shown.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (part.tagName === "PROGRESS") {
      old.max = part.max;
      old.value = part.value;
    } else if (old.innerHTML !== part.innerHTML && !old.contains(document.activeElement)) {
      old.replaceChildren(...part.childNodes);
    }
  }
  return true;
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let pause = EVERY_MS;
  try {
    const headers = etag ? { "if-none-match": etag } : {};
    const answer = await fetch(place.dataset.progress, { headers, cache: "no-store", redirect: "manual" });
    if (answer.status >= 500 || answer.status === 429) throw new Error(answer.status);
    if (answer.status !== 200 && answer.status !== 304) { // signed out, or the job is gone: its page says why
      location.reload();
      return;
    }
    if (answer.status === 200) {
      etag = answer.headers.get("etag") ?? "";
      if (!draw(await answer.text())) return;
    }
    failures = 0;
  } catch {
    failures += 1;
    pause = RETRY_MS[Math.min(failures, RETRY_MS.length) - 1] * (0.75 + Math.random() / 2);
  }
  connection.hidden = failures === 0;
  timer = setTimeout(look, pause);
}

document.addEventListener("visibilitychange", look);
addEventListener("online", look);
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
timer = setTimeout(look, EVERY_MS);
