"""Figures, one a row."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One figure: what, how much, in which unit, what was aimed for."""

    piece: str
    what: str
    value: float
    unit: str
    aim: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(piece: str, what: str, values: Sequence[float], aims: tuple[str, str] = ("", "")) -> list[Row]:
    """Median and 99th percentile of `values` in milliseconds."""
    count = {"runs": len(values)}
    return [
        Row(piece, f"{what}, median", round(statistics.median(values), 1), "ms", aims[0], count),
        Row(piece, f"{what}, p99", round(quantile(values, 0.99), 1), "ms", aims[1], count),
    ]
