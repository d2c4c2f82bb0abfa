"""The Microsoft Platform Crypto Provider as a store that can show where its keys are: its identity is a key that the
provider made for that purpose (PCP_KEY_USAGE_POLICY), and Windows asks the TPM for everything.

Reading certificates and answering a challenge is for administrators and services; certifying a key is for whoever can
open both keys. What Windows says is looked at before it is passed on, so that no server refuses a key for evidence that
is not the evidence that was asked for.

Not seen on hardware by its makers; deploy/windows/checklist.md says how to look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID, uuid4

from keystead_agent.errors import ChallengeForeign, EndorsementUnusable, TpmFailed
from keystead_agent.keystore import _cng_blobs as blobs
from keystead_agent.keystore import _cng_errors as status
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore import _pcp_blobs as pcp
from keystead_agent.keystore._cng_provider import OpenProvider
from keystead_agent.keystore.attesting import Challenge, Endorsement, NewIdentity, Statement, StoredCertificate
from keystead_agent.keystore.cng import CngKeyStore, spki_sha256
from keystead_agent.keystore.persisted import KEY_FILES, KeyScope, PersistedKey
from keystead_contracts.base import KeyAlgorithm

_NOT_FOR_US = {0x084, 0x087, 0x08B, 0x092, 0x095, 0x098, 0x09A, 0x09F}
"""VALUE, KEY_SIZE, HANDLE, SCHEME, SIZE, TAG, INSUFFICIENT, INTEGRITY: what a TPM says to another's challenge."""
_MOST_CERTIFICATES = 32
_WITHOUT = "Keys are as good as ever; this computer cannot prove where they are."


class EndorsementCertificates(Protocol):
    """Where Windows keeps certificates of the TPM's endorsement key, besides."""

    def in_store(self, handle: int) -> list[bytes]:
        """The certificates in the store of this HCERTSTORE, which is closed. Never raises."""

    def registered(self) -> list[bytes]:
        """Those that Windows keeps of the TPM's. Never raises."""


