from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keystead_agent.errors import StoreUnwritable
from keystead_agent.files import held, locked, private_directory, safe_name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "C:", "a:stream", "NUL", "con.json", "Com1", "lpt9.x.y", "order.",
             "a\n", "ſ", "x" * 101]
)  # fmt: skip
def test_no_identifier_of_a_server_leaves_its_folder_or_is_a_device(name: str) -> None:
    assert safe_name(name) == "h-" + hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize("name", ["0f" * 16, "key.pcp.json", "order-1", "console", "nullable.x", "com", "x" * 100])
def test_a_plain_identifier_is_its_own_name(name: str) -> None:
    assert safe_name(name) == name


def test_a_lock_is_held_by_one_and_names_its_holder(tmp_path: Path) -> None:
    with held(tmp_path / "lock", 41) as first, held(tmp_path / "lock", 42) as second:
        assert first is None
        assert second == 41
    with held(tmp_path / "lock", 42) as again:
        assert again is None


def test_whoever_waits_is_told_once_for_whom(tmp_path: Path) -> None:
    told: list[int] = []
    with held(tmp_path / "lock", 41), held(tmp_path / "lock", 42, patience=2.5, waiting=told.append) as other:
        assert other == 41
    assert told == [41]


def test_a_lock_that_need_not_be_there_is_not_made(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", patience=0, create=False) as lock:
        assert lock is not None
    assert list(tmp_path.iterdir()) == []
    with (
        locked(tmp_path / "lock", patience=0) as first,
        locked(tmp_path / "lock", patience=0, create=False) as second,
    ):
        assert first is not None
        assert second is None


def test_a_file_in_the_way_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    for path in (tmp_path / "state", tmp_path / "state" / "jobs"):
        with pytest.raises(StoreUnwritable, match="state is not a folder"):
            private_directory(path)
