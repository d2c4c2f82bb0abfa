"""What the README and deploy/reports/ show of var/bench.json: `make bench-report`.

Plots of throughput and latency against load and of cost against what is stored, the whole table, and the README's short
one, between its marks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

ROOT = Path(__file__).parents[2]
REPORT, REPORTS, README = ROOT / "var/bench.json", ROOT / "deploy/reports", ROOT / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BLUE, ORANGE, GREY = "#1f5fa8", "#c2571a", "#666666"
TOLD = (
    ("pipeline", "registered, attested, connected and installed"),
    ("pipeline", "whole enrollments"),
    ("pipeline", "file sent to installed"),
    ("pipeline", "the server's processes alone"),
    ("issue", ""),
    ("streams", "resident memory of a connection"),
    ("streams", "p99"),
    ("streams", "return of"),
    ("cost", "CPU of the server for an enrollment"),
    ("person", "submit to installed"),
)
"""Piece, and what is in the name of a row that the README has."""


def between_marks(page: str, text: str) -> str:
    """`page` with `text` between its marks. Raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks")
    return f"{before}{BEGIN}\n{text.rstrip()}\n{END}{after}"


def plot_load(rows: list[dict[str, Any]], path: Path) -> None:
    """Enrollments a second and the latency of requests against the requests in flight."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        series.setdefault(row["what"].rpartition(",")[0], []).append((row["detail"]["in flight"], row["value"]))
    figure, left = pyplot.subplots(figsize=(7, 3.4))
    right = left.twinx()
    left.plot(*zip(*series["enrollments"], strict=True), color=BLUE, marker="o")
    for name, style in (("request, p50", "-"), ("request, p99", "--")):
        right.plot(*zip(*series[name], strict=True), style, color=ORANGE, marker="s", markersize=4, label=name)
    left.set_xscale("log", base=2)
    left.set_xticks([number for number, _ in series["enrollments"]])
    left.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    left.set_xlabel("requests in flight")
    left.set_ylabel("enrollments a second", color=BLUE)
    right.set_ylabel("milliseconds for a request", color=ORANGE)
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    right.legend(loc="upper left", frameon=False)
    _save(figure, path)


def plot_cost(rows: list[dict[str, Any]], path: Path) -> None:
    """CPU for an enrollment against the certificates that are stored."""
    wanted = [row for row in rows if row["what"].startswith("CPU")]
    stored, values = [row["detail"]["stored"] for row in wanted], [row["value"] for row in wanted]
    figure, axes = pyplot.subplots(figsize=(7, 3))
    axes.plot(stored, values, color=BLUE, marker="o")
    axes.axhline(values[0] * 1.15, color=GREY, linestyle=":", label="15 % more than at the first")
    axes.set_xscale("log")
    axes.set_xlabel("certificates stored")
    axes.set_ylabel("ms of CPU for an enrollment")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    for axes in figure.axes:
        axes.spines["top"].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Rows in Markdown."""
    yield "| what | measured | | aim |"
    yield "|---|---:|---|---|"
    for row in rows:
        ratio = f" (×{row['detail']['ratio']:g})" if "ratio" in row["detail"] else ""
        yield f"| {row['what']} | {row['value']:,g} {row['unit']}{ratio} | {_note(row)} | {row['aim']} |"


def _note(row: Mapping[str, Any]) -> str:
    runs = row["detail"].get("runs")
    return f"median of {runs}" if runs and "median" not in row["what"] else f"{runs} runs" if runs else ""


def where(machine: Mapping[str, Any]) -> str:
    """The machine in words."""
    busy = ", which had other work" if machine["load_before"] > machine["cores"] / 2 else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, {machine['system']}, Python "
        f"{machine['python']}; {machine['at'][:10]}, commit {machine['commit']}, load {machine['load_before']:g} "
        f"before{busy}"
    )


def main() -> None:
    """Writes all of it. Pieces that were not measured are left out."""
    pieces: dict[str, Any] = json.loads(REPORT.read_text())["pieces"]
    REPORTS.mkdir(exist_ok=True)
    mpl.rcParams["font.size"] = 9
    for name, plot in (("load", plot_load), ("cost", plot_cost)):
        if name in pieces:
            plot(pieces[name]["rows"], REPORTS / f"{name}.png")
    lines = ["# What was measured", "", "By `make bench BENCH=full`, written by `make bench-report`."]
    for name, piece in pieces.items():
        form = "" if piece["machine"]["full"] else ", short form"
        lines += ["", f"## {name}{form}", "", where(piece["machine"]) + ".", "", *table(piece["rows"])]
    (REPORTS / "bench.md").write_text("\n".join(lines) + "\n")
    told = [
        row
        for name, part in TOLD
        if name in pieces
        for row in pieces[name]["rows"]
        if part in row["what"] and row["piece"] not in ("hop", "stack", "agent", "portal")
    ]
    machines = {where(piece["machine"]) for name, piece in pieces.items() if name in dict(TOLD)}
    short = [f"{text}." for text in sorted(machines)] + ["", *table(list({row["what"]: row for row in told}.values()))]
    README.write_text(between_marks(README.read_text(), "\n".join(short)))


if __name__ == "__main__":
    main()
