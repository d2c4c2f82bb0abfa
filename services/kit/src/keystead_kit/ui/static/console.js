// What the console does with script, and can do without: `/` goes to the search, Escape and clicks elsewhere close
// panels, check boxes are counted and chosen all at once.

const search = document.querySelector("[data-search]");

addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const open = document.querySelector("details.pop[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  }
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

addEventListener("click", (event) => {
  for (const pop of document.querySelectorAll("details.pop[open]")) {
    if (!pop.contains(event.target)) pop.open = false;
  }
});

for (const form of document.querySelectorAll("[data-bulk]")) {
  const all = form.querySelector("[data-all]");
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
  const chosen = form.querySelector("[data-chosen]");
  const count = () => {
    const number = boxes.filter((box) => box.checked).length;
    all.checked = number > 0 && number === boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
    chosen.textContent = `${number} / ${boxes.length}`;
    chosen.hidden = number === 0;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  form.addEventListener("change", count);
  addEventListener("pageshow", count);
  count();
}
