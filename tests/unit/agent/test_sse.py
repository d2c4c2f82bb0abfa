from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead_agent.sse import LONGEST_EVENT, EventTooLong, ServerEvent, events

STREAM = (
    b"\xef\xbb\xbf: keep-alive\n\n"
    b'event: job\r\nid: 7\r\ndata: {"a":\r\ndata:1}\r\n\r\n'
    b"data\n\n"
    b"id\rdata: \xc3\xa9\r\r"
    b"event: ping\n\n"
    b"retry: 10\nunknown: x\ndata: last\n\n"
    b"data: unfinished\n"
)
EXPECTED = [
    ServerEvent("job", '{"a":\n1}', "7"),
    ServerEvent("message", "", "7"),
    ServerEvent("message", "é", ""),
    ServerEvent("message", "last", ""),
]


def test_a_stream_is_read_as_the_standard_says() -> None:
    assert list(events([STREAM])) == EXPECTED


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_where_the_network_cuts_makes_no_difference(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(ends)]
    assert list(events(pieces)) == EXPECTED


def test_one_byte_at_a_time_makes_no_difference() -> None:
    assert list(events([bytes([byte]) for byte in STREAM])) == EXPECTED


def test_a_reconnection_starts_with_the_id_that_it_named() -> None:
    assert next(events([b"data: x\n\n"], last_id="5")).last_id == "5"


def test_an_id_with_nul_is_ignored() -> None:
    assert next(events([b"id: a\0b\ndata: x\n\n"])).last_id == ""


def test_a_reconnection_time_is_told_and_anything_else_but_digits_is_ignored() -> None:
    told: list[float] = []
    list(events([b": open\nretry: 2500\n\nretry: -1\nretry: soon\nretry:\nretry: 0\n"], retry=told.append))
    assert told == [2.5, 0.0]


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(EventTooLong):
        list(events([b"data: "] + [b"x" * 65536] * (LONGEST_EVENT // 65536 + 1)))


def test_an_endless_event_is_refused() -> None:
    with pytest.raises(EventTooLong):
        list(events([b"data: " + b"x" * 65536 + b"\n"] * (LONGEST_EVENT // 65536 + 1)))


def test_lines_without_anything_in_them_count_too() -> None:
    with pytest.raises(EventTooLong):
        list(events([b"data:\n" * 4096] * (LONGEST_EVENT // 4096 + 1)))
