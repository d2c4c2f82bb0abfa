"""A TPM that is no TPM: real keys, and structures that say whatever a test wants said about them.

A `SoftwareTpm` makes what an honest TPM would send. Every part can be replaced before it is signed, so that a sample is
wrong in one place and right in all others.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from functools import cache

from cryptography.hazmat.decrepit.ciphers import modes
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from keystead_enroll.domain.credential import HASHES, IDENTITY, INTEGRITY, STORAGE, kdf_a, kdf_e

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

FIXED_TPM, FIXED_PARENT, ORIGIN, USER_WITH_AUTH, ADMIN_WITH_POLICY = 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
OWNED = FIXED_TPM | FIXED_PARENT | ORIGIN
AK_ATTRIBUTES = OWNED | USER_WITH_AUTH | RESTRICTED | SIGN
KEY_ATTRIBUTES = OWNED | USER_WITH_AUTH | SIGN
EK_ATTRIBUTES = OWNED | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT

MAGIC, CERTIFY, QUOTE, CREATION = 0xFF544347, 0x8017, 0x8018, 0x801A
NULL, SHA1, SHA256, SHA384, AES, CFB, RSASSA, ECDSA = 0x10, 0x04, 0x0B, 0x0C, 0x06, 0x43, 0x14, 0x18
HASH_NAMES = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384"}
_SIGN_WITH: dict[int, hashes.HashAlgorithm] = {
    SHA1: hashes.SHA1(),  # noqa: S303 a forgery
    SHA256: hashes.SHA256(),
    SHA384: hashes.SHA384(),
}
_CURVES = {256: 3, 384: 4}
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")


def tpm2b(content: bytes) -> bytes:
    """A TPM2B: a 16-bit size and the octets."""
    return len(content).to_bytes(2) + content


@cache
def rsa_key(bits: int = 2048, which: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key, made once for each size and `which`."""
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Object:
    """A key and what its public area says."""

    key: SigningKey
    attributes: int
    scheme: int = NULL
    scheme_hash: int = SHA256
    name_alg: int = SHA256
    policy: bytes = b""
    cipher_bits: int = 0
    mode: int = CFB

    @property
    def area(self) -> bytes:
        """TPMT_PUBLIC."""
        cipher = _u16(AES, self.cipher_bits, self.mode) if self.cipher_bits else _u16(NULL)
        scheme = _u16(self.scheme) if self.scheme == NULL else _u16(self.scheme, self.scheme_hash)
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.public_key().public_numbers()
            octets = self.key.key_size // 8
            kind, rest = 0x0001, _u16(self.key.key_size) + bytes(4) + tpm2b(numbers.n.to_bytes(octets))
        else:
            point = self.key.public_key().public_numbers()
            octets = self.key.key_size // 8
            kind, rest = 0x0023, _u16(_CURVES[self.key.key_size], NULL) + _point(point, octets)
        head = _u16(kind, self.name_alg) + self.attributes.to_bytes(4) + tpm2b(self.policy)
        return head + cipher + scheme + rest

    @property
    def public(self) -> bytes:
        """TPM2B_PUBLIC."""
        return tpm2b(self.area)

    @property
    def name(self) -> bytes:
        """The object's Name."""
        return _u16(self.name_alg) + hashlib.new(HASH_NAMES[self.name_alg], self.area).digest()


@dataclass(frozen=True)
class Statement:
    """A TPMS_ATTEST before it is signed. `first` and `second` are what CERTIFY and CREATION have in the end."""

    kind: int
    first: bytes
    second: bytes
    extra: bytes = b""
    magic: int = MAGIC
    milliseconds: int = 1000
    resets: int = 7
    restarts: int = 1
    firmware: int = 0x0001000200030004
    trailing: bytes = b""

    @property
    def octets(self) -> bytes:
        """TPMS_ATTEST."""
        clock = self.milliseconds.to_bytes(8) + self.resets.to_bytes(4) + self.restarts.to_bytes(4) + b"\x01"
        head = self.magic.to_bytes(4) + _u16(self.kind) + tpm2b(b"\0\x0b" + bytes(32)) + tpm2b(self.extra)
        body = clock + self.firmware.to_bytes(8) + tpm2b(self.first) + tpm2b(self.second)
        return head + body + self.trailing


def signature(key: SigningKey, octets: bytes, hash_id: int = SHA256) -> bytes:
    """TPMT_SIGNATURE by `key` over `octets`."""
    algorithm = _SIGN_WITH[hash_id]
    if isinstance(key, rsa.RSAPrivateKey):
        return _u16(RSASSA, hash_id) + tpm2b(key.sign(octets, padding.PKCS1v15(), algorithm))
    r, s = utils.decode_dss_signature(key.sign(octets, ec.ECDSA(algorithm)))
    size = key.key_size // 8
    return _u16(ECDSA, hash_id) + tpm2b(r.to_bytes(size)) + tpm2b(s.to_bytes(size))


