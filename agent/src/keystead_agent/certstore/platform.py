"""Where, besides the agent's own folders, the operating system keeps certificates for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from keystead_agent.certstore.pem import InstalledCertificate


@dataclass(frozen=True)
class Placed:
    """Where a certificate was put: `store` as the system names it, empty if nowhere. `root_trusted` is whether its
    root is among those that the system trusts for this account."""

    store: str = ""
    root_trusted: bool = False


@dataclass(frozen=True)
class StoreEntry:
    """A certificate in one of the system's stores whose key an agent made, as the store tells it."""

    store: str
    encoded: bytes
    friendly_name: str
    key_container: str
    provider: str


class PlatformStore(Protocol):
    """The system's certificate stores. The agent's folders say what is installed; these follow them. Callers that
    write hold the lock of `Machine.working`."""

    def put(self, pair: InstalledCertificate) -> Placed:
        """Makes the pair, of which no folder says yet that it is installed, usable by other programs; again is
        harmless. Raises StoreUnwritable."""

    def sweep(self, kept: Iterable[InstalledCertificate]) -> None:
        """Takes out what this agent put in and what belongs to none of `kept`; nothing that another program put in.
        Raises StoreUnwritable."""

    def check(self, pair: InstalledCertificate) -> None:
        """Whether other programs find the certificate and can sign with its key. Raises StoreUnwritable, KeyMismatch,
        and KeyStoreError's kinds."""

    def entries(self) -> Iterator[StoreEntry]:
        """What is in the stores whose key an agent made, this one or that of another account. Raises
        StoreUnwritable."""

    def test(self, entry: StoreEntry) -> None:
        """Signs with the entry's key as other programs do. Raises KeyStoreError's kinds."""

    def beforehand(self, server: str) -> str:
        """What a person should know before a certificate of `server` is installed; empty if nothing."""


class FoldersOnly:
    """No system store: the agent's folders are all there is."""

    def put(self, pair: InstalledCertificate) -> Placed:
        """Nowhere."""
        return Placed()

    def sweep(self, kept: Iterable[InstalledCertificate]) -> None:
        """Nothing was put in."""

    def check(self, pair: InstalledCertificate) -> None:
        """Nothing to check."""

    def entries(self) -> Iterator[StoreEntry]:
        """None."""
        return iter(())

    def test(self, entry: StoreEntry) -> None:
        """There is no entry."""

    def beforehand(self, server: str) -> str:
        """Nothing."""
        return ""
