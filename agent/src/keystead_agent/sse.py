"""Server-sent events, as a client reads them (WHATWG HTML 9.2.6, "Interpreting an event stream")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

LONGEST_EVENT = 1 << 20
"""Bytes. A job is some kilobytes; whoever sends more is not the server that we know."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DIGITS = re.compile("[0-9]{1,9}")
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """One event, or one line, is longer than LONGEST_EVENT."""


@dataclass(frozen=True)
class ServerEvent:
    """One event. `last_id` is the id that a reconnection names in `Last-Event-ID`: the latest that the stream gave."""

    name: str
    data: str
    last_id: str


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a byte stream, however it is cut: ended by CR LF, LF or CR. A last line without end is dropped."""
    buffer = b""
    after_cr = False
    first = True
    for chunk in chunks:
        if after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            after_cr = False
        buffer += chunk
        if first:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                continue
            buffer, first = buffer.removeprefix(_BOM), False
        start = 0
        for end in _LINE_END.finditer(buffer):
            yield buffer[start : end.start()].decode("utf-8", "replace")
            start = end.end()
        after_cr = after_cr or (start > 0 and start == len(buffer) and buffer.endswith(b"\r"))
        buffer = buffer[start:]
        if len(buffer) > LONGEST_EVENT:
            raise EventTooLong("a line of the event stream is too long")


def events(
    chunks: Iterable[bytes], last_id: str = "", retry: Callable[[float], None] = lambda _seconds: None
) -> Iterator[ServerEvent]:
    """The events of a byte stream that continues after `last_id`. Comments and unfinished events give nothing. `retry`
    gets the reconnection times that the stream sets, in seconds. Raises EventTooLong."""
    name = ""
    data: list[str] = []
    size = 0
    for line in lines(chunks):
        if not line:
            if data:
                yield ServerEvent(name=name or "message", data="\n".join(data), last_id=last_id)
            name, data, size = "", [], 0
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
            size += len(value) + 1
            if size > LONGEST_EVENT:
                raise EventTooLong("an event of the stream is too long")
        elif field == "id" and "\0" not in value:
            last_id = value
        elif field == "retry" and _DIGITS.fullmatch(value):
            retry(int(value) / 1000)
