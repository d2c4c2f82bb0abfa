"""The TPM's identity for a process that is not let near it: the agent's service has it, shows it and answers
challenges; its statements about this account's keys are asked of the TPM here, where these keys can be opened."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol

from keystead_agent.keystore.attesting import (
    Challenge,
    Endorsement,
    NewIdentity,
    SharedIdentity,
    Statement,
    StoredCertificate,
)
from keystead_agent.keystore.pcp import PcpKeyStore


class IdentityService(Protocol):
    """The service of this computer. Every method raises EndorsementUnusable if it does not do it."""

    def identity(self) -> SharedIdentity:
        """The computer's identity."""

    def activate(self, challenge: Challenge) -> bytes:
        """What is in `challenge`, which is for that identity."""


class ServedKeyStore:
    """See `attesting.AttestingKeyStore`: that of `own` keys, with the identity of `service`."""

    identity_file = "identity.pcp.json"
    """Not the name that keys are kept under: those that no folder names any more are removed."""
    shared = False

    def __init__(self, own: PcpKeyStore, service: Callable[[], IdentityService]) -> None:
        self._own = own
        self._service = service
        self._shown: SharedIdentity | None = None

    @property
    def key_file(self) -> str:
        """See `AttestingKeyStore.key_file`."""
        return self._own.key_file

    def endorsement(self, kind: str = "") -> Endorsement:
        """See `AttestingKeyStore.endorsement`."""
        self._shown = self._service().identity()
        key = self._shown.key
        return Endorsement(
            kind="rsa-2048",
            public_area=base64.b64decode(key.endorsement_key),
            certificates=tuple(
                StoredCertificate(each.nv_index, base64.b64decode(each.content))
                for each in key.endorsement_certificates
            ),
        )

    def make_identity(self) -> NewIdentity:
        """The service's, the one of the endorsement key that was shown last."""
        shown, self._shown = self._shown or self._service().identity(), None
        return NewIdentity(
            blob=shown.blob,
            public_area=base64.b64decode(shown.key.public_area),
            creation_data=base64.b64decode(shown.key.creation_data),
            creation=Statement(
                base64.b64decode(shown.key.creation_attestation)[2:], base64.b64decode(shown.key.creation_signature)
            ),
        )

    def check(self, identity: bytes) -> None:
        """See `AttestingKeyStore.check`."""
        self._own.check(identity)

    def activate(self, identity: bytes, challenge: Challenge) -> bytes:
        """See `AttestingKeyStore.activate`."""
        return self._service().activate(challenge)

    def certify(self, key: bytes, identity: bytes, nonce: bytes) -> Statement:
        """See `AttestingKeyStore.certify`."""
        return self._own.certify(key, identity, nonce)
