"""Where keys wait for their certificate and where both are kept afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from keystead_agent.certstore.platform import FoldersOnly, PlatformStore

if TYPE_CHECKING:
    from keystead_agent.settings import Settings


def platform_store(settings: Settings) -> PlatformStore:
    """The system's certificate stores. The choice by platform is made here and nowhere else."""
    if sys.platform != "win32":
        return FoldersOnly()
    return cast(PlatformStore, _WhenUsed(lambda: _windows_stores(settings)))


def _windows_stores(settings: Settings) -> PlatformStore:
    from keystead_agent.certstore._crypt32 import Crypt32, load
    from keystead_agent.certstore.cng_keys import NcryptKeys
    from keystead_agent.certstore.made import MadeEntries
    from keystead_agent.certstore.windows import WindowsStores
    from keystead_agent.keystore import windows_ncrypt

    return WindowsStores(Crypt32(load()), MadeEntries(settings.state_dir), NcryptKeys(windows_ncrypt()), settings)


class _WhenUsed:
    """What `make` makes, made when it is first used: a process that only waits does not load all that it needs."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> object:
        return self._make()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)
