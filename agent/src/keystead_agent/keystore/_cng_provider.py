"""An open key provider of CNG: what it says of itself, what it can make, what its keys are."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from keystead_agent.errors import AlgorithmUnsupported, TpmFailed, TpmMissing
from keystead_agent.keystore import _cng_blobs as blobs
from keystead_agent.keystore import _cng_errors as status
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.base import PublicKey
from keystead_agent.keystore.persisted import PersistedKey
from keystead_contracts.base import KeyAlgorithm

RSA_BITS = {KeyAlgorithm.RSA_2048: 2048, KeyAlgorithm.RSA_3072: 3072, KeyAlgorithm.RSA_4096: 4096}
_CURVES: dict[KeyAlgorithm, tuple[str, ec.EllipticCurve]] = {
    KeyAlgorithm.EC_P256: (n.ECDSA_P256, ec.SECP256R1()),
    KeyAlgorithm.EC_P384: (n.ECDSA_P384, ec.SECP384R1()),
}
_UNKNOWN_PROPERTY = {n.NOT_SUPPORTED, n.INVALID_PARAMETER, n.NOT_FOUND, 0x80290403, 0x80290405}
"""What a provider answers that does not know a property; the last are TPM_E_PCP_INVALID_PARAMETER, …_NOT_SUPPORTED."""
WEAK_RSA_ADVICE = (
    "Ask for ec-p256 or ec-p384, or update the TPM's firmware (the computer's maker has it; see Microsoft's advisory "
    "ADV170012) and clear the TPM."
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

    def require_tpm(self) -> None:
        """Raises TpmMissing unless keys of the provider are in a TPM 2.0, as far as it says."""
        if not self.hardware:
            raise TpmMissing(f"{self.name} does not say that it keeps keys in hardware", status.READY_ADVICE)
        if self.tpm_version and not self.tpm_version.startswith("2."):
            raise TpmMissing(
                f"this computer has a TPM {self.tpm_version}, and a TPM 2.0 is needed",
                "Look for a TPM 2.0 in the computer's firmware set-up.",
            )


class OpenProvider:
    """Provider `name`, open as `handle`. Every method may raise NcryptError, and ValueError for an answer that cannot
    be read."""

    def __init__(self, ncrypt: n.Ncrypt, name: str, handle: int) -> None:
        self._ncrypt = ncrypt
        self._name = name
        self.handle = handle
        self.is_platform = name == n.PLATFORM_PROVIDER

    def free(self, handle: int) -> None:
        """Frees a handle. One that is freed already is nothing to tell of."""
        with suppress(n.NcryptError):
            self._ncrypt.free_object(handle)

    def facts(self, algorithms: tuple[KeyAlgorithm, ...] = ()) -> ProviderFacts:
        """What the provider says of itself, and that it can make `algorithms`."""
        said = _text(self._property(self.handle, n.PCP_PLATFORM_TYPE) or b"") if self.is_platform else ""
        return ProviderFacts(
            name=self._name,
            hardware=self._is_hardware(self.handle),
            tpm_version=_said(r"TPM-Version:\s*([0-9.]+)", said),
            manufacturer=_said(r"VendorID:\s*'([^']*)'", said),
            firmware=_said(r"Firmware:\s*([0-9A-Za-z.]+)", said),
            weak_rsa=self._has_weak_rsa(),
            algorithms=algorithms,
        )

    def capabilities(self, example: Callable[[KeyAlgorithm], PersistedKey]) -> tuple[KeyAlgorithm, ...]:
        """What it lets be prepared; `example` names a key of an algorithm."""
        return tuple(algorithm for algorithm in KeyAlgorithm if self._can_prepare(example(algorithm)))

    def _can_prepare(self, example: PersistedKey) -> bool:
        try:
            self.free(self.prepare(example))
        except AlgorithmUnsupported:
            return False
        except n.NcryptError as error:
            if status.is_unsupported(error.status):
                return False
            raise
        return True

    def prepare(self, unmade: PersistedKey, *, identity: bool = False) -> int:
        """The handle of a key that is not made yet, told to sign and not to be exported, and as an `identity` to sign
        only what the TPM says; it leaves nothing behind if it is freed. Raises AlgorithmUnsupported for what the
        provider, or this agent with its TPM, does not make."""
        bits = RSA_BITS.get(unmade.algorithm)
        if bits and self._has_weak_rsa():
            raise AlgorithmUnsupported(
                "this TPM's firmware makes RSA keys that can be broken (ROCA, CVE-2017-15361)", WEAK_RSA_ADVICE
            )
        name = n.RSA if bits else _CURVES[unmade.algorithm][0]
        key = self._ncrypt.create_persisted_key(self.handle, name, unmade.name, unmade.flags)
        try:
            if bits:
                self._require_length(key, bits)
                self._ncrypt.set_property(key, n.LENGTH, _dword(bits))
            if identity:
                self._tell_identity(key)
            else:
                self._ncrypt.set_property(key, n.KEY_USAGE, _dword(n.ALLOW_SIGNING_FLAG))
            self._ncrypt.set_property(key, n.EXPORT_POLICY, _dword(0))
            if self._number(key, n.EXPORT_POLICY) not in (0, None):
                raise TpmFailed("the key provider does not keep keys from being exported", status.FAILED_ADVICE)
        except BaseException:
            self.free(key)
            raise
        return key

    def _tell_identity(self, key: int) -> None:
        """With SHA-256 where the provider can be told so; who is at the computer may use a key of the machine."""
        self._ncrypt.set_property(key, n.PCP_KEY_USAGE_POLICY, _dword(n.PCP_IDENTITY_KEY))
        for name, value, flags in (
            (n.PCP_RSA_SCHEME, _dword(n.TPM_RSASSA), 0),
            (n.PCP_RSA_SCHEME_HASH, _dword(n.TPM_SHA256), 0),
            (n.SECURITY_DESCRIPTOR, shared_descriptor(), n.DACL_SECURITY_INFORMATION),
        ):
            try:
                self._ncrypt.set_property(key, name, value, flags)
            except n.NcryptError as error:
                if error.status not in _UNKNOWN_PROPERTY:
                    raise

    def require_identity(self, key: int) -> None:
        """Raises AlgorithmUnsupported unless the key, now made, signs only what the TPM says."""
        if not (self._number(key, n.PCP_KEY_USAGE_POLICY) or 0) & n.PCP_IDENTITY_KEY:
            raise AlgorithmUnsupported("the key provider makes no key for the TPM's identity")

    def value(self, name: str) -> bytes | None:
        """A property of the provider; None if there is none, or it is not for this account."""
        try:
            return self._ncrypt.get_property(self.handle, name)
        except n.NcryptError:
            return None

    def _require_length(self, key: int, bits: int) -> None:
        """Raises AlgorithmUnsupported if the provider says (NCRYPT_SUPPORTED_LENGTHS) that it has no such size."""
        lengths = self._property(key, n.LENGTHS)
        if lengths is None or len(lengths) < 12:
            return
        least, most, step = (int.from_bytes(lengths[i : i + 4], "little") for i in (0, 4, 8))
        if not least <= bits <= most or (step and (bits - least) % step):
            raise AlgorithmUnsupported(f"the key provider makes RSA keys of {least} to {most} bits")

    def require_bound(self, key: int) -> None:
        """Raises TpmFailed unless the key, now made, is what was asked for; TpmMissing if it is not in hardware."""
        policy, usage = self._number(key, n.EXPORT_POLICY), self._number(key, n.KEY_USAGE)
        if policy != 0:
            raise TpmFailed("the key provider made a key that could be exported; it was removed", status.FAILED_ADVICE)
        if usage is None or not usage & n.ALLOW_SIGNING_FLAG:
            raise TpmFailed("the key provider made a key that does not sign; it was removed", status.FAILED_ADVICE)
        if self.is_platform:
            # not freed: whether the property's handle is one of our own differs between providers
            own_provider = int.from_bytes(self._ncrypt.get_property(key, n.PROVIDER_HANDLE), "little")
            if not self._is_hardware(own_provider):
                raise TpmMissing("the key provider made a key outside of the TPM; it was removed", status.READY_ADVICE)

    def public_key(self, key: int, algorithm: KeyAlgorithm) -> PublicKey:
        """The public key of `key`. Raises ValueError if it is not of `algorithm`."""
        if algorithm in RSA_BITS:
            rsa_key = blobs.rsa_public_key(self._ncrypt.export_key(key, n.RSA_PUBLIC_BLOB))
            if rsa_key.key_size != RSA_BITS[algorithm]:
                raise ValueError(f"an RSA key of {rsa_key.key_size} bits in place of {algorithm}")
            return rsa_key
        blob = self._ncrypt.export_key(key, n.ECC_PUBLIC_BLOB)
        curve_name = _text(self._ncrypt.get_property(key, n.ECC_CURVE_NAME)) if blobs.names_no_curve(blob) else ""
        ec_key = blobs.ec_public_key(blob, curve_name)
        if ec_key.curve.name != _CURVES[algorithm][1].name:
            raise ValueError(f"a key on {ec_key.curve.name} in place of {algorithm}")
        return ec_key

    def _is_hardware(self, provider: int) -> bool:
        return bool((self._number(provider, n.IMPL_TYPE) or 0) & n.IMPL_HARDWARE_FLAG)

    def _has_weak_rsa(self) -> bool:
        names = (n.PCP_RSA_PROHIBITED, n.PCP_RSA_VULNERABILITY) if self.is_platform else ()
        return any(self._number(self.handle, name) for name in names)

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


def shared_descriptor() -> bytes:
    """A self-relative SECURITY_DESCRIPTOR ([MS-DTYP] 2.4.6) that nothing above is inherited into: all rights for SYSTEM
    and for administrators, reading for who is logged in at the computer."""
    entries = b"".join(
        struct.pack("<BBHI", 0, 0, 8 + len(sid), rights) + sid
        for rights, sid in ((_ALL, _SYSTEM), (_ALL, _ADMINISTRATORS), (_READ, _INTERACTIVE))
    )
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), 3, 0) + entries
    return struct.pack("<BBHIIII", 1, 0, _PROTECTED_DACL, 0, 0, 0, 20) + acl


def _sid(*authorities: int) -> bytes:
    """SID S-1-5-`authorities`."""
    return (
        struct.pack("<BB", 1, len(authorities)) + (5).to_bytes(6) + struct.pack(f"<{len(authorities)}I", *authorities)
    )


_SYSTEM, _ADMINISTRATORS, _INTERACTIVE = _sid(18), _sid(32, 544), _sid(4)
_ALL, _READ = 0x10000000, 0x80000000
"""GENERIC_ALL, GENERIC_READ."""
_PROTECTED_DACL = 0x9004
"""SE_SELF_RELATIVE | SE_DACL_PROTECTED | SE_DACL_PRESENT."""


def _dword(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _text(value: bytes) -> str:
    """A property's UTF-16 text, without its end."""
    return value.decode("utf-16-le", errors="replace").partition("\0")[0]


def _said(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else ""
