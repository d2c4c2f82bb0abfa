"""What a page in a real browser lacks: names of controls, structure, contrast, room on a phone. Nothing if fine."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page

CONTROLS = frozenset(
    {
        "button",
        "link",
        "textbox",
        "searchbox",
        "checkbox",
        "radio",
        "combobox",
        "listbox",
        "DisclosureTriangle",
        "Iframe",
    }
)
LANDMARKS = ("banner", "main", "contentinfo")
MOST_BYTES = 150_000
SERIOUS = frozenset({"serious", "critical"})
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3; asked of large text too, which the guideline would let off with 3."""

_STRUCTURE = """() => {
  const wrong = [];
  const count = (what) => document.querySelectorAll(what).length;
  if (count("h1") !== 1) wrong.push(`${count("h1")} h1 elements`);
  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title.trim()) wrong.push("no title");
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`id ${id} twice`);
  for (const name of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const each of document.querySelectorAll(`[${name}]`)) {
      for (const id of each.getAttribute(name).split(/\\s+/).filter(Boolean)) {
        if (!ids.includes(id)) wrong.push(`${name} points at ${id}, which is not there`);
      }
    }
  }
  for (const each of document.querySelectorAll("img:not([alt])")) wrong.push(`no alt: ${each.src}`);
  let level = 0;
  for (const each of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!each.checkVisibility()) continue;
    const next = Number(each.tagName[1]);
    if (level && next > level + 1) wrong.push(`h${next} after h${level}`);
    level = next;
  }
  return wrong;
}"""

_CONTRAST = """(least) => {
  const parse = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    const rgb = n.slice(0, 3).map((v) => (text.startsWith("color(") ? v * 255 : v));
    return [...rgb, n[3] ?? 1];
  };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const wrong = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest(".hidden, .skip, script, style, noscript")) continue;
    const under = behind(element);
    const [a, b] = [luminance(over(parse(getComputedStyle(element).color), under)), luminance(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) wrong.add(`“${words.slice(0, 40)}” has contrast ${ratio.toFixed(2)}`);
  }
  return [...wrong];
}"""

_SIDEWAYS = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const wide = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > room + 1);
  return [`scrolls sideways: ${wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 80)).join(" | ")}`];
}"""

_BYTES = """() => {
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return loaded.reduce((sum, each) => sum + each.decodedBodySize, 0);
}"""

_LOADED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return Math.round(page.loadEventEnd - page.startTime);
}"""

_BROKEN = """(root) => {
  const broken = [];
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    if (!texts.currentNode.parentElement.checkVisibility()) continue;
    for (const word of texts.currentNode.data.matchAll(/[^\\s–-]+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((line) => line.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""

_FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def unnamed_controls(page: Page) -> list[str]:
    """Controls to which the browser itself finds no accessible name (Accessible Name and Description Computation)."""
    return [
        f"a {node['role']['value']} without a name: {node.get('properties', [])[:2]}"
        for node in _accessibility_tree(page)
        if node["role"]["value"] in CONTROLS and not node.get("name", {}).get("value", "").strip()
    ]


def structure_mistakes(page: Page) -> list[str]:
    """Headings, landmarks, language, title, ids."""
    roles = [node["role"]["value"] for node in _accessibility_tree(page)]
    landmarks = [f"{roles.count(name)} {name} landmarks" for name in LANDMARKS if roles.count(name) != 1]
    found: list[str] = page.evaluate(_STRUCTURE)
    return landmarks + found


def weak_contrasts(page: Page) -> list[str]:
    """Visible texts below LEAST_CONTRAST, from the computed styles, with half transparent layers mixed."""
    found: list[str] = page.evaluate(_CONTRAST, LEAST_CONTRAST)
    return found


def sideways(page: Page) -> list[str]:
    """What makes the page wider than its window."""
    found: list[str] = page.evaluate(_SIDEWAYS)
    return found


def broken_words(element: Locator) -> list[str]:
    """What begins on one line and ends on the next, though no place to break is marked in it."""
    found: list[str] = element.evaluate(_BROKEN)
    return found


def weight(page: Page) -> int:
    """Bytes of the page and all that it loaded, uncompressed, the cached too."""
    return int(page.evaluate(_BYTES))


def axe_mistakes(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    return [
        f"{each['id']}: {json.dumps([node['html'][:120] for node in each['nodes'][:3]])}"
        for each in Axe().run(page).response["violations"]
        if each["impact"] in SERIOUS
    ]


def load_milliseconds(page: Page) -> int:
    """From the navigation to the end of the page's load event."""
    return int(page.evaluate(_LOADED))


def focus_is_visible(page: Page) -> bool:
    """Whether the element with the focus has a ring of at least 2 px."""
    return bool(page.evaluate(_FOCUS))


def _accessibility_tree(page: Page) -> list[dict[str, Any]]:
    session = page.context.new_cdp_session(page)
    try:
        nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    finally:
        session.detach()
    return [node for node in nodes if not node.get("ignored") and "role" in node]
