"""Answers that go on after the application has returned."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Response
from starlette.types import Message, Receive, Scope, Send

from keystead_kit.lasting import LastingApp, goes_on


class _Lasting(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def rest(receive: Receive, send: Send) -> None:
            await send({"type": "http.response.body", "body": b"later"})

        goes_on(scope, rest)


def ask(app: LastingApp) -> tuple[dict[str, Any], list[Message]]:
    """The scope after the answer, and what was sent."""
    scope: dict[str, Any] = {
        "type": "http", "asgi": {}, "http_version": "1.1", "method": "GET", "path": "/", "raw_path": b"/",
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 80), "client": ("y", 1), "state": {},
        "headers": [(b"authorization", b"Bearer secret")],
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return scope, sent


def test_an_answer_goes_on_once_everything_around_it_has_returned() -> None:
    app = LastingApp()
    returned: list[int] = []

    @app.get("/")
    async def lasting() -> Response:
        return _Lasting()

    class Around:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def counted(message: Message) -> None:
                assert not returned
                await send(message)

            await self._app(scope, receive, counted)
            returned.append(1)

    app.add_middleware(Around)
    scope, sent = ask(app)
    assert returned == [1]
    assert sent[-1] == {"type": "http.response.body", "body": b"later"}
    assert scope["headers"] == []
    assert scope.keys() <= {"type", "asgi", "http_version", "method", "path", "headers"}


def test_any_other_answer_is_whole_when_the_application_returns() -> None:
    app = LastingApp()

    @app.get("/")
    async def whole() -> dict[str, int]:
        return {"a": 1}

    _, sent = ask(app)
    assert [message.get("body") for message in sent] == [None, b'{"a":1}']
