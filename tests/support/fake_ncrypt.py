"""ncrypt.dll as a TPM's computer has it, over keys of `cryptography`: every octet in and out is laid out as the headers
say, keys stay in a folder from process to process, and any call can be told to fail.

The layouts are those of bcrypt.h; claims are those of [MS-WCCE] section 2.2.2.5, the platform key blob's is that of
public tools that read it. What this fake says about a TPM is a statement of what the agent expects, not of what was
seen on one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from tests.support import software_tpm as tpm

from keystead_agent.keystore import _ncrypt as n

SUCCESSFUL = 0
HARDWARE, SOFTWARE = n.IMPL_HARDWARE_FLAG, n.IMPL_SOFTWARE_FLAG
PLATFORM_TYPE = "TPM-Version:2.0 -Level:0-Revision:1.38-VendorID:'FAKE'-Firmware:7.2.1.0"
CURVES: dict[str, ec.EllipticCurve] = {n.ECDSA_P256: ec.SECP256R1(), n.ECDSA_P384: ec.SECP384R1()}
CURVE_NAMES = {256: "nistP256", 384: "nistP384"}
HASHES: dict[str, hashes.HashAlgorithm] = {
    n.SHA256: hashes.SHA256(),
    n.SHA384: hashes.SHA384(),
    n.SHA512: hashes.SHA512(),
}
BY_SIZE: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
ATTRIBUTES = 0x2 | 0x10 | 0x20 | 0x40 | 0x400 | 0x40000
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass
class _Object:
    """What a handle stands for."""

    provider: str
    name: str = ""
    algorithm: str = ""
    flags: int = 0
    key: PrivateKey | None = None
    properties: dict[str, bytes] = field(default_factory=dict)
    binding: bytes = b""
    """What only the handle that made an identity knows."""
    secret: bytes = b""


class FakeNcrypt:
    """Keys are kept below `folder`. What a test changes: `impl_type` of the platform's provider, `rsa_lengths`
    (least, most, step), `refused_lengths` only found when the key is made, `generic_curves`, `reopens` (Wine: no),
    `vulnerability` (ROCA), `platform_type`, `exportable` (a provider that ignores the policy), `makes` (a provider that
    makes the key it likes), `failing`: the status
    with which a call answers, by the call's name, each may be a function of the call's arguments; and `before`, which
    is told of each call. Of its TPM: the `endorsement` key, `stores` (the HCERTSTOREs of properties), whether the
    provider can be told an identity's hash (`tells_hash`), whether the account is an `administrator`, whether claims
    have a TPMT_SIGNATURE (`whole_signatures`) or the bare number, and `claims`, which may change one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endorsement = tpm.ek(tpm.rsa_key(which=1))
        self.stores: dict[str, Callable[[], int]] = {}
        self.tells_hash = True
        self.administrator = True
        self.whole_signatures = False
        self.claims: Callable[[bytes], bytes] = lambda claim: claim
        self.impl_type: int | None = HARDWARE
        self.rsa_lengths: tuple[int, int, int] | None = (1024, 2048, 1024)
        self.refused_lengths: dict[int, int] = {}
        self.algorithms = {n.RSA, *CURVES}
        self.generic_curves = False
        self.reopens = True
        self.vulnerability: dict[str, int] | None = {n.PCP_RSA_PROHIBITED: 0, n.PCP_RSA_VULNERABILITY: 0}
        self.platform_type: str | None = PLATFORM_TYPE
        self.exportable = False
        self.makes: PrivateKey | None = None
        self.failing: dict[str, int | Callable[..., int]] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.calls: list[tuple[object, ...]] = []
        self._objects: dict[int, _Object] = {}
        self._numbers = count(0x7FF0_0000_1000, 16)

    @property
    def open_handles(self) -> int:
        """Handles that nobody freed."""
        return len(self._objects)

    def kept(self) -> set[str]:
        """The names of all keys that would be there after a restart."""
        return {path.stem for path in self.folder.glob("*/*/*.json")}

    def clear(self) -> None:
        """What clearing the TPM does: the files stay, the keys are lost."""
        for path in self.folder.glob("*/*/*.pem"):
            path.unlink()

    # --- the calls ---------------------------------------------------------------------------------------------

    def open_storage_provider(self, name: str) -> int:
        self._enter("open_storage_provider", name)
        if name not in (n.PLATFORM_PROVIDER, n.SOFTWARE_PROVIDER):
            raise n.NcryptError("NCryptOpenStorageProvider", n.PROV_DLL_NOT_FOUND)
        return self._new(_Object(provider=name))

    def create_persisted_key(self, provider: int, algorithm: str, name: str, flags: int) -> int:
        self._enter("create_persisted_key", algorithm, name, flags)
        owner = self._object(provider)
        if flags & ~n.MACHINE_KEY_FLAG:
            raise n.NcryptError("NCryptCreatePersistedKey", n.BAD_FLAGS)
        if algorithm not in self.algorithms:
            raise n.NcryptError("NCryptCreatePersistedKey", n.NOT_SUPPORTED)
        if self._path(owner.provider, flags, name).exists():
            raise n.NcryptError("NCryptCreatePersistedKey", n.EXISTS)
        made = _Object(owner.provider, name, algorithm, flags)
        made.properties = {n.LENGTH: _dword(2048), n.EXPORT_POLICY: _dword(3), n.KEY_USAGE: _dword(0xFFFFFF)}
        made.properties[n.PROVIDER_HANDLE] = struct.pack("<Q", provider)
        return self._new(made)

    def open_key(self, provider: int, name: str, flags: int) -> int:
        self._enter("open_key", name, flags)
        owner = self._object(provider)
        if not self.reopens:
            raise n.NcryptError("NCryptOpenKey", n.NOT_SUPPORTED)
        path = self._path(owner.provider, flags, name)
        if not path.exists():
            raise n.NcryptError("NCryptOpenKey", n.BAD_KEYSET)
        if not path.with_suffix(".pem").exists():
            raise n.NcryptError("NCryptOpenKey", 0x8028009F)  # TPM_20_E_INTEGRITY
        facts = json.loads(path.read_text())
        key = serialization.load_pem_private_key(path.with_suffix(".pem").read_bytes(), None)
        assert isinstance(key, PrivateKey)
        properties = {name: bytes.fromhex(value) for name, value in facts["properties"].items()}
        properties[n.PROVIDER_HANDLE] = struct.pack("<Q", provider)
        return self._new(_Object(owner.provider, name, facts["algorithm"], flags, key, properties))

    def get_property(self, handle: int, name: str) -> bytes:
        self._enter("get_property", name)
        item = self._object(handle)
        value = self._key_property(item, name) if item.name else self._provider_property(item, name)
        if value is None:
            raise n.NcryptError("NCryptGetProperty", n.NOT_SUPPORTED)
        return value

    def set_property(self, handle: int, name: str, value: bytes, flags: int = 0) -> None:
        self._enter("set_property", name, value)
        item = self._object(handle)
        assert flags == (n.DACL_SECURITY_INFORMATION if name == n.SECURITY_DESCRIPTOR else 0)
        if name == n.PCP_ID_ACTIVATION and item.key is not None:
            item.secret = self._opened(item, value)
            return
        if name in (n.PCP_RSA_SCHEME, n.PCP_RSA_SCHEME_HASH) and not self.tells_hash:
            raise n.NcryptError("NCryptSetProperty", n.NOT_SUPPORTED)
        if item.key is not None:
            raise n.NcryptError("NCryptSetProperty", n.NOT_SUPPORTED)
        if name == n.LENGTH and not self._has_length(int.from_bytes(value, "little"), item.provider):
            raise n.NcryptError("NCryptSetProperty", n.INVALID_PARAMETER)
        if name == n.EXPORT_POLICY and self.exportable:
            return
        item.properties[name] = value

    def finalize_key(self, key: int) -> None:
        self._enter("finalize_key")
        item = self._object(key)
        if item.algorithm == n.RSA:
            bits = int.from_bytes(item.properties[n.LENGTH], "little")
            if bits in self.refused_lengths:
                raise n.NcryptError("NCryptFinalizeKey", self.refused_lengths[bits])
            item.key = rsa.generate_private_key(65537, bits)
        else:
            item.key = ec.generate_private_key(CURVES[item.algorithm])
        item.key = self.makes or item.key
        if is_identity(item.properties):
            item.binding = self._binding(item)
        self._keep(item)
        self._enter("finalized")

    def export_key(self, key: int, blob_type: str) -> bytes:
        self._enter("export_key", blob_type)
        item = self._object(key)
        if item.key is None:
            raise n.NcryptError("NCryptExportKey", n.INVALID_HANDLE)
        public = item.key.public_key()
        if blob_type == n.RSA_PUBLIC_BLOB and isinstance(public, rsa.RSAPublicKey):
            return rsa_public_blob(public)
        if blob_type == n.ECC_PUBLIC_BLOB and isinstance(public, ec.EllipticCurvePublicKey):
            return ec_public_blob(public, generic=self.generic_curves)
        if blob_type == n.OPAQUE_KEY_BLOB and item.provider == n.PLATFORM_PROVIDER:
            return opaque_blob(public, area=self._tpm_object(item).public)
        raise n.NcryptError("NCryptExportKey", n.NOT_SUPPORTED)

    def sign_hash(self, key: int, digest: bytes, pkcs1_hash: str | None) -> bytes:
        self._enter("sign_hash", len(digest), pkcs1_hash)
        item = self._object(key)
        if isinstance(item.key, rsa.RSAPrivateKey):
            if pkcs1_hash is None or HASHES[pkcs1_hash].digest_size != len(digest):
                raise n.NcryptError("NCryptSignHash", n.INVALID_PARAMETER)
            return item.key.sign(digest, padding.PKCS1v15(), Prehashed(HASHES[pkcs1_hash]))
        if item.key is None or pkcs1_hash is not None:
            raise n.NcryptError("NCryptSignHash", n.INVALID_PARAMETER)
        size = item.key.key_size // 8
        r, s = decode_dss_signature(item.key.sign(digest, ec.ECDSA(Prehashed(BY_SIZE[len(digest)]))))
        return r.to_bytes(size) + s.to_bytes(size)

    def create_claim(self, subject: int, authority: int, nonce: bytes) -> bytes:
        self._enter("create_claim", len(nonce))
        item, signer = self._object(subject), self._object(authority)
        if item.key is None or signer.key is None or not is_identity(signer.properties):
            raise n.NcryptError("NCryptCreateClaim", 0x8029040F)
        certified, by = self._tpm_object(item), self._tpm_object(signer)
        statement = tpm.Statement(tpm.CERTIFY, certified.name, certified.name, nonce).octets
        signature = tpm.signature(by.key, statement, by.scheme_hash)
        if not self.whole_signatures:
            signature = signature[6:]
        return self.claims(claim(statement, signature, opaque_blob(item.key.public_key(), area=certified.public)))

    def delete_key(self, key: int) -> None:
        self._enter("delete_key")
        item = self._object(key)
        if item.key is None or not self.reopens:
            raise n.NcryptError("NCryptDeleteKey", n.INVALID_HANDLE if self.reopens else n.NOT_SUPPORTED)
        path = self._path(item.provider, item.flags, item.name)
        path.with_suffix(".pem").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        del self._objects[key]

    def free_object(self, handle: int) -> None:
        self._enter("free_object")
        self._object(handle)
        del self._objects[handle]

    # --- what they share ---------------------------------------------------------------------------------------

    def _enter(self, call: str, *arguments: object) -> None:
        self.before(call)
        self.calls.append((call, *arguments))
        failure = self.failing.get(call, SUCCESSFUL)
        status = failure if isinstance(failure, int) else failure(*arguments)
        if status != SUCCESSFUL:
            raise n.NcryptError(call, status)

    def _new(self, item: _Object) -> int:
        handle = next(self._numbers)
        self._objects[handle] = item
        return handle

    def _object(self, handle: int) -> _Object:
        if handle not in self._objects:
            raise n.NcryptError("a call", n.INVALID_HANDLE)
        return self._objects[handle]

    def _has_length(self, bits: int, provider: str) -> bool:
        if provider == n.SOFTWARE_PROVIDER or self.rsa_lengths is None:
            return True
        least, most, step = self.rsa_lengths
        return least <= bits <= most and (bits - least) % step == 0

    def _provider_property(self, item: _Object, name: str) -> bytes | None:
        if name == n.IMPL_TYPE:
            impl_type = self.impl_type if item.provider == n.PLATFORM_PROVIDER else SOFTWARE
            return None if impl_type is None else _dword(impl_type)
        if item.provider != n.PLATFORM_PROVIDER:
            return None
        if name == n.PCP_EK_PUBLIC:
            public = self.endorsement.key.public_key()
            assert isinstance(public, rsa.RSAPublicKey)
            return rsa_public_blob(public)
        if name in self.stores:
            if not self.administrator:
                raise n.NcryptError("NCryptGetProperty", n.PERM)
            return struct.pack("<Q", self.stores[name]())
        if name == n.PCP_PLATFORM_TYPE and self.platform_type is not None:
            return self.platform_type.encode("utf-16-le") + b"\0\0"
        if self.vulnerability is not None and name in self.vulnerability:
            return _dword(self.vulnerability[name])
        return None

    def _key_property(self, item: _Object, name: str) -> bytes | None:
        if name == n.LENGTHS:
            if item.algorithm != n.RSA or self.rsa_lengths is None or item.provider == n.SOFTWARE_PROVIDER:
                return None
            return struct.pack("<4I", *self.rsa_lengths, 2048)
        if name == n.ECC_CURVE_NAME and isinstance(item.key, ec.EllipticCurvePrivateKey):
            return CURVE_NAMES[item.key.key_size].encode("utf-16-le") + b"\0\0"
        if name == n.PCP_ID_BINDING:
            return item.binding or None
        if name == n.PCP_ID_ACTIVATION:
            return item.secret or None
        if name == n.PCP_KEY_USAGE_POLICY and item.key is not None:
            return _dword(0x10000 | (n.PCP_IDENTITY_KEY if is_identity(item.properties) else 1))
        return item.properties.get(name)

    def _tpm_object(self, item: _Object) -> tpm.Object:
        """What the TPM holds of a key."""
        assert item.key is not None
        if not is_identity(item.properties):
            return tpm.Object(item.key, ATTRIBUTES)
        told = item.properties.get(n.PCP_RSA_SCHEME_HASH)
        return tpm.ak(item.key, scheme_hash=int.from_bytes(told, "little") if told else tpm.SHA1)

    def _binding(self, item: _Object) -> bytes:
        identity = tpm.SoftwareTpm(self.endorsement, self._tpm_object(item))
        return identity.attestation.public + b"".join(identity.creation())

    def _opened(self, item: _Object, blob: bytes) -> bytes:
        """TPM2_ActivateCredential."""
        if not self.administrator:
            raise n.NcryptError("NCryptSetProperty", 0x80280400)  # TPM_E_COMMAND_BLOCKED
        end = 2 + int.from_bytes(blob[:2])
        chip = tpm.SoftwareTpm(self.endorsement, self._tpm_object(item))
        try:
            return chip.activate(blob[:end], blob[end:])
        except ValueError:
            raise n.NcryptError("NCryptSetProperty", 0x8028009F) from None  # TPM_20_E_INTEGRITY

    def _path(self, provider: str, flags: int, name: str) -> Path:
        scope = "machine" if flags & n.MACHINE_KEY_FLAG else "user"
        return self.folder / provider / scope / f"{name}.json"

    def _keep(self, item: _Object) -> None:
        if not self.reopens:
            return
        assert item.key is not None
        path = self._path(item.provider, item.flags, item.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = item.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.with_suffix(".pem").write_bytes(pem)
        properties = {name: value.hex() for name, value in item.properties.items() if name != n.PROVIDER_HANDLE}
        path.write_text(json.dumps({"algorithm": item.algorithm, "properties": properties}))


def rsa_public_blob(key: rsa.RSAPublicKey) -> bytes:
    """BCRYPT_RSAPUBLIC_BLOB."""
    numbers = key.public_numbers()
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)
    modulus = numbers.n.to_bytes((key.key_size + 7) // 8)
    return struct.pack("<4s5I", b"RSA1", key.key_size, len(exponent), len(modulus), 0, 0) + exponent + modulus


def ec_public_blob(key: ec.EllipticCurvePublicKey, *, generic: bool = False) -> bytes:
    """BCRYPT_ECCPUBLIC_BLOB; `generic` has the magic that names no curve."""
    size = key.key_size // 8
    numbers = key.public_numbers()
    magic = b"ECDP" if generic else {256: b"ECS1", 384: b"ECS3"}[key.key_size]
    return struct.pack("<4sI", magic, size) + numbers.x.to_bytes(size) + numbers.y.to_bytes(size)


def is_identity(properties: dict[str, bytes]) -> bool:
    """Whether a key was made to sign only what the TPM says."""
    return properties.get(n.PCP_KEY_USAGE_POLICY) == _dword(n.PCP_IDENTITY_KEY)


def claim(attest: bytes, signature: bytes, key_blob: bytes, *, id_binding: bytes = b"", aik: bytes = b"") -> bytes:
    """KeyAttestationStatement."""
    sizes = len(attest), len(signature), len(key_blob)
    body = struct.pack("<4s5I", b"KADS", 2, 24, *sizes) + attest + signature + key_blob
    head = struct.pack("<4s6I", b"KAST", 1, 2, 28, len(id_binding), len(body), len(aik))
    return head + id_binding + body + aik


def serialized_certificate(der: bytes, *, others: tuple[tuple[int, bytes], ...] = ((3, bytes(20)),)) -> bytes:
    """What the registry keeps of a certificate in a store: `others` are properties that come before it."""
    records = (*others, (32, der))
    return b"".join(struct.pack("<3I", number, 1, len(value)) + value for number, value in records)


def opaque_blob(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, *, kind: int = 2, area: bytes = b"") -> bytes:
    """The platform provider's blob of a key: a header of 13 DWORDs and a WORD, TPM2B_PUBLIC, TPM2B_PRIVATE."""
    public, private = area or tpm2b_public(key), _tpm2b(b"wrapped by the TPM")
    header = struct.pack("<4s12IH", b"PCPM", 54, kind, 0, len(public), len(private), 0, 0, 0, 0, 0, 0, 0, 0xB)
    return header + public + private


def tpm2b_public(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """TPM2B_PUBLIC of a signing key that is bound to its TPM, as `ATTRIBUTES` say."""
    no_algorithm = struct.pack(">H", 0x10)
    if isinstance(key, rsa.RSAPublicKey):
        kind = 0x1
        modulus = key.public_numbers().n.to_bytes(key.key_size // 8)
        rest = no_algorithm * 2 + struct.pack(">HI", key.key_size, 0) + _tpm2b(modulus)
    else:
        kind = 0x23
        size = key.key_size // 8
        numbers = key.public_numbers()
        curve = struct.pack(">H", {256: 3, 384: 4}[key.key_size])
        point = _tpm2b(numbers.x.to_bytes(size)) + _tpm2b(numbers.y.to_bytes(size))
        rest = no_algorithm * 2 + curve + no_algorithm + point
    return _tpm2b(struct.pack(">HHI", kind, 0xB, ATTRIBUTES) + _tpm2b(b"") + rest)


def _tpm2b(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def _dword(number: int) -> bytes:
    return struct.pack("<I", number)
