"""What is dear to make and the same in each test of a process: a database with its first rows, an application.

A test gets a copy of the database and the application alone: nothing that one test does is there in another.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy.engine import URL, make_url

T = TypeVar("T")


@cache
def process_folder() -> Path:
    """A folder that is there as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="keystead-tests-"))
    atexit.register(shutil.rmtree, folder)
    return folder


_FILLED: dict[tuple[str, str], str] = {}
"""What and where → the file or database to copy."""


def fill(url: str, what: str, make: Callable[[str], None]) -> None:
    """Makes of the database at `url`, if it is empty, what `make` makes of an empty one. `make` does so once for each
    `what` and server, and leaves no connection open; then copies do."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite":
        _fill_file(place, what, make)
    else:
        _fill_postgres(place, what, make)


def _fill_file(place: URL, what: str, make: Callable[[str], None]) -> None:
    file = Path(str(place.database))
    if file.exists():
        return
    model = _FILLED.get(("sqlite", what))
    if model is None:
        model = _FILLED["sqlite", what] = str(process_folder() / f"{what}.db")
        make(f"sqlite:///{model}")
    shutil.copyfile(model, file)


def _fill_postgres(place: URL, what: str, make: Callable[[str], None]) -> None:
    name, server = str(place.database), f"{place.host}:{place.port}"
    if _run(place, name, "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace LIMIT 1"):
        return
    model = _FILLED.get((server, what))
    if model is None:
        model = _FILLED[server, what] = f"model_{what}"
        _run(place, "postgres", f"CREATE DATABASE {model}")
        make(place.set(database=model).render_as_string(hide_password=False))
    _run(place, "postgres", f"DROP DATABASE {name}", f"CREATE DATABASE {name} TEMPLATE {model} STRATEGY file_copy")


def _run(place: URL, database: str, *statements: str) -> list[Any]:
    with psycopg.connect(
        host=place.host, port=place.port, user=place.username, dbname=database, autocommit=True
    ) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def become(one: object, other: object) -> None:
    """Makes `one` what `other` is, for everybody who holds it."""
    vars(one).clear()
    vars(one).update(vars(other))


class Kept(Generic[T]):
    """Things that are used again, by one at a time, after `again` has made them new. The newest `most` are kept."""

    def __init__(self, most: int = 4) -> None:
        self._idle: OrderedDict[str, list[T]] = OrderedDict()
        self._most = most

    @contextmanager
    def one(self, key: str, make: Callable[[], T], again: Callable[[T], None]) -> Iterator[T]:
        """A thing that nobody else uses for as long as the block lasts; those of one `key` are alike."""
        idle = self._idle.pop(key, [])
        if idle:
            thing = idle.pop()
            again(thing)
        else:
            thing = make()
        self._put(key, idle)
        yield thing  # one whose block raised is not used again
        self._put(key, [*self._idle.pop(key, []), thing])

    def _put(self, key: str, things: list[T]) -> None:
        if things:
            self._idle[key] = things
        while len(self._idle) > self._most:
            self._idle.popitem(last=False)
