"""What the Platform Crypto Provider writes of the TPM's structures, as bytes. Every size is checked against what is
there; whatever does not fit is a ValueError. Nothing here is trusted: the server judges what it is sent.

Key attestation statements: [MS-WCCE] section 2.2.2.5. The key blob (PCP_KEY_BLOB_WIN8, PCP_20_KEY_BLOB) is not
documented by Microsoft; its layout is that of public tools which read it. The structures of the TPM are those of TCG
"TPM 2.0 Library" Part 2, big-endian. None of this has been seen on hardware by the makers of this file.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keystead_agent.keystore.base import PublicKey

LARGEST_BLOB = 65536
_TPM_20 = 2
"""PCPTYPE_TPM20, and the Platform of a statement."""
_KEY_MAGIC = 0x4D504350
"""PCP_KEY_MAGIC, "PCPM"."""
_KEY_HEADER = struct.Struct("<13I")
"""magic, header's size, kind of TPM, flags, then the sizes of: public, private, migration public, migration private,
policy digest list, PCR binding, PCR digest, encrypted secret, TPM 1.2 hostage blob."""
_CLAIM = struct.Struct("<7I")
"""KeyAttestationStatement: magic, version, platform, header's size, then the sizes of: id binding, key attestation,
AIK."""
_CLAIM_MAGIC, _CLAIM_VERSION = 0x5453414B, 1
_CERTIFIED = struct.Struct("<6I")
"""keyAttestation: magic, platform, header's size, then the sizes of: TPMS_ATTEST, signature, key blob."""
_CERTIFIED_MAGIC = 0x5344414B
_RECORD = struct.Struct("<3I")
"""A property of a serialized certificate: id, encoding, size."""
_CERTIFICATE_ID = 32
"""CERT_CERT_PROP_ID."""

_GENERATED, _CERTIFY = 0xFF544347, 0x8017
_RSA, _ECC, _NULL, _AES, _CFB, _RSASSA, _ECDSA = 0x0001, 0x0023, 0x0010, 0x0006, 0x0043, 0x0014, 0x0018
_SHA256 = 0x000B
_HASHES: dict[int, hashes.HashAlgorithm] = {
    0x0004: hashes.SHA1(),  # noqa: S303 what some versions of Windows make identities with; the server decides
    _SHA256: hashes.SHA256(),
    0x000C: hashes.SHA384(),
    0x000D: hashes.SHA512(),
}
_CURVES: dict[int, ec.EllipticCurve] = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1()}
_CLOCK_AND_FIRMWARE = 17 + 8
_ENDORSEMENT_ATTRIBUTES = 0x000300B2
"""fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt."""
_ENDORSEMENT_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicySecret of the endorsement hierarchy."""
_USUAL_EXPONENT = 65537


@dataclass(frozen=True)
class Binding:
    """PCP_TPM12_IDBINDING of a new identity in a TPM 2.0: its TPM2B_PUBLIC and TPM2B_CREATION_DATA, and the TPMS_ATTEST
    and TPMT_SIGNATURE of its creation."""

    public_area: bytes
    creation_data: bytes
    attest: bytes
    signature: bytes


@dataclass(frozen=True)
class Claim:
    """What NCryptCreateClaim writes for a key: the TPMS_ATTEST, the signature in the provider's form, and the key's
    TPM2B_PUBLIC."""

    attest: bytes
    signature: bytes
    public_area: bytes


@dataclass(frozen=True)
class Signer:
    """A key that signs in one way alone, as its public area says: TPM_ALG_ID of the scheme and of its hash."""

    key: PublicKey
    scheme: int
    hash_id: int

    def signature(self, written: bytes) -> bytes:
        """The TPMT_SIGNATURE of a signature of this key, written as one, or as the bare number or numbers."""
        size = (self.key.key_size + 7) // 8
        head = _u16(self.scheme, self.hash_id)
        if isinstance(self.key, rsa.RSAPublicKey) and len(written) == size:
            return head + _sized(written)
        if isinstance(self.key, ec.EllipticCurvePublicKey) and len(written) == 2 * size:
            return head + _sized(written[:size]) + _sized(written[size:])
        _signature_parts(written, self)
        return written

    def require_signed(self, signature: bytes, data: bytes) -> None:
        """Raises ValueError unless TPMT_SIGNATURE `signature` is this key's over `data`."""
        parts, algorithm = _signature_parts(signature, self), _HASHES[self.hash_id]
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(parts[0], data, padding.PKCS1v15(), algorithm)
            else:
                r, s = (int.from_bytes(part) for part in parts)
                self.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(algorithm))
        except InvalidSignature:
            raise ValueError("a signature that is not the identity's") from None