class PcpKeyStore(CngKeyStore):
    """See `attesting.AttestingKeyStore`. Keys are made as by `CngKeyStore`; identities of the machine may be used by
    who is logged in at it."""

    identity_file = KEY_FILES[n.PLATFORM_PROVIDER]

    def __init__(
        self,
        ncrypt: n.Ncrypt,
        scope: KeyScope,
        certificates: EndorsementCertificates,
        *,
        announce: Callable[[PersistedKey], None] = lambda _: None,
        new_id: Callable[[], UUID] = uuid4,
        patience: float = 3.0,
    ) -> None:
        super().__init__(ncrypt, n.PLATFORM_PROVIDER, scope, announce=announce, new_id=new_id, patience=patience)
        self._certificates = certificates

    @property
    def shared(self) -> bool:
        """See `AttestingKeyStore.shared`."""
        return self._scope is KeyScope.MACHINE

    def endorsement(self, kind: str = "") -> Endorsement:
        """See `AttestingKeyStore.endorsement`. Windows shows one key, of RSA."""
        return self._run(status.ENDORSING, self._endorsement)

    def make_identity(self) -> NewIdentity:
        """See `AttestingKeyStore.make_identity`."""
        return self._run(status.MAKING, self._make_identity)

    def check(self, identity: bytes) -> None:
        """See `AttestingKeyStore.check`."""
        self.load(identity)

    def activate(self, identity: bytes, challenge: Challenge) -> bytes:
        """See `AttestingKeyStore.activate`."""
        stored = self._read(identity)
        try:
            return self._run(status.SOLVING, lambda provider: self._activate(provider, stored, challenge))
        except TpmFailed as error:
            raise EndorsementUnusable(error.detail, f"{error.advice} {_WITHOUT}") from error

    def certify(self, key: bytes, identity: bytes, nonce: bytes) -> Statement:
        """See `AttestingKeyStore.certify`. Raises EndorsementUnusable where Windows does not let this account do it, or
        says something else."""
        subject, authority = self._read(key), self._read(identity)
        try:
            return self._run(status.CERTIFYING, lambda provider: self._certify(provider, subject, authority, nonce))
        except TpmFailed as error:
            raise EndorsementUnusable(error.detail, f"{error.advice} {_WITHOUT}") from error

    def _endorsement(self, provider: OpenProvider) -> Endorsement:
        blob = provider.value(n.PCP_EK_PUBLIC)
        if blob is None:
            raise EndorsementUnusable("Windows does not show the TPM's endorsement key", _WITHOUT)
        try:
            area = pcp.endorsement_area(blobs.rsa_public_key(blob))
        except ValueError as error:
            raise EndorsementUnusable(f"Windows shows {error} in place of the TPM's", _WITHOUT) from error
        found: list[bytes] = []
        for name in n.PCP_EK_STORES:
            handle = int.from_bytes(provider.value(name) or b"", "little")
            found += self._certificates.in_store(handle) if 0 < handle < 1 << 64 else []
        found += self._certificates.registered()
        kept = dict.fromkeys(content for content in found if content)
        return Endorsement(
            "rsa-2048", area, tuple(StoredCertificate(0, content) for content in kept)[:_MOST_CERTIFICATES]
        )

    def _make_identity(self, provider: OpenProvider) -> NewIdentity:
        provider.facts().require_tpm()
        unmade = self._unmade(KeyAlgorithm.RSA_2048)
        self._announce(unmade)
        key = provider.prepare(unmade, identity=True)
        try:
            self._ncrypt.finalize_key(key)
            provider.require_identity(key)
            made = pcp.binding(self._ncrypt.get_property(key, n.PCP_ID_BINDING))  # this handle alone knows it
            public_key = provider.public_key(key, unmade.algorithm)
            if pcp.signer(made.public_area).key != public_key:
                raise ValueError("an id binding of another key")
            stored = unmade.model_copy(update={"spki_sha256": spki_sha256(public_key)})
            self._let_go(provider, key, stored)
        except BaseException:
            self._drop(provider, key)
            raise
        return NewIdentity(
            blob=stored.blob,
            public_area=made.public_area,
            creation_data=made.creation_data,
            creation=Statement(made.attest, made.signature),
        )

    def _activate(self, provider: OpenProvider, stored: PersistedKey, challenge: Challenge) -> bytes:
        if self._endorsement(provider).public_area != challenge.endorsement:
            raise EndorsementUnusable(
                "the TPM has another endorsement key than before",
                "It was replaced, or reset in the firmware set-up. Register this computer again.",
            )
        with self._opened_key(provider, stored) as key:
            try:
                self._ncrypt.set_property(key, n.PCP_ID_ACTIVATION, challenge.credential + challenge.secret)
                return self._ncrypt.get_property(key, n.PCP_ID_ACTIVATION)
            except n.NcryptError as error:
                if status.tpm_code(error.status) in _NOT_FOR_US:
                    raise ChallengeForeign(
                        "the server's challenge is not for this TPM and its identity", "Try again from the beginning."
                    ) from error
                raise

    def _certify(
        self, provider: OpenProvider, subject: PersistedKey, authority: PersistedKey, nonce: bytes
    ) -> Statement:
        with self._opened_key(provider, subject) as key, self._opened_key(provider, authority) as identity:
            claim = pcp.claim(self._ncrypt.create_claim(key, identity, nonce))
            signer = pcp.signer(pcp.key_public_area(self._ncrypt.export_key(identity, n.OPAQUE_KEY_BLOB)))
            own_area = pcp.key_public_area(self._ncrypt.export_key(key, n.OPAQUE_KEY_BLOB))
        if spki_sha256(signer.key) != authority.spki_sha256 or claim.public_area != own_area:
            raise ValueError("a claim about, or by, another key")
        pcp.require_certifies(claim.attest, nonce, own_area)
        signature = signer.signature(claim.signature)
        signer.require_signed(signature, claim.attest)
        return Statement(claim.attest, signature)
