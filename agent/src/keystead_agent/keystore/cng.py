"""Keys that Windows keeps, through CNG (ncrypt.dll): persisted keys `tp-<uuid>` in the TPM by the Microsoft Platform
Crypto Provider, or, where policy allows keys outside a TPM, in the Microsoft Software Key Storage Provider. Never one
in place of the other: a store is for one provider.

What is kept of a key is its name (`persisted.PersistedKey`); Windows keeps the key itself, for the account that made
it, or for the machine. So a key must be removed (`discard`), and which keys are to go is remembered by `unsettled`.

Not seen on hardware by its makers: what a TPM's provider answers to the questions that Wine's provider, a stand-in in
software, does not know (the hardware flag, the platform's type, the Infineon properties, the platform key blob, which
RSA sizes it refuses and with what code).
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keystead_agent.errors import AlgorithmUnsupported, KeyLost, TpmBusy, TpmFailed, TpmMissing
from keystead_agent.keystore import _cng_blobs as blobs
from keystead_agent.keystore import _cng_errors as status
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore._held_keys import held_key
from keystead_agent.keystore.base import PrivateKey, ProviderInfo, PublicKey, StoredKey
from keystead_agent.keystore.persisted import KEY_FILES, NAME_PREFIX, KeyScope, PersistedKey
from keystead_contracts.agent import Evidence, KeyProvider, SoftwareEvidence, TpmEvidence
from keystead_contracts.base import KeyAlgorithm

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5

_RSA_BITS = {KeyAlgorithm.RSA_2048: 2048, KeyAlgorithm.RSA_3072: 3072, KeyAlgorithm.RSA_4096: 4096}
_CURVES = {KeyAlgorithm.EC_P256: (n.ECDSA_P256, 256), KeyAlgorithm.EC_P384: (n.ECDSA_P384, 384)}
_HASHES = {"sha256": n.SHA256, "sha384": n.SHA384, "sha512": n.SHA512}
_UNKNOWN_PROPERTY = {n.NOT_SUPPORTED, n.INVALID_PARAMETER, n.NOT_FOUND, 0x80290403, 0x80290405}
"""What a provider answers that does not know a property; the last are TPM_E_PCP_INVALID_PARAMETER, …_NOT_SUPPORTED."""
WEAK_RSA_ADVICE = (
    "Ask for ec-p256 or ec-p384, or update the TPM's firmware (the computer's maker has it; Microsoft ADV170012) and "
    "clear the TPM."
)


@dataclass(frozen=True)
class ProviderFacts:
    """What a key provider says of itself. `tpm_version`, `manufacturer` and `firmware` are empty where it says
    nothing; `weak_rsa` is whether its RSA keys could be broken (ROCA, CVE-2017-15361)."""

    name: str
    hardware: bool
    tpm_version: str
    manufacturer: str
    firmware: str
    weak_rsa: bool
    algorithms: tuple[KeyAlgorithm, ...]


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
        self._is_platform = provider == n.PLATFORM_PROVIDER
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
            where = "this computer's TPM" if self._is_platform else self._provider
            raise AlgorithmUnsupported(
                f"{where} cannot make {algorithm} keys", f"It can make: {able}. Ask for one of these."
            ) from error

    def load(self, blob: bytes) -> PrivateKey:
        """The key that `blob` names, opened once to see that it is the one that was made."""
        stored = self._read(blob)
        public_key = self._run(status.LOADING, lambda provider: self._load(provider, stored))
        if _spki_sha256(public_key) != stored.spki_sha256:
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
        with suppress(KeyLost):
            self.remove(self._read(blob))

    def remove(self, stored: PersistedKey) -> None:
        """Like `discard`."""
        self._run(status.REMOVING, lambda provider: self._remove(provider, stored))

    def describe(self) -> ProviderInfo:
        """The provider, and what it says of its TPM. Raises TpmMissing if it is the platform's and has none."""
        return self._description

    @cached_property
    def _description(self) -> ProviderInfo:
        facts = self._run(status.EXAMINING, lambda provider: self._facts(provider, ()))
        if self._is_platform:
            _require_tpm(facts)
        return ProviderInfo(
            name=self._provider,
            provider=KeyProvider.PLATFORM_CRYPTO_PROVIDER if self._is_platform else KeyProvider.SOFTWARE,
            exportable=False,
            manufacturer=facts.manufacturer,
            firmware=facts.firmware,
        )

    def capabilities(self) -> tuple[KeyAlgorithm, ...]:
        """What the provider lets be prepared; nothing is made for the answer. A TPM may still refuse one of these
        when the key is made."""
        return self._run(status.EXAMINING, self._capabilities)

    def examine(self) -> ProviderFacts:
        """What `doctor` shows of the provider."""
        return self._run(status.EXAMINING, lambda provider: self._facts(provider, self._capabilities(provider)))

    def _run(self, doing: str, operation: Callable[[int], T]) -> T:
        """What `operation` answers, given the open provider. A busy TPM is tried again."""
        deadline = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                with self._opened() as provider, _explained(doing):
                    return operation(provider)
            except TpmBusy:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with _explained(status.OPENING):
            provider = self._ncrypt.open_storage_provider(self._provider)
        try:
            yield provider
        finally:
            if all(provider != used for _, used in self._kept.values()):
                self._free(provider)

    @contextmanager
    def _key(self, provider: int, stored: PersistedKey) -> Iterator[int]:
        if stored.name in self._kept:
            yield self._kept[stored.name][0]
            return
        key = self._ncrypt.open_key(provider, stored.name, stored.flags)
        try:
            yield key
        finally:
            self._free(key)

    def _free(self, handle: int) -> None:
        with suppress(n.NcryptError):
            self._ncrypt.free_object(handle)

    def _read(self, blob: bytes) -> PersistedKey:
        stored = PersistedKey.read(blob)
        if stored.provider != self._provider:
            raise KeyLost(f"the key file names a key of {stored.provider}, which {self._provider} does not have")
        return stored

    def _generate(self, provider: int, algorithm: KeyAlgorithm) -> StoredKey:
        if self._is_platform:
            _require_tpm(self._facts(provider, ()))
            self._require_sound(provider, algorithm)
        unmade = PersistedKey(
            provider=self._provider,
            name=f"{NAME_PREFIX}{self._new_id()}",
            scope=self._scope,
            algorithm=algorithm,
        )
        self._announce(unmade)
        key = self._prepare(provider, unmade)
        try:
            self._ncrypt.finalize_key(key)
            self._require_bound(key)
            public_key = self._public_key(key, algorithm)
            _require_algorithm(public_key, algorithm)
            stored = unmade.model_copy(update={"spki_sha256": _spki_sha256(public_key)})
            evidence = self._evidence(key)
        except BaseException:
            self._drop(key)
            raise
        self._let_go(provider, key, stored)
        return StoredKey(blob=stored.blob, evidence=evidence)

    def _prepare(self, provider: int, unmade: PersistedKey) -> int:
        """A key that is not made yet, told what it is to be; it leaves nothing behind if it is freed."""
        bits = _RSA_BITS.get(unmade.algorithm)
        name = n.RSA if bits else _CURVES[unmade.algorithm][0]
        key = self._ncrypt.create_persisted_key(provider, name, unmade.name, unmade.flags)
        try:
            if bits:
                self._require_length(key, bits)
                self._ncrypt.set_property(key, n.LENGTH, _dword(bits))
            self._ncrypt.set_property(key, n.KEY_USAGE, _dword(n.ALLOW_SIGNING_FLAG))
            self._ncrypt.set_property(key, n.EXPORT_POLICY, _dword(0))
            if self._number(key, n.EXPORT_POLICY) not in (0, None):
                raise TpmFailed("the key provider does not keep keys from being exported", status.FAILED_ADVICE)
        except BaseException:
            self._free(key)
            raise
        return key

    def _require_length(self, key: int, bits: int) -> None:
        """Raises AlgorithmUnsupported if the provider says (NCRYPT_SUPPORTED_LENGTHS) that it has no such size."""
        lengths = self._property(key, n.LENGTHS)
        if lengths is None or len(lengths) < 12:
            return
        least, most, step = (int.from_bytes(lengths[i : i + 4], "little") for i in (0, 4, 8))
        if not least <= bits <= most or (step and (bits - least) % step):
            raise AlgorithmUnsupported(f"the key provider makes RSA keys of {least} to {most} bits")

    def _require_sound(self, provider: int, algorithm: KeyAlgorithm) -> None:
        if algorithm in _RSA_BITS and self._has_weak_rsa(provider):
            raise AlgorithmUnsupported(
                "this TPM's firmware makes RSA keys that can be broken (ROCA, CVE-2017-15361)", WEAK_RSA_ADVICE
            )

    def _require_bound(self, key: int) -> None:
        """Raises TpmFailed unless the key as it was made is what was asked for."""
        policy, usage = self._number(key, n.EXPORT_POLICY), self._number(key, n.KEY_USAGE)
        if policy != 0:
            raise TpmFailed("the key provider made a key that could be exported; it was removed", status.FAILED_ADVICE)
        if usage is None or not usage & n.ALLOW_SIGNING_FLAG:
            raise TpmFailed("the key provider made a key that does not sign; it was removed", status.FAILED_ADVICE)
        if self._is_platform:
            own_provider = int.from_bytes(self._ncrypt.get_property(key, n.PROVIDER_HANDLE), "little")
            if not self._is_hardware(own_provider):
                raise TpmMissing("the key provider made a key outside of the TPM; it was removed", status.READY_ADVICE)

    def _evidence(self, key: int) -> Evidence:
        if not self._is_platform:
            return SoftwareEvidence()
        public_area = blobs.tpm_public_area(self._ncrypt.export_key(key, n.OPAQUE_KEY_BLOB))
        return TpmEvidence(public_area=base64.b64encode(public_area).decode())

    def _let_go(self, provider: int, key: int, stored: PersistedKey) -> None:
        """Frees the handle of a new key once it is seen that the key can be opened again; a provider that opens no
        keys at all (Wine's) has its key used through the handle for as long as the process lives."""
        try:
            again = self._ncrypt.open_key(provider, stored.name, stored.flags)
        except n.NcryptError as error:
            if error.status != n.NOT_SUPPORTED:
                self._drop(key)
                raise
            self._kept[stored.name] = (key, provider)
            return
        self._free(again)
        self._free(key)

    def _drop(self, key: int) -> None:
        """Removes a key that did not come out right. One that stays was announced, and goes later."""
        try:
            self._ncrypt.delete_key(key)
        except n.NcryptError:
            self._free(key)

    def _load(self, provider: int, stored: PersistedKey) -> PublicKey:
        with self._key(provider, stored) as key:
            return self._public_key(key, stored.algorithm)

    def _sign(self, provider: int, stored: PersistedKey, digest: bytes, hash_name: str) -> bytes:
        is_rsa = stored.algorithm in _RSA_BITS
        with self._key(provider, stored) as key:
            public_key = self._public_key(key, stored.algorithm)
            raw = self._ncrypt.sign_hash(key, digest, _HASHES[hash_name] if is_rsa else None)
        return blobs.der_signature(raw, public_key)

    def _remove(self, provider: int, stored: PersistedKey) -> None:
        if stored.name in self._kept:
            key, own_provider = self._kept.pop(stored.name)
            self._drop(key)
            self._free(own_provider)
            return
        try:
            key = self._ncrypt.open_key(provider, stored.name, stored.flags)
        except n.NcryptError as error:
            if status.is_gone(error.status) or error.status == n.NOT_SUPPORTED:
                return
            raise
        try:
            self._ncrypt.delete_key(key)
        except n.NcryptError:
            self._free(key)
            raise

    def _public_key(self, key: int, algorithm: KeyAlgorithm) -> PublicKey:
        if algorithm in _RSA_BITS:
            return blobs.rsa_public_key(self._ncrypt.export_key(key, n.RSA_PUBLIC_BLOB))
        blob = self._ncrypt.export_key(key, n.ECC_PUBLIC_BLOB)
        curve_name = _text(self._ncrypt.get_property(key, n.ECC_CURVE_NAME)) if blobs.names_no_curve(blob) else ""
        return blobs.ec_public_key(blob, curve_name)

    def _capabilities(self, provider: int) -> tuple[KeyAlgorithm, ...]:
        weak_rsa = self._is_platform and self._has_weak_rsa(provider)
        return tuple(
            algorithm
            for algorithm in KeyAlgorithm
            if not (weak_rsa and algorithm in _RSA_BITS) and self._can_prepare(provider, algorithm)
        )

    def _can_prepare(self, provider: int, algorithm: KeyAlgorithm) -> bool:
        probe = PersistedKey(
            provider=self._provider, name=f"{NAME_PREFIX}{self._new_id()}", scope=self._scope, algorithm=algorithm
        )
        try:
            self._free(self._prepare(provider, probe))
        except AlgorithmUnsupported:
            return False
        except n.NcryptError as error:
            if status.is_unsupported(error.status):
                return False
            raise
        return True

    def _facts(self, provider: int, algorithms: tuple[KeyAlgorithm, ...]) -> ProviderFacts:
        platform = self._property(provider, n.PCP_PLATFORM_TYPE) if self._is_platform else None
        said = _text(platform or b"")
        return ProviderFacts(
            name=self._provider,
            hardware=self._is_hardware(provider),
            tpm_version=_said(r"TPM-Version:\s*([0-9.]+)", said),
            manufacturer=_said(r"VendorID:\s*'([^']*)'", said),
            firmware=_said(r"Firmware:\s*([0-9A-Za-z.]+)", said),
            weak_rsa=self._is_platform and self._has_weak_rsa(provider),
            algorithms=algorithms,
        )

    def _is_hardware(self, provider: int) -> bool:
        return bool((self._number(provider, n.IMPL_TYPE) or 0) & n.IMPL_HARDWARE_FLAG)

    def _has_weak_rsa(self, provider: int) -> bool:
        return any(self._number(provider, name) for name in (n.PCP_RSA_PROHIBITED, n.PCP_RSA_VULNERABILITY))

    def _number(self, handle: int, name: str) -> int | None:
        value = self._property(handle, name)
        return None if value is None else int.from_bytes(value[:4], "little")

    def _property(self, handle: int, name: str) -> bytes | None:
        """A property's value; None if the provider does not know the property."""
        try:
            return self._ncrypt.get_property(handle, name)
        except n.NcryptError as error:
            if error.status in _UNKNOWN_PROPERTY:
                return None
            raise


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except n.NcryptError as error:
        raise status.explain(error.status, doing) from error
    except ValueError as error:
        raise TpmFailed(
            f"the key provider's answer cannot be read while {doing}: {error}", "Ask for support."
        ) from error


def _require_tpm(facts: ProviderFacts) -> None:
    if not facts.hardware:
        raise TpmMissing(f"{facts.name} does not say that it keeps keys in hardware", status.READY_ADVICE)
    if facts.tpm_version and not facts.tpm_version.startswith("2."):
        raise TpmMissing(
            f"this computer has a TPM {facts.tpm_version}, and a TPM 2.0 is needed",
            "Look for a TPM 2.0 in the computer's firmware set-up.",
        )


def _require_algorithm(public_key: PublicKey, algorithm: KeyAlgorithm) -> None:
    is_curve = isinstance(public_key, ec.EllipticCurvePublicKey)
    wanted = _CURVES[algorithm][1] if is_curve and algorithm in _CURVES else _RSA_BITS.get(algorithm, 0)
    if public_key.key_size != wanted:
        raise AlgorithmUnsupported(f"the key provider made a key of {public_key.key_size} bits instead")


def _spki_sha256(key: PublicKey) -> str:
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _dword(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _text(value: bytes) -> str:
    """A property's UTF-16 text, without its end."""
    return value.decode("utf-16-le", errors="replace").partition("\0")[0]


def _said(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else ""
