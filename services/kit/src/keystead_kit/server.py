"""A web process: serves an application until it is told to stop."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keystead_kit.logs import get_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BACKLOG = 4096
"""Connections that the kernel keeps until they are accepted, if `net.core.somaxconn` allows it: a fleet that comes back
knocks faster than it is let in."""
OTHER_FILES = 512
"""What a web process has open beside its streams: libraries, logs, the database, Redis, requests on their way."""
OLD_COLLECTIONS = 1000
"""Of the middle generation before one of the oldest (gc.set_threshold)."""
SWITCH_SECONDS = 0.001
"""After which a thread that computes lets the event loop go on, and with it all streams; Python's own 0.005 for each of
several threads are what a job is late by."""
_log = get_logger()


def run_web(
    app: ASGIApp,
    host: str,
    port: int,
    trusted_proxies: str,
    on_stop: Callable[[], None] = lambda: None,
    *,
    streams: int = 0,
) -> None:
    """Serves `app` until SIGTERM, calls `on_stop` (open streams end then), and lets requests end for 5 s. `streams`:
    how many streams it may come to hold, see `make_room`."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            on_stop()
            super().handle_exit(sig, frame)

    make_room(streams)
    _collect_seldom()
    sys.setswitchinterval(SWITCH_SECONDS)
    Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=trusted_proxies,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=75,
            backlog=BACKLOG,
        )
    ).run()


def _collect_seldom() -> None:
    """Keeps the garbage collector from what lasts: a collection of everything, which holds up all streams, takes 0.15 s
    for what was imported alone. That is left out for good, and what has lasted through two collections is looked
    through a hundredth as often; streams go with their last reference, as nearly all does."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, OLD_COLLECTIONS)


def make_room(streams: int) -> None:
    """Raises the limit of open files (setrlimit(2)) to what so many streams need, or as far as it may be raised, and
    says in the log if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = streams + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            _log.warning(
                "this process may open too few files for its streams: allow it more (ulimit -n, LimitNOFILE), or "
                "set MOST_STREAMS to as many as fit",
                streams=streams, files_needed=needed, files_allowed=soft,
            )  # fmt: skip