class _Octets:
    """Takes big-endian fields off the front of `data`, which is called `what`."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        taken = self._data[self.position : self.position + count]
        if len(taken) != count:
            raise ValueError(f"{self._what} that ends too early")
        self.position += count
        return taken

    def number(self, size: int) -> int:
        """An unsigned number of `size` octets."""
        return int.from_bytes(self.take(size))

    def sized(self) -> bytes:
        """The content of a TPM2B."""
        return self.take(self.number(2))

    def expect(self, *numbers: int) -> None:
        """Takes 16-bit numbers that have to be these."""
        if self.take(2 * len(numbers)) != _u16(*numbers):
            raise ValueError(f"{self._what} of an unknown kind")

    def end(self) -> None:
        """Nothing is left."""
        if self.position != len(self._data):
            raise ValueError(f"{self._what} with octets left over")


def key_public_area(blob: bytes) -> bytes:
    """The TPM2B_PUBLIC in the platform provider's blob of a key (OpaqueKeyBlob)."""
    if not _KEY_HEADER.size <= len(blob) <= LARGEST_BLOB:
        raise ValueError("a platform key blob of an impossible size")
    magic, header_size, kind, _, public_size, *others = _KEY_HEADER.unpack_from(blob)
    if magic != _KEY_MAGIC:
        raise ValueError("not a platform key blob")
    if kind != _TPM_20:
        raise ValueError("a platform key blob that is not of a TPM 2.0")
    if header_size < _KEY_HEADER.size or header_size + public_size + sum(others) > len(blob):
        raise ValueError("a platform key blob whose sizes do not fit its length")
    public = blob[header_size : header_size + public_size]
    if len(public) <= 2 or int.from_bytes(public[:2]) != len(public) - 2:
        raise ValueError("a platform key blob without a TPM2B_PUBLIC")
    return public


def binding(blob: bytes) -> Binding:
    """The four structures of PCP_TPM12_IDBINDING."""
    if len(blob) > LARGEST_BLOB or blob[:4] == b"\x01\x01\0\0":
        raise ValueError("an id binding that is not of a TPM 2.0")
    octets = _Octets(blob, "an id binding")
    public, creation, attest = octets.sized(), octets.sized(), octets.sized()
    if not (public and creation and attest):
        raise ValueError("an id binding with an empty structure")
    signature = blob[octets.position :]
    _signature_parts(signature, signer(_sized(public)))
    return Binding(_sized(public), _sized(creation), attest, signature)


def claim(blob: bytes) -> Claim:
    """The key attestation statement that `blob` is, to the octet."""
    if not _CLAIM.size + _CERTIFIED.size <= len(blob) <= LARGEST_BLOB:
        raise ValueError("a claim of an impossible size")
    magic, version, platform, header_size, binding_size, size, aik_size = _CLAIM.unpack_from(blob)
    if (magic, version, platform, header_size) != (_CLAIM_MAGIC, _CLAIM_VERSION, _TPM_20, _CLAIM.size):
        raise ValueError("a claim of an unknown kind")
    start = _CLAIM.size + binding_size
    if start + size + aik_size != len(blob) or size < _CERTIFIED.size:
        raise ValueError("a claim whose sizes do not fit its length")
    return _certified(blob[start : start + size])


def _certified(body: bytes) -> Claim:
    magic, platform, header_size, attest_size, signature_size, key_size = _CERTIFIED.unpack_from(body)
    if (magic, platform, header_size) != (_CERTIFIED_MAGIC, _TPM_20, _CERTIFIED.size):
        raise ValueError("a claim about a key of an unknown kind")
    if _CERTIFIED.size + attest_size + signature_size + key_size != len(body):
        raise ValueError("a claim about a key whose sizes do not fit its length")
    end_of_attest = _CERTIFIED.size + attest_size
    end_of_signature = end_of_attest + signature_size
    return Claim(
        attest=body[_CERTIFIED.size : end_of_attest],
        signature=body[end_of_attest:end_of_signature],
        public_area=key_public_area(body[end_of_signature:]),
    )


