// What every page does with script, and can do without: local times, copy buttons, one submit per form.

const RELATIVE_UNITS = [
  ["year", 31_556_952], ["month", 2_629_746], ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1],
];
const LOCALE = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const STYLES = {
  datetime: (t, date) => `${date}, ${t.hour}:${t.minute} ${t.timeZoneName}`,
  date: (t, date) => date,
  time: (t) => `${t.hour}:${t.minute}:${t.second}`,
};
const DATE = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long" });
const TIME = new Intl.DateTimeFormat(LOCALE, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

/** The moment (ISO 8601) in the person's own zone and the page's language, written as the server and the letters write
 * it: "23 November 2026, 22:30 GMT+1". `style`: datetime, date or time. */
export function local(moment, style) {
  const at = new Date(moment);
  const parts = TIME.formatToParts(at).map(({ type, value }) => [type, value]);
  return (STYLES[style] ?? STYLES.datetime)(Object.fromEntries(parts), DATE.format(at));
}

/** The moment with every part and the zone's full name, for a tooltip. */
function full(moment) {
  return new Intl.DateTimeFormat(LOCALE, { dateStyle: "full", timeStyle: "long" }).format(new Date(moment));
}

/** The distance from now in the page's language: "in 3 months", "2 hours ago". */
export function distance(moment, now = Date.now()) {
  const seconds = (new Date(moment).getTime() - now) / 1000;
  const [unit, size] = RELATIVE_UNITS.find(([, length]) => Math.abs(seconds) >= 0.95 * length) ?? ["second", 1];
  const number = Math.round(seconds / size);
  const format = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: number ? "always" : "auto" });
  return format.format(number, unit);
}

/** Rewrites the `time` elements below `root`, and the relative ones beside them. */
export function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    if (Number.isNaN(Date.parse(element.dateTime))) continue;
    element.textContent = local(element.dateTime, element.dataset.style);
    element.title = full(element.dateTime);
  }
  for (const element of root.querySelectorAll("[data-relative]")) {
    element.textContent = `(${distance(element.dataset.relative)})`;
  }
}

function enableCopying(button) {
  const label = button.querySelector("span");
  const usual = label.textContent;
  label.setAttribute("aria-live", "polite");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = button.dataset.copied;
    } catch {
      const text = button.parentElement.querySelector("code");
      getSelection().selectAllChildren(text);
      label.textContent = button.dataset.selected;
    }
    setTimeout(() => { label.textContent = usual; }, 3000);
  });
}

function submitOnce(form) {
  const buttons = form.querySelectorAll("button:not([type=button])");
  const busy = (on) => {
    form.toggleAttribute("data-busy", on);
    for (const button of buttons) button.setAttribute("aria-disabled", String(on));
  };
  form.addEventListener("submit", (event) => {
    if (form.hasAttribute("data-busy")) event.preventDefault();
    else busy(true);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) busy(false); });
}

/** The list of mistakes, or the field with the only one. */
function focusMistake() {
  const wrong = document.querySelector("[data-errors], [aria-invalid=true]");
  (wrong?.matches("fieldset") ? wrong.querySelector("input") : wrong)?.focus();
}

showTimes(document);
setInterval(() => showTimes(document), 60_000);
document.querySelectorAll("[data-copy]").forEach(enableCopying);
document.querySelectorAll("form[method=post]").forEach(submitOnce);
focusMistake();
