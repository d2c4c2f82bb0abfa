"""What a TPM's keys say of other keys: attestations, the signatures over them, creation data; parsed exactly.

Structures: TCG "TPM 2.0 Library", Part 2 "Structures"; section numbers are those of revision 1.59. All big-endian.
A parser raises EvidenceMalformed (StructureTooShort, StructureTooLong) and judges nothing: whether magic, type, nonce
and Name are as they have to be is for `attestation` to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from keystead_enroll.domain.errors import EvidenceMalformed
from keystead_enroll.domain.tpm_public import ALG_NULL, HASHES, SHA1
from keystead_enroll.domain.tpm_reader import Reader, only_tpm2b, whole

GENERATED = 0xFF544347
"""TPM_GENERATED_VALUE (section 6.2): a restricted key signs nothing that begins so unless the TPM made it."""
ATTEST_CERTIFY = 0x8017
ATTEST_CREATION = 0x801A
RSASSA = 0x0014
ECDSA = 0x0018

MAX_ATTEST = 2048
MAX_SIGNATURE = 1024
MAX_CREATION_DATA = 2048
_MAX_PCR_BANKS = 16  # TPML_PCR_SELECTION (section 10.9.7)
_MAX_PCR_SELECT = 32
_MAX_NAME = 2 + 64
_HASH_NAMES = {SHA1: "sha1", **HASHES}


@dataclass(frozen=True)
class Clock:
    """TPMS_CLOCK_INFO (section 10.11.1) and the firmware's version. Of a key outside of the endorsement hierarchy the
    counts and the version are blurred by a number that is the same for all that this key signs (Part 1 section 36.7):
    only their differences mean something."""

    milliseconds: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware: int


@dataclass(frozen=True)
class Certified:
    """TPMS_CERTIFY_INFO (section 10.12.3): the Names of the key that was certified."""

    name: bytes
    qualified_name: bytes


@dataclass(frozen=True)
class Created:
    """TPMS_CREATION_INFO (section 10.12.6): the Name of the object that was made, and the digest of its creation
    data."""

    name: bytes
    creation_hash: bytes


@dataclass(frozen=True)
class Attest:
    """TPMS_ATTEST (section 10.12.8). `attested` is None for the types that nobody here asks for; `signed` is what the
    signature is over."""

    magic: int
    kind: int
    qualified_signer: bytes
    extra_data: bytes
    clock: Clock
    attested: Certified | Created | None
    signed: bytes


@dataclass(frozen=True)
class Signature:
    """TPMT_SIGNATURE (section 11.3.4), RSASSA or ECDSA. `hash_name` is hashlib's; an ECDSA signature has `r` and `s`,
    an RSASSA one `octets`."""

    scheme: int
    hash_id: int
    hash_name: str
    octets: bytes = b""
    r: int = 0
    s: int = 0


@dataclass(frozen=True)
class CreationData:
    """TPMS_CREATION_DATA (section 15.1), what of it tells something. `raw` is what the creation hash is over."""

    locality: int
    parent_name_alg: int
    parent_name: bytes
    parent_qualified_name: bytes
    outside_info: bytes
    raw: bytes


def parse_tpm2b_attest(data: bytes) -> Attest:
    """The TPM2B_ATTEST (section 10.12.9) that `data` is."""
    if len(data) > MAX_ATTEST:
        raise EvidenceMalformed("the attestation is too large")
    return parse_attest(only_tpm2b(data, "attestation"))


def parse_attest(data: bytes) -> Attest:
    """The TPMS_ATTEST that `data` is."""
    if len(data) > MAX_ATTEST:
        raise EvidenceMalformed("the attestation is too large")
    return whole(data, "attestation", lambda reader: _attest(reader, data))


def _attest(reader: Reader, data: bytes) -> Attest:
    magic, kind = reader.u32(), reader.u16()
    signer, extra = reader.tpm2b(), reader.tpm2b()
    milliseconds, resets, restarts = reader.u64(), reader.u32(), reader.u32()
    safe = reader.u8()
    if safe > 1:
        raise EvidenceMalformed("the attestation's clock is neither safe nor unsafe")
    clock = Clock(milliseconds, resets, restarts, bool(safe), reader.u64())
    attested: Certified | Created | None = None
    match kind:
        case 0x8017:
            attested = Certified(reader.tpm2b(), reader.tpm2b())
        case 0x801A:
            attested = Created(reader.tpm2b(), reader.tpm2b())
        case _:
            reader.take(len(reader.rest()))
    return Attest(magic, kind, signer, extra, clock, attested, data)


def parse_signature(data: bytes) -> Signature:
    """The TPMT_SIGNATURE that `data` is. Other schemes and hashes are malformed; SHA-1 is parsed."""
    if len(data) > MAX_SIGNATURE:
        raise EvidenceMalformed("the signature is too large")
    return whole(data, "signature", _signature)


def _signature(reader: Reader) -> Signature:
    scheme = reader.u16()
    if scheme not in (RSASSA, ECDSA):
        raise EvidenceMalformed(f"the signature's scheme {scheme:#06x} is neither RSASSA nor ECDSA")
    hash_id = reader.u16()
    if hash_id not in _HASH_NAMES:
        raise EvidenceMalformed(f"the signature's hash {hash_id:#06x} is unknown")
    if scheme == RSASSA:
        return Signature(scheme, hash_id, _HASH_NAMES[hash_id], octets=reader.tpm2b())
    r, s = reader.tpm2b(), reader.tpm2b()
    return Signature(scheme, hash_id, _HASH_NAMES[hash_id], r=int.from_bytes(r), s=int.from_bytes(s))


def parse_tpm2b_creation_data(data: bytes) -> CreationData:
    """The TPM2B_CREATION_DATA (section 15.2) that `data` is."""
    if len(data) > MAX_CREATION_DATA:
        raise EvidenceMalformed("the creation data is too large")
    content = only_tpm2b(data, "creation data")
    return whole(content, "creation data", lambda reader: _creation_data(reader, content))


def _creation_data(reader: Reader, raw: bytes) -> CreationData:
    banks = reader.u32()
    if banks > _MAX_PCR_BANKS:
        raise EvidenceMalformed("the creation data selects too many PCR banks")
    for _ in range(banks):
        reader.u16()
        octets = reader.u8()
        if octets > _MAX_PCR_SELECT:
            raise EvidenceMalformed("the creation data's PCR selection is too long")
        reader.take(octets)
    reader.tpm2b()  # pcrDigest
    locality, parent_name_alg = reader.u8(), reader.u16()
    if parent_name_alg != ALG_NULL and parent_name_alg not in _HASH_NAMES:
        raise EvidenceMalformed("the creation data's parent has an unknown name algorithm")
    parent, qualified, outside = reader.tpm2b(), reader.tpm2b(), reader.tpm2b()
    if len(parent) > _MAX_NAME or len(qualified) > _MAX_NAME:
        raise EvidenceMalformed("the creation data's parent has a Name that is too long")
    return CreationData(locality, parent_name_alg, parent, qualified, outside, raw)
