"""A client of an application in the same process, without a thread and an event loop for each request."""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.testclient import TestClient


def client_of(app: FastAPI, origin: str, **options: Any) -> TestClient:
    """A client without cookies that follows nothing by itself. All of a process share one event loop."""
    client = TestClient(app, base_url=origin, follow_redirects=False, **options)
    client.portal = _event_loop()
    return client


@cache
def _event_loop() -> BlockingPortal:
    starting = start_blocking_portal()
    portal = starting.__enter__()
    atexit.register(starting.__exit__, None, None, None)
    return portal
