"""The registered device's identity on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from keystead_agent.errors import NotRegistered, StoreUnwritable
from keystead_agent.files import (
    private_directory,
    recover_directories,
    remove_directory,
    safe_name,
    unwritable,
    write_directory,
)
from keystead_contracts.agent import Evidence
from keystead_contracts.attestation import AttestationResult

_FILE = "device.json"


class DeviceIdentity(BaseModel):
    """The device key's registration. `device_id` is empty while the server has not answered yet."""

    model_config = ConfigDict(frozen=True)

    server: str
    key_file: str
    evidence: Evidence
    device_id: str = ""
    organization: str = ""


@dataclass(frozen=True)
class Registered:
    """How a registration ended: `attestation` is what the server thinks of the TPM, None if it did not ask."""

    device_id: str
    organization: str
    attestation: AttestationResult | None = None


class DeviceStore:
    """Device identities below `state_dir`, each a directory with the key's blob and `device.json`: the one in use,
    and one whose registration has not been answered yet. A new one harms the old one only when it is answered."""

    def __init__(self, state_dir: Path) -> None:
        self._parent = state_dir / "device"
        self._current = self._parent / "identity"
        self._pending = self._parent / "pending"
        self.current_file = self._current / _FILE

    def recover(self) -> None:
        """Tidies what a crash left unfinished. Raises StoreUnwritable."""
        recover_directories(self._parent)

    def current(self) -> tuple[DeviceIdentity, bytes] | None:
        """The registered identity and its key's blob. Raises StoreUnwritable if it is damaged."""
        return self._load(self._current)

    def registered(self) -> tuple[DeviceIdentity, bytes]:
        """Like `current`. Raises NotRegistered if there is none."""
        known = self.current()
        if known is None:
            raise NotRegistered(
                "this computer is not registered as a device",
                "Register it: keystead-agent register https://SERVER --token-file FILE. An administrator gives the "
                "token.",
            )
        return known

    def pending(self) -> tuple[DeviceIdentity, bytes] | None:
        """The identity whose registration was asked for and not answered."""
        return self._load(self._pending)

    def save_pending(self, identity: DeviceIdentity, blob: bytes) -> None:
        """Keeps a new identity before the server is asked, durable on return. Raises StoreUnwritable."""
        recover_directories(private_directory(self._parent))
        self._save(self._pending, identity, blob)

    def save_registered(self, identity: DeviceIdentity, blob: bytes) -> None:
        """Makes `identity` the one in use. Raises StoreUnwritable."""
        self._save(self._current, identity, blob)
        remove_directory(self._pending)

    @staticmethod
    def _save(directory: Path, identity: DeviceIdentity, blob: bytes) -> None:
        write_directory(directory, {identity.key_file: blob, _FILE: identity.model_dump_json(indent=2).encode()})

    @staticmethod
    def _load(directory: Path) -> tuple[DeviceIdentity, bytes] | None:
        with unwritable(directory):
            if not directory.is_dir():
                return None
            try:
                identity = DeviceIdentity.model_validate_json((directory / _FILE).read_bytes())
            except ValueError as error:
                raise StoreUnwritable(f"{directory} is damaged", "Move it away and register again.") from error
            return identity, (directory / safe_name(identity.key_file)).read_bytes()
