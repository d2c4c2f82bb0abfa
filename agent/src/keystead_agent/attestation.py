"""The TPM's identity, made once for a state directory, and what it says of keys to a server that asks."""

from __future__ import annotations

import base64
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from keystead_agent.errors import (
    AlgorithmUnsupported,
    ChallengeForeign,
    EndorsementUnusable,
    KeyLost,
    TpmMissing,
)
from keystead_agent.files import private_directory, recover_directories, unwritable, write_directory
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore.attesting import AttestingKeyStore, Challenge, SharedIdentity, Statement
from keystead_contracts.agent import Evidence, TpmEvidence
from keystead_contracts.attestation import (
    Activation,
    AttestationKey,
    CredentialChallenge,
    EndorsementCertificate,
    KeyCertification,
    purpose_at,
    qualifying_data,
)

_FILE = "attestation.json"
_NAME_ALGORITHM = b"\x00\x0b"
"""TPM_ALG_SHA256 (TPM 2.0 Part 2 section 6.3), of every identity."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """An identity of the TPM: `key` is what servers are told of it, `blob` what `store` needs to use it."""

    store: AttestingKeyStore
    key: AttestationKey
    blob: bytes

    @property
    def key_file(self) -> str:
        """The name under which keys are kept that it can speak of; see `KeyStore.key_file`."""
        return self.store.key_file

    @property
    def shared(self) -> SharedIdentity | None:
        """What processes of other accounts are given, if they may use it."""
        return SharedIdentity(self.key, self.blob) if self.store.shared else None

    def open(self, credential: bytes, secret: bytes) -> bytes:
        """What is in the challenge of these two structures; see `attesting.Challenge`. Raises ChallengeForeign,
        EndorsementUnusable, KeyLost."""
        return self.store.activate(self.blob, Challenge(base64.b64decode(self.key.endorsement_key), credential, secret))

    def solve(self, challenge: CredentialChallenge) -> Activation:
        """The answer to `challenge`. Raises ChallengeForeign, EndorsementUnusable, KeyLost."""
        secret = self.open(base64.b64decode(challenge.credential_blob), base64.b64decode(challenge.encrypted_secret))
        return Activation(challenge_id=challenge.challenge_id, secret=_text(secret))

    def certify(self, blob: bytes, public_key: bytes, nonce: str, purpose: str) -> KeyCertification:
        """What it says of the key of `blob`, whose SubjectPublicKeyInfo in DER is `public_key`; `nonce` and `purpose`
        as in `qualifying_data`. Raises ChallengeForeign for a nonce that is none, KeyLost."""
        try:
            qualifying = qualifying_data(base64.b64decode(nonce), purpose, public_key)
        except ValueError as error:
            raise ChallengeForeign(f"the server's nonce is damaged: {error}", "Tell its administrator.") from error
        statement = self.store.certify(blob, self.blob, qualifying)
        name = _NAME_ALGORITHM + hashlib.sha256(base64.b64decode(self.key.public_area)[2:]).digest()
        return KeyCertification(
            attestation_key_name=_text(name), certify_info=_sized(statement), signature=_text(statement.signature)
        )


class Identities:
    """The identity of the state directory `state_dir`, for all servers."""

    def __init__(self, keys: KeyStores, state_dir: Path) -> None:
        self._keys = keys
        self._directory = state_dir / "device" / "attestation"

    def known(self) -> Identity | None:
        """The one that was made, None if there is none or it cannot be read."""
        store = self._keys.attesting()
        if store is None:
            return None
        try:
            key = AttestationKey.model_validate_json((self._directory / _FILE).read_bytes())
            return Identity(store, key, (self._directory / store.identity_file).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("identity_unreadable path=%s reason=%s", self._directory, error)
            return None

    def working(self) -> Identity | None:
        """The one that was made, if the TPM still knows it. Raises KeyStoreError's kinds."""
        identity = self.known()
        if identity is None:
            return None
        try:
            identity.store.check(identity.blob)
        except KeyLost:
            return None
        return identity

    def obtain(self) -> Identity | None:
        """The one that works, else a new one, durable on return; None if this machine cannot have any. Call it while
        this process alone works on the state directory. Raises StoreUnwritable, and KeyStoreError's kinds for what
        passes."""
        store = self._keys.attesting()
        if store is None:
            return None
        try:
            return self.working() or self._make(store)
        except (AlgorithmUnsupported, EndorsementUnusable, TpmMissing) as error:
            _log.warning("identity_impossible reason=%s", error.detail)
            return None

    def _make(self, store: AttestingKeyStore) -> Identity:
        endorsement, made = store.endorsement(), store.make_identity()
        key = AttestationKey(
            endorsement_key=_text(endorsement.public_area),
            endorsement_certificates=tuple(
                EndorsementCertificate(content=_text(kept.content), nv_index=kept.index)
                for kept in endorsement.certificates[:32]
            ),
            public_area=_text(made.public_area),
            creation_data=_text(made.creation_data),
            creation_attestation=_sized(made.creation),
            creation_signature=_text(made.creation.signature),
        )
        with unwritable(self._directory):
            recover_directories(private_directory(self._directory.parent))
            write_directory(
                self._directory, {store.identity_file: made.blob, _FILE: key.model_dump_json(indent=2).encode()}
            )
        return Identity(store, key, made.blob)


@dataclass(frozen=True)
class Witness:
    """What a job of the server at `origin` says of its key: in the name of `identities`' identity, with the answer to
    `challenge` if the order came with one."""

    identities: Identities
    origin: str
    challenge: CredentialChallenge | None = None

    def testify(
        self, evidence: Evidence, key_file: str, blob: bytes, public_key: bytes, nonce: str, order_id: str
    ) -> Evidence:
        """`evidence` with what a server that sent `nonce` asked for, as far as it can be had: the server judges what is
        missing. Raises KeyStoreError's kinds for what passes."""
        if not nonce or not isinstance(evidence, TpmEvidence):
            return evidence
        identity = self.identities.known()
        if identity is None or identity.key_file != key_file:
            return evidence
        try:
            return evidence.model_copy(
                update={
                    "certification": identity.certify(blob, public_key, nonce, purpose_at(self.origin, order_id)),
                    "activation": identity.solve(self.challenge) if self.challenge else None,
                }
            )
        except (ChallengeForeign, EndorsementUnusable, KeyLost) as error:
            _log.warning("key_not_attested order=%s reason=%s", order_id, error.detail)
            return evidence


def _sized(statement: Statement) -> str:
    """Its TPM2B_ATTEST."""
    return _text(len(statement.attest).to_bytes(2, "big") + statement.attest)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
