"""Keys that Windows keeps, through CNG (ncrypt.dll): persisted keys `tp-<uuid>` in the TPM by the Microsoft Platform
Crypto Provider, or, where policy allows keys outside a TPM, in the Microsoft Software Key Storage Provider. Never one
in place of the other: a store is for one provider.

What is kept of a key is its name (`persisted.PersistedKey`); Windows keeps the key itself, for the account that made
it, or for the machine. So a key must be removed (`discard`), and which keys are to go is remembered by `unsettled`.

Not seen on hardware by its makers: what a TPM's provider answers to the questions that Wine's provider, a stand-in in
software, does not know (the hardware flag, the platform's type, the Infineon properties, the platform key blob, which
RSA sizes it refuses and with what code, ECDSA, opening and removing a key).
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TypeVar
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization

from keystead_agent.errors import AlgorithmUnsupported, KeyLost, TpmBusy, TpmFailed
from keystead_agent.keystore import _cng_blobs as blobs
from keystead_agent.keystore import _cng_errors as status
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore import _pcp_blobs as pcp
from keystead_agent.keystore._cng_provider import RSA_BITS, OpenProvider, ProviderFacts
from keystead_agent.keystore._held_keys import held_key
from keystead_agent.keystore.base import PrivateKey, ProviderInfo, PublicKey, StoredKey
from keystead_agent.keystore.persisted import KEY_FILES, NAME_PREFIX, KeyScope, PersistedKey
from keystead_contracts.agent import Evidence, KeyProvider, SoftwareEvidence, TpmEvidence
from keystead_contracts.base import KeyAlgorithm

__all__ = ["CngKeyStore", "ProviderFacts"]

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
_HASHES = {"sha256": n.SHA256, "sha384": n.SHA384, "sha512": n.SHA512}


class CngKeyStore:
    """The key store on one provider. `scope` is whose keys it makes; a key is used with the scope it was made with.
    `announce` is told of each key before Windows keeps it. For `patience` seconds a busy TPM is tried again."""

    def __init__(
        self,
        ncrypt: n.Ncrypt,
        provider: str = n.PLATFORM_PROVIDER,
        scope: KeyScope = KeyScope.USER,
        *,
        announce: Callable[[PersistedKey], None] = lambda _: None,
        new_id: Callable[[], UUID] = uuid4,
        patience: float = 3.0,
    ) -> None:
        self._ncrypt = ncrypt
        self._provider = provider
        self._scope = scope
        self._announce = announce
        self._new_id = new_id
        self._patience = patience
        self._kept: dict[str, tuple[int, int]] = {}
        """Handles of keys and their providers, by name, of keys that this process made and cannot open again."""

    @property
    def key_file(self) -> str:
        """One name a provider."""
        return KEY_FILES[self._provider]

    def generate(self, algorithm: KeyAlgorithm) -> StoredKey:
        """Makes a key that signs and cannot be exported, in the TPM for the platform provider. Raises
        AlgorithmUnsupported that names what the provider can make."""
        try:
            return self._run(status.MAKING, lambda provider: self._generate(provider, algorithm))
        except AlgorithmUnsupported as error:
            if error.advice:
                raise
            able = ", ".join(each for each in self.capabilities() if each != algorithm)
            where = "this computer's TPM" if self._provider == n.PLATFORM_PROVIDER else self._provider
            raise AlgorithmUnsupported(
                f"{where} cannot make {algorithm} keys",
                f"It can make: {able}. Ask for one of these." if able else status.READY_ADVICE,
            ) from error

    def load(self, blob: bytes) -> PrivateKey:
        """The key that `blob` names, opened once to see that it is the one that was made."""
        stored = self._read(blob)
        public_key = self._run(status.LOADING, lambda provider: self._load(provider, stored))
        if spki_sha256(public_key) != stored.spki_sha256:
            raise KeyLost(
                f"the key {stored.name} of this computer is another one than that which was made",
                "Enroll again for a new certificate.",
            )

        def sign_digest(digest: bytes, hash_name: str) -> bytes:
            if hash_name not in _HASHES:
                raise ValueError(f"this key does not sign {hash_name} digests")
            return self._run(status.SIGNING, lambda provider: self._sign(provider, stored, digest, hash_name))

        return held_key(public_key, sign_digest)

    def discard(self, blob: bytes) -> None:
        """Removes the key that `blob` names, if it is there. Raises KeyStoreError's kinds if it stays."""
        try:
            stored = self._read(blob)
        except KeyLost:
            return
        self._run(status.REMOVING, lambda provider: self._remove(provider, stored))

    def describe(self) -> ProviderInfo:
        """The provider, and what it says of its TPM. Raises TpmMissing if it is the platform's and has none."""
        return self._description

    @cached_property
    def _description(self) -> ProviderInfo:
        facts = self._run(status.EXAMINING, lambda provider: provider.facts())
        is_platform = self._provider == n.PLATFORM_PROVIDER
        if is_platform:
            facts.require_tpm()
        return ProviderInfo(
            name=self._provider,
            provider=KeyProvider.PLATFORM_CRYPTO_PROVIDER if is_platform else KeyProvider.SOFTWARE,
            exportable=False,
            manufacturer=facts.manufacturer,
            firmware=facts.firmware,
        )

    def capabilities(self) -> tuple[KeyAlgorithm, ...]:
        """What the provider lets be prepared; nothing is made for the answer. A TPM may still refuse one of these
        when the key is made."""
        return self._run(status.EXAMINING, lambda provider: provider.capabilities(self._unmade))

    def examine(self) -> ProviderFacts:
        """What `doctor` shows of the provider."""
        return self._run(status.EXAMINING, lambda provider: provider.facts(provider.capabilities(self._unmade)))

    def _run(self, doing: str, operation: Callable[[OpenProvider], T]) -> T:
        """What `operation` answers, given the open provider. A busy TPM is tried again."""
        deadline = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                with self._opened() as provider, explained(doing):
                    return operation(provider)
            except TpmBusy:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    @contextmanager
    def _opened(self) -> Iterator[OpenProvider]:
        with explained(status.OPENING):
            handle = self._ncrypt.open_storage_provider(self._provider)
        provider = OpenProvider(self._ncrypt, self._provider, handle)
        try:
            yield provider
        finally:
            if all(handle != used for _, used in tuple(self._kept.values())):
                provider.free(handle)

    @contextmanager
    def _key(self, provider: OpenProvider, stored: PersistedKey) -> Iterator[int]:
        if stored.name in self._kept:
            yield self._kept[stored.name][0]
            return
        key = self._ncrypt.open_key(provider.handle, stored.name, stored.flags)
        try:
            yield key
        finally:
            provider.free(key)

    @contextmanager
    def _opened_key(self, provider: OpenProvider, stored: PersistedKey) -> Iterator[int]:
        """Raises KeyLost if the key is not there."""
        with ExitStack() as stack:
            with explained(status.LOADING):
                key = stack.enter_context(self._key(provider, stored))
            yield key

    def _read(self, blob: bytes) -> PersistedKey:
        stored = PersistedKey.read(blob)
        if stored.provider != self._provider:
            raise KeyLost(f"the key file names a key of {stored.provider}, which {self._provider} does not have")
        return stored

    def _unmade(self, algorithm: KeyAlgorithm) -> PersistedKey:
        return PersistedKey(
            provider=self._provider, name=f"{NAME_PREFIX}{self._new_id()}", scope=self._scope, algorithm=algorithm
        )

    def _generate(self, provider: OpenProvider, algorithm: KeyAlgorithm) -> StoredKey:
        if provider.is_platform:
            provider.facts().require_tpm()
        unmade = self._unmade(algorithm)
        self._announce(unmade)
        key = provider.prepare(unmade)
        try:
            self._ncrypt.finalize_key(key)
            provider.require_bound(key)
            public_key = provider.public_key(key, algorithm)
            stored = unmade.model_copy(update={"spki_sha256": spki_sha256(public_key)})
            evidence = self._evidence(provider, key)
            self._let_go(provider, key, stored)
        except BaseException:
            self._drop(provider, key)
            raise
        return StoredKey(blob=stored.blob, evidence=evidence)

    def _evidence(self, provider: OpenProvider, key: int) -> Evidence:
        if not provider.is_platform:
            return SoftwareEvidence()
        public_area = pcp.key_public_area(self._ncrypt.export_key(key, n.OPAQUE_KEY_BLOB))
        return TpmEvidence(public_area=base64.b64encode(public_area).decode())

    def _let_go(self, provider: OpenProvider, key: int, stored: PersistedKey) -> None:
        """Frees the handle of a new key once it is seen that the key can be opened again; a provider that opens no
        keys at all (Wine's) has its key used through the handle for as long as the process lives."""
        try:
            again = self._ncrypt.open_key(provider.handle, stored.name, stored.flags)
        except n.NcryptError as error:
            if error.status != n.NOT_SUPPORTED:
                raise
            self._kept[stored.name] = (key, provider.handle)
            return
        provider.free(again)
        provider.free(key)

    def _drop(self, provider: OpenProvider, key: int) -> None:
        """Removes a key that did not come out right. One that stays was announced, and goes later."""
        try:
            self._ncrypt.delete_key(key)
        except n.NcryptError:
            provider.free(key)

    def _load(self, provider: OpenProvider, stored: PersistedKey) -> PublicKey:
        with self._key(provider, stored) as key:
            return provider.public_key(key, stored.algorithm)

    def _sign(self, provider: OpenProvider, stored: PersistedKey, digest: bytes, hash_name: str) -> bytes:
        padding_for = _HASHES[hash_name] if stored.algorithm in RSA_BITS else None
        with self._key(provider, stored) as key:
            public_key = provider.public_key(key, stored.algorithm)
            return blobs.der_signature(self._ncrypt.sign_hash(key, digest, padding_for), public_key)

    def _remove(self, provider: OpenProvider, stored: PersistedKey) -> None:
        if stored.name in self._kept:
            key, own_provider = self._kept.pop(stored.name)
            self._drop(provider, key)
            provider.free(own_provider)
            return
        try:
            key = self._ncrypt.open_key(provider.handle, stored.name, stored.flags)
        except n.NcryptError as error:
            if status.is_gone(error.status):
                return
            raise
        try:
            self._ncrypt.delete_key(key)
        except n.NcryptError:
            provider.free(key)
            raise


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Says in words what the provider answers while `doing`, one of the gerunds of `_cng_errors`."""
    try:
        yield
    except n.NcryptError as error:
        raise status.explain(error.status, doing) from error
    except ValueError as error:
        raise TpmFailed(
            f"the key provider's answer cannot be read while {doing}: {error}",
            "Update Windows and the agent; if it stays so, tell the makers of the agent.",
        ) from error


def spki_sha256(key: PublicKey) -> str:
    """See `PersistedKey`."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
