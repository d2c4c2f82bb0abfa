"""How large the body of a request may be."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MOST_BODY_BYTES = 64 * 1024
NO_LARGER_BODIES: Mapping[str, int] = MappingProxyType({})


class TooLarge(HTTPException):
    """An HTTPException, because FastAPI turns any other that is raised while it reads a body into a 400."""

    def __init__(self, most: int) -> None:
        super().__init__(413, headers={"connection": "close"})
        self.most = most


def most_body_bytes(path: str, larger: Mapping[str, int]) -> int:
    """The most octets that a body may have at `path`; `larger` as of `new_app`."""
    return next(
        (most for place, most in larger.items() if path == place or path.startswith(f"{place}/")), MOST_BODY_BYTES
    )


def size_in_words(octets: int) -> str:
    """`octets` for people: whole MiB, or KiB."""
    mebi, rest = divmod(octets, 1024 * 1024)
    return f"{mebi} MiB" if mebi and not rest else f"{octets // 1024} KiB"


def limited(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> Receive:
    """`receive`, which raises TooLarge for a body of more than `most` octets, declared or sent."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > most:

        async def refuse() -> Message:
            raise TooLarge(most)

        return refuse
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise TooLarge(most)
        return message

    return counted