def creation_data(outside: bytes = b"", trailing: bytes = b"") -> bytes:
    """TPMS_CREATION_DATA of an object under a storage key."""
    parent = b"\0\x0b" + hashlib.sha256(b"parent").digest()
    selection = (1).to_bytes(4) + _u16(SHA256) + b"\x03\0\0\0"
    rest = tpm2b(b"") + b"\x01" + _u16(SHA256) + tpm2b(parent) + tpm2b(parent) + tpm2b(outside)
    return selection + rest + trailing


@dataclass(frozen=True)
class SoftwareTpm:
    """An endorsement key, an attestation key, and what they do."""

    endorsement: Object = field(default_factory=lambda: ek())
    attestation: Object = field(default_factory=lambda: ak())

    def creation(self, **changes: object) -> tuple[bytes, bytes, bytes]:
        """The AK's TPM2B_CREATION_DATA, TPM2B_ATTEST by TPM2_CertifyCreation and TPMT_SIGNATURE; `changes` are made
        to the statement before it is signed."""
        data = creation_data()
        digest = hashlib.new(HASH_NAMES[self.attestation.name_alg], data).digest()
        statement = replace(Statement(CREATION, self.attestation.name, digest), **changes)  # type: ignore[arg-type]
        return tpm2b(data), tpm2b(statement.octets), self.sign(statement.octets)

    def certify(self, key: Object, extra: bytes, **changes: object) -> tuple[bytes, bytes]:
        """TPM2B_ATTEST by TPM2_Certify and TPMT_SIGNATURE; `changes` are made before it is signed."""
        statement = replace(Statement(CERTIFY, key.name, key.name, extra), **changes)  # type: ignore[arg-type]
        return tpm2b(statement.octets), self.sign(statement.octets)

    def sign(self, octets: bytes) -> bytes:
        """TPMT_SIGNATURE by the attestation key."""
        return signature(self.attestation.key, octets, self.attestation.scheme_hash)

    def activate(self, blob: bytes, encrypted_secret: bytes, name: bytes | None = None) -> bytes:
        """TPM2_ActivateCredential for the attestation key (or that of `name`). Raises ValueError where a TPM would
        answer TPM_RC_INTEGRITY or TPM_RC_SIZE."""
        hash_name = HASH_NAMES[self.endorsement.name_alg]
        digest = hashlib.new(hash_name).digest_size
        name = self.attestation.name if name is None else name
        seed = self._seed(_content(encrypted_secret), hash_name)
        content = _content(blob)
        mac, identity = content[2 : 2 + digest], content[2 + digest :]
        mac_key = kdf_a(hash_name, seed, INTEGRITY, b"", digest * 8)
        if not hmac.compare_digest(hmac.digest(mac_key, identity + name, hash_name), mac):
            raise ValueError("TPM_RC_INTEGRITY")
        cipher_key = kdf_a(hash_name, seed, STORAGE, name, self.endorsement.cipher_bits)
        decryptor = Cipher(algorithms.AES(cipher_key), modes.CFB(bytes(16))).decryptor()
        return _content(decryptor.update(identity) + decryptor.finalize())

    def _seed(self, encrypted: bytes, hash_name: str) -> bytes:
        key = self.endorsement.key
        if isinstance(key, rsa.RSAPrivateKey):
            algorithm = HASHES[hash_name]
            return key.decrypt(encrypted, padding.OAEP(padding.MGF1(algorithm), algorithm, IDENTITY))
        size = key.key_size // 8
        x, y = encrypted[2 : 2 + size], encrypted[4 + size :]
        theirs = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), key.curve).public_key()
        own = key.public_key().public_numbers().x.to_bytes(size)
        return kdf_e(hash_name, key.exchange(ec.ECDH(), theirs), IDENTITY, x, own)


def ek(key: SigningKey | None = None, **changes: object) -> Object:
    """An endorsement key as the low-range templates have it; P-384 as the high range."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    large = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size == 384
    made = Object(
        key,
        EK_ATTRIBUTES,
        name_alg=SHA384 if large else SHA256,
        policy=bytes(48) if large else EK_POLICY,
        cipher_bits=256 if large else 128,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ak(key: SigningKey | None = None, **changes: object) -> Object:
    """An attestation key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    scheme = RSASSA if isinstance(key, rsa.RSAPrivateKey) else ECDSA
    return replace(Object(key, AK_ATTRIBUTES, scheme), **changes)  # type: ignore[arg-type]


def application_key(key: SigningKey | None = None, **changes: object) -> Object:
    """A key as the agent makes it for a certificate."""
    return replace(Object(key or ec.generate_private_key(ec.SECP256R1()), KEY_ATTRIBUTES), **changes)  # type: ignore[arg-type]


def _u16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2) for number in numbers)


def _point(point: ec.EllipticCurvePublicNumbers, octets: int) -> bytes:
    return tpm2b(point.x.to_bytes(octets)) + tpm2b(point.y.to_bytes(octets))


def _content(octets: bytes) -> bytes:
    size = int.from_bytes(octets[:2])
    if len(octets) != size + 2:
        raise ValueError("TPM_RC_SIZE")
    return octets[2:]
