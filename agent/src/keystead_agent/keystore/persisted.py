"""What is kept beside a certificate of a key that Windows keeps: where to find it, and how to know it again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keystead_agent.errors import KeyLost
from keystead_agent.keystore._ncrypt import MACHINE_KEY_FLAG, PLATFORM_PROVIDER, SOFTWARE_PROVIDER
from keystead_contracts.base import KeyAlgorithm

NAME_PREFIX = "tp-"
LARGEST_BLOB = 4096
KEY_FILES = {PLATFORM_PROVIDER: "key.pcp.json", SOFTWARE_PROVIDER: "key.ksp.json"}
"""The file name of a key of each provider, by the provider's name."""


class KeyScope(StrEnum):
    """Whose key it is: the account's that made it, or the machine's."""

    USER = "user"
    MACHINE = "machine"


class PersistedKey(BaseModel):
    """A key by the names that Windows knows it by: what CRYPT_KEY_PROV_INFO says of it in a certificate store.
    `spki_sha256` is empty while the key is being made."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    provider: Literal["Microsoft Platform Crypto Provider", "Microsoft Software Key Storage Provider"]
    name: Annotated[str, Field(pattern=r"^tp-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    scope: KeyScope
    algorithm: KeyAlgorithm
    spki_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    @property
    def flags(self) -> int:
        """CRYPT_MACHINE_KEYSET, which is NCRYPT_MACHINE_KEY_FLAG too, for a key of the machine; else 0."""
        return MACHINE_KEY_FLAG if self.scope is KeyScope.MACHINE else 0

    @property
    def key_file(self) -> str:
        """The file name under which it is kept; see `KeyStore.key_file`."""
        return KEY_FILES[self.provider]

    @property
    def blob(self) -> bytes:
        """What is kept."""
        return self.model_dump_json(indent=2).encode()

    @classmethod
    def read(cls, blob: bytes) -> PersistedKey:
        """The key that `blob` names. Raises KeyLost if it is damaged."""
        try:
            if len(blob) > LARGEST_BLOB:
                raise ValueError("too large")
            return cls.model_validate_json(blob)
        except (ValidationError, ValueError) as error:
            raise KeyLost("the key file is damaged, or a newer keystead-agent wrote it") from error
