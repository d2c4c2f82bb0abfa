"""A web process: serves an application until it is told to stop."""

from __future__ import annotations

import gc
import resource
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
    """Serves `app` until SIGTERM, calls `on_stop` (open streams end then), and lets requests end for 5 s. Says in the
    log if the process may not open the files that `streams` open streams need."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            on_stop()
            super().handle_exit(sig, frame)

    _make_room(streams)
    # what was imported stays: a collection that went through all of it would hold up every stream for a while
    gc.collect()
    gc.freeze()
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


def _make_room(streams: int) -> None:
    """Raises the limit of open files (setrlimit(2)) to what is needed, or as far as it may be raised."""
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
