"""Answers that last: an application that gives back, while an answer goes on, all that it took to begin it.

A request passes through some twenty frames of middleware, routing and dependencies, which an open event stream would
keep for as long as it lasts: 20 KiB of the 40 that ten thousand such streams have each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

Rest = Callable[[Receive, Send], Awaitable[None]]
"""What is left of an answer that has begun. It sees to the rest of the body, and returns when that is over."""
_REST = "keystead.rest"


def goes_on(scope: Scope, rest: Rest) -> None:
    """Has `rest` called with the server's own `receive` and `send` once everything that surrounds the response has
    returned. For a response of a `LastingApp` that has sent its head."""
    scope[_REST] = rest


class LastingApp(FastAPI):
    """A FastAPI whose responses may say how they go on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        rest: Rest | None = scope.pop(_REST, None)
        if rest is None:
            return
        scope["headers"].clear()  # bearer token and all; the server has no more use for them
        for name in scope.keys() - _KEPT:
            del scope[name]
        await rest(receive, send)


_KEPT = frozenset({"type", "asgi", "http_version", "method", "path", "headers"})
"""What a server may still look at (uvicorn: the method)."""
