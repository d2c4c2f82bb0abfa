"""A web process: serves an application until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def run_web(
    app: ASGIApp, host: str, port: int, trusted_proxies: str, on_stop: Callable[[], None] = lambda: None
) -> None:
    """Serves `app` until SIGTERM, calls `on_stop` (open streams end then), and lets requests end for 5 s."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            on_stop()
            super().handle_exit(sig, frame)

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
        )
    ).run()
