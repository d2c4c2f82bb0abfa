"""Where keys wait for their certificate and where both are kept afterwards."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keystead_agent.certstore.platform import FoldersOnly, PlatformStore

if TYPE_CHECKING:
    from keystead_agent.settings import Settings


def platform_store(settings: Settings) -> PlatformStore:
    """The system's certificate stores. The choice by platform is made here and nowhere else."""
    if sys.platform != "win32":
        return FoldersOnly()
    from keystead_agent.certstore._crypt32 import Crypt32, load
    from keystead_agent.certstore.cng_keys import NcryptKeys
    from keystead_agent.certstore.made import MadeEntries
    from keystead_agent.certstore.windows import WindowsStores
    from keystead_agent.keystore import windows_ncrypt

    return WindowsStores(Crypt32(load()), MadeEntries(settings.state_dir), NcryptKeys(windows_ncrypt()), settings)
