"""The development mailbox in this process, as a fixture: what arrived, and which links it held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import HOST, free_port, wait_until

from keystead_notify.dev_mailbox import MailboxServer, MailFolder


class Mailbox:
    """A mail server that takes everything; start and stop it to take it away."""

    def __init__(self, folder: Path) -> None:
        self.host, self.port = HOST, free_port()
        self._mail = MailFolder(folder)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """It takes letters while the block lasts."""
        with MailboxServer(self._mail, self.port):
            yield

    def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        """Letters, oldest first; see `MailFolder.messages`."""
        return self._mail.messages(to)

    def wait_for(self, count: int, to: str | None = None, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The letters, once there are `count`. Raises TimeoutError."""
        wait_until(lambda: len(self.messages(to)) >= count, f"{count} letter(s)", seconds)
        return self.messages(to)

    def sign_in_link(self, to: str, seconds: float = 20.0) -> str:
        """The link of the newest letter to `to` that has one with /auth/confirm/."""

        def links() -> list[str]:
            return [link for each in self.messages(to) for link in each["links"] if "/auth/confirm/" in link]

        wait_until(lambda: bool(links()), f"a sign-in link for {to}", seconds)
        return links()[-1]
