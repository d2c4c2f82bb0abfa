"""What the README and the example file say of a bulk job's columns is what there is."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from keystead_enroll.domain.bulk_columns import COLUMNS

ROOT = Path(__file__).parents[3]


def test_the_readme_tells_every_column() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("| column | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_0-9]+)`", text)) == set(COLUMNS)


def test_the_example_has_columns_that_there_are_and_a_machine_in_each_line() -> None:
    with (ROOT / "deploy/local/devices.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and set(rows[0]) <= set(COLUMNS)
    assert len({row["device_name"] for row in rows}) == len(rows)
