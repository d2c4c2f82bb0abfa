"""Where private keys live: one module a place, chosen here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keystead_agent.errors import AgentError, KeyLost, PolicyRefused, TpmMissing
from keystead_agent.settings import Settings

if TYPE_CHECKING:
    from keystead_agent.keystore.base import KeyStore


class KeyStores:
    """The key stores of this machine: the platform's hardware store, and the development double where policy allows
    it. The choice by platform is made here and nowhere else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hardware: KeyStore | None = None

    def hardware(self) -> KeyStore:
        """The platform's hardware key store. Opens nothing yet."""
        if self._hardware is None:
            self._hardware = self._make_hardware()
        return self._hardware

    def _make_hardware(self) -> KeyStore:
        if sys.platform == "linux":
            from keystead_agent.keystore.tpm2 import Tpm2KeyStore

            return Tpm2KeyStore(self._settings.tcti, self._settings.state_dir / "tpm.lock")
        raise AgentError(
            f"keys in hardware on {sys.platform} are not in this build",
            "Use the agent that is packaged for this operating system.",
        )

    def software(self) -> KeyStore:
        """The development double: keys in files. Raises PolicyRefused unless this machine's policy allows it."""
        if not self._settings.allow_software_key:
            raise PolicyRefused(
                "this computer's policy does not allow keys outside a TPM",
                "An administrator can set allow_software_key; certificates then say that their key is in software.",
            )
        from keystead_agent.keystore.software import SoftwareKeyStore

        return SoftwareKeyStore()

    def usable(self, *, allow_software: bool) -> KeyStore:
        """The hardware store; the software store only if there is no TPM and both `allow_software` (the server) and
        this machine's policy say so. Raises KeyStoreError's kinds."""
        hardware = self.hardware()
        if not (allow_software and self._settings.allow_software_key):
            return hardware
        try:
            hardware.describe()
        except TpmMissing:
            return self.software()
        return hardware

    def for_key_file(self, name: str) -> KeyStore:
        """The store that loads a blob kept under `name`. Raises KeyLost for a name that no store uses."""
        if name == self.hardware().key_file:
            return self.hardware()
        from keystead_agent.keystore.software import KEY_FILE

        if name == KEY_FILE:
            return self.software()
        raise KeyLost(f"no key store of this agent keeps keys in {name}")