def require_certifies(attest: bytes, nonce: bytes, public_area: bytes) -> None:
    """Raises ValueError unless the TPMS_ATTEST certifies the key of this TPM2B_PUBLIC and has `nonce` in it."""
    octets = _Octets(attest, "a TPM's statement")
    if octets.number(4) != _GENERATED or octets.number(2) != _CERTIFY:
        raise ValueError("a TPM's statement of another kind")
    octets.sized()
    extra = octets.sized()
    octets.take(_CLOCK_AND_FIRMWARE)
    name = octets.sized()
    octets.sized()
    octets.end()
    if extra != nonce:
        raise ValueError("a TPM's statement without the server's nonce")
    if name != name_of(public_area):
        raise ValueError("a TPM's statement about another key")


def name_of(public_area: bytes) -> bytes:
    """The Name of the object with TPM2B_PUBLIC `public_area`, whose name algorithm is SHA-256 (Part 1 section 16)."""
    octets = _Octets(public_area, "a public area")
    area = octets.sized()
    octets.end()
    if area[2:4] != _u16(_SHA256):
        raise ValueError("a public area with a name algorithm other than SHA-256")
    return _u16(_SHA256) + hashlib.sha256(area).digest()


def signer(public_area: bytes) -> Signer:
    """The key of TPM2B_PUBLIC `public_area`, which signs with RSASSA or ECDSA alone."""
    octets = _Octets(public_area, "a public area")
    area = _Octets(octets.sized(), "a public area")
    octets.end()
    kind = area.number(2)
    area.take(2 + 4)  # name algorithm, attributes
    area.sized()  # policy
    if kind not in (_RSA, _ECC):
        raise ValueError("a public area that is neither of RSA nor of a curve")
    area.expect(_NULL, _RSASSA if kind == _RSA else _ECDSA)
    hash_id = area.number(2)
    if hash_id not in _HASHES:
        raise ValueError("a public area with an unknown hash")
    key = _rsa_key(area) if kind == _RSA else _ec_key(area)
    area.end()
    return Signer(key, _RSASSA if kind == _RSA else _ECDSA, hash_id)


def _rsa_key(area: _Octets) -> rsa.RSAPublicKey:
    bits, exponent, modulus = area.number(2), area.number(4) or _USUAL_EXPONENT, area.sized()
    if len(modulus) * 8 != bits:
        raise ValueError("a public area whose modulus has another length than it says")
    return rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus)).public_key()


def _ec_key(area: _Octets) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(area.number(2))
    area.expect(_NULL)
    x, y = area.sized(), area.sized()
    if curve is None or max(len(x), len(y)) > curve.key_size // 8:
        raise ValueError("a public area of an unknown curve")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()


def endorsement_area(key: rsa.RSAPublicKey) -> bytes:
    """The TPM2B_PUBLIC of the endorsement key whose public key is `key`: made by template L-1 of the TCG EK Credential
    Profile, as Windows makes it."""
    numbers = key.public_numbers()
    if key.key_size != 2048 or numbers.e != _USUAL_EXPONENT:
        raise ValueError("an endorsement key that is not of the usual template")
    head = _u16(_RSA, _SHA256) + _ENDORSEMENT_ATTRIBUTES.to_bytes(4) + _sized(_ENDORSEMENT_POLICY)
    parameters = _u16(_AES, 128, _CFB, _NULL, key.key_size) + bytes(4)
    return _sized(head + parameters + _sized(numbers.n.to_bytes(key.key_size // 8)))


def serialized_certificate(blob: bytes) -> bytes:
    """The DER in a serialized certificate: what the registry keeps of one in a store, a row of properties."""
    if len(blob) > LARGEST_BLOB:
        raise ValueError("a serialized certificate that is too large")
    position, found = 0, b""
    while position < len(blob):
        if len(blob) - position < _RECORD.size:
            raise ValueError("a serialized certificate that ends too early")
        number, _, size = _RECORD.unpack_from(blob, position)
        position += _RECORD.size
        if size > len(blob) - position:
            raise ValueError("a serialized certificate that ends too early")
        if number == _CERTIFICATE_ID:
            found = blob[position : position + size]
        position += size
    if not found:
        raise ValueError("a serialized certificate without a certificate")
    return found


def _signature_parts(signature: bytes, by: Signer) -> tuple[bytes, ...]:
    """The number of an RSASSA, the two of an ECDSA signature, of a TPMT_SIGNATURE of the scheme and hash of `by`."""
    octets = _Octets(signature, "a signature")
    octets.expect(by.scheme, by.hash_id)
    parts = (octets.sized(),) if by.scheme == _RSASSA else (octets.sized(), octets.sized())
    octets.end()
    return parts


def _sized(content: bytes) -> bytes:
    """A TPM2B."""
    return len(content).to_bytes(2) + content


def _u16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2) for number in numbers)
