"""Where private keys live: one module a place, chosen here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

from keystead_agent.errors import AgentError, KeyLost, PolicyRefused, TpmMissing
from keystead_agent.settings import Settings

if TYPE_CHECKING:
    from keystead_agent.keystore._ncrypt import Ncrypt
    from keystead_agent.keystore.attesting import AttestingKeyStore
    from keystead_agent.keystore.base import KeyStore
    from keystead_agent.keystore.cng import CngKeyStore
    from keystead_agent.keystore.pcp import EndorsementCertificates
    from keystead_agent.keystore.persisted import KeyScope, PersistedKey
    from keystead_agent.keystore.served import IdentityService
    from keystead_agent.keystore.unsettled import UnsettledKeys


def windows_ncrypt() -> Ncrypt:
    """ncrypt.dll."""
    from keystead_agent.keystore._ncrypt import WindowsNcrypt

    return WindowsNcrypt()


def windows_certificates() -> EndorsementCertificates:
    """Where Windows keeps the certificates of the TPM's endorsement key."""
    from keystead_agent.certstore._crypt32 import Crypt32, load
    from keystead_agent.certstore.endorsement import WindowsEndorsementCertificates

    return WindowsEndorsementCertificates(lambda: Crypt32(load()))


def windows_service() -> IdentityService:
    """The agent's service on this computer."""
    from keystead_agent.local.identity import ServiceIdentity
    from keystead_agent.windows.pipe import connect

    return ServiceIdentity(connect)


class KeyStores:
    """The key stores of this machine: the platform's hardware store, and the development double where policy allows
    it. The choice by platform is made here and nowhere else. On Windows `machine_keys` makes keys that are the
    machine's (for the service), else the account's, with the service's identity."""

    def __init__(
        self,
        settings: Settings,
        *,
        machine_keys: bool = False,
        platform: str = sys.platform,
        ncrypt: Callable[[], Ncrypt] = windows_ncrypt,
        certificates: Callable[[], EndorsementCertificates] = windows_certificates,
        service: Callable[[], IdentityService] = windows_service,
    ) -> None:
        self._settings = settings
        self._machine_keys = machine_keys
        self._platform = platform
        self._make_ncrypt = ncrypt
        self._certificates = certificates
        self._service = service
        self._hardware: KeyStore | None = None
        self._software: KeyStore | None = None

    def hardware(self) -> KeyStore:
        """The platform's hardware key store. Opens nothing yet."""
        if self._hardware is None:
            self._hardware = self._make_hardware()
        return self._hardware

    def _make_hardware(self) -> KeyStore:
        if self._platform == "linux":
            from keystead_agent.keystore.tpm2 import Tpm2KeyStore

            return Tpm2KeyStore(self._settings.tcti, self._settings.state_dir / "tpm.lock")
        if self._platform == "win32":
            from keystead_agent.keystore.pcp import PcpKeyStore

            return PcpKeyStore(self._ncrypt, self._scope, self._certificates(), announce=self._unsettled.announce)
        raise AgentError(
            f"keys in hardware on {self._platform} are not in this build",
            "Use the agent that is packaged for this operating system.",
        )

    def attesting(self) -> AttestingKeyStore | None:
        """The hardware store, where it can show that it is one."""
        hardware = self.hardware()
        if self._platform == "linux":
            from keystead_agent.keystore.tpm2 import Tpm2KeyStore

            return hardware if isinstance(hardware, Tpm2KeyStore) else None
        from keystead_agent.keystore.pcp import PcpKeyStore
        from keystead_agent.keystore.served import ServedKeyStore

        if not isinstance(hardware, PcpKeyStore):
            return None
        return hardware if self._machine_keys else ServedKeyStore(hardware, self._service)

    def software(self) -> KeyStore:
        """The development double: keys in files, on Windows in its software provider. Raises PolicyRefused unless this
        machine's policy allows it."""
        if not self._settings.allow_software_key:
            raise PolicyRefused(
                "this computer's policy does not allow keys outside a TPM",
                "An administrator can set allow_software_key; certificates then say that their key is in software.",
            )
        return self._make_software()

    def _make_software(self) -> KeyStore:
        if self._software is None:
            if self._platform == "win32":
                from keystead_agent.keystore._ncrypt import SOFTWARE_PROVIDER

                self._software = self._cng(SOFTWARE_PROVIDER)
            else:
                from keystead_agent.keystore.software import SoftwareKeyStore

                self._software = SoftwareKeyStore()
        return self._software

    def _cng(self, provider: str) -> CngKeyStore:
        from keystead_agent.keystore.cng import CngKeyStore

        return CngKeyStore(self._ncrypt, provider, self._scope, announce=self._unsettled.announce)

    @property
    def _scope(self) -> KeyScope:
        from keystead_agent.keystore.persisted import KeyScope

        return KeyScope.MACHINE if self._machine_keys else KeyScope.USER

    @cached_property
    def _ncrypt(self) -> Ncrypt:
        return self._make_ncrypt()

    @cached_property
    def _unsettled(self) -> UnsettledKeys:
        from keystead_agent.keystore.unsettled import UnsettledKeys

        return UnsettledKeys(self._settings.state_dir, self._remove)

    def _remove(self, key: PersistedKey) -> None:
        self._store_of(key.key_file).discard(key.blob)

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
        """The store that loads a blob kept under `name`. Raises KeyLost for a name that no store uses, PolicyRefused
        for that of a store that policy does not allow."""
        store = self._store_of(name)
        return store if store is self.hardware() else self.software()

    def _store_of(self, key_file: str) -> KeyStore:
        for store in (self.hardware(), self._make_software()):
            if store.key_file == key_file:
                return store
        raise KeyLost(f"no key store of this agent keeps keys in {key_file}")

    def changing(self) -> AbstractContextManager[None]:
        """Around whatever may make keys, or change the folders that name them, while this process alone works on the
        state directory: keys that Windows keeps and no folder names are then removed, also those that a crash left.
        Elsewhere keys are files, and go with their folders. Raises StoreUnwritable."""
        return self._unsettled.changing() if self._platform == "win32" else nullcontext()
