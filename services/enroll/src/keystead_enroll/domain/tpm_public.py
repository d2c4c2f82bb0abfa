"""TPM public areas, parsed strictly, and what they say about where a key lives.

Structures: TCG "TPM 2.0 Library", Part 2 "Structures"; section numbers are those of revision 1.59. All big-endian.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keystead_contracts.agent import Evidence, SoftwareEvidence, TpmEvidence
from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Words
from keystead_enroll.domain.errors import EvidenceMalformed, EvidenceMismatch
from keystead_enroll.domain.keys import PublicKey, same_key
from keystead_enroll.domain.tpm_reader import Reader, decoded, only_tpm2b

MAX_PUBLIC_AREA = 2048
"""Octets; the largest here, RSA 4096 with a SHA-512 policy, has about 620."""

ALG_NULL = 0x0010
ALG_AES = 0x0006
ALG_CFB = 0x0043
HASHES = {0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
SHA1 = 0x0004
_SYMMETRIC_CIPHERS = frozenset({0x0006, 0x0013, 0x0026})  # AES, SM4, Camellia
_RSA_SCHEMES_WITH_HASH = frozenset({0x0014, 0x0016, 0x0017})  # RSASSA, RSAPSS, OAEP
_RSA_SCHEME_WITHOUT_HASH = 0x0015  # RSAES
_ECC_SCHEMES_WITH_HASH = frozenset({0x0018, 0x0019, 0x001B, 0x001C, 0x001D})  # ECDSA, ECDH, SM2, ECSCHNORR, ECMQV
_ECC_SCHEME_WITH_COUNT = 0x001A  # ECDAA
_KDFS = frozenset({0x0007, 0x0020, 0x0021, 0x0022})  # MGF1, KDF1_SP800_56A, KDF2, KDF1_SP800_108
CURVES: dict[int, ec.EllipticCurve] = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1()}
_DEFAULT_RSA_EXPONENT = 65537  # what an exponent field of zero means, section 12.2.3.5


class ObjectType(IntEnum):
    """TPMI_ALG_PUBLIC (section 12.2.2), the two asymmetric ones."""

    RSA = 0x0001
    ECC = 0x0023


class ObjectAttributes(IntFlag):
    """TPMA_OBJECT (section 8.3.2)."""

    FIXED_TPM = 1 << 1
    ST_CLEAR = 1 << 2
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    FIRMWARE_LIMITED = 1 << 8
    SVN_LIMITED = 1 << 9
    NO_DA = 1 << 10
    ENCRYPTED_DUPLICATION = 1 << 11
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18
    X509_SIGN = 1 << 19


_DEFINED_BITS = sum(ObjectAttributes)


@dataclass(frozen=True)
class Parameters:
    """How a TPM uses an object (TPMU_PUBLIC_PARMS, section 12.2.3.7), as the numbers of TPM_ALG_ID (section 6.3).

    `scheme` and `scheme_hash` are the key's own signing or decrypting scheme; `cipher`, `cipher_bits` and
    `cipher_mode` protect what a storage key is the parent of. What there is not is TPM_ALG_NULL, or 0 for
    `cipher_bits`.
    """

    scheme: int = ALG_NULL
    scheme_hash: int = ALG_NULL
    cipher: int = ALG_NULL
    cipher_bits: int = 0
    cipher_mode: int = ALG_NULL


@dataclass(frozen=True)
class TpmPublic:
    """A TPM object's public area (TPMT_PUBLIC, section 12.2.4). `name_alg` is a hashlib name; `name` is the object's
    Name: two octets of algorithm and the digest over the public area (Part 1, section 16)."""

    object_type: ObjectType
    name_alg: str
    attributes: ObjectAttributes
    auth_policy: bytes
    public_key: PublicKey
    name: bytes
    parameters: Parameters


class Reason(Enum):
    """Why a key got its assurance level. The value is the sentence that people read."""

    KEY_IS_A_FILE = Words("The key is a file on the machine, as an administrator's policy allowed.")
    PUBLIC_AREA_HAS_CSR_KEY = Words("The agent sent a TPM public area, and its key is the request's key.")
    CANNOT_LEAVE_TPM = Words("The public area says that the key cannot leave the TPM (fixedTPM, fixedParent).")
    MADE_IN_TPM = Words("The public area says that the TPM made the key itself (sensitiveDataOrigin).")
    SIGNS_ANY_DATA = Words("The public area says that the key signs what it is given (sign, not restricted).")
    CREATION_DATA_CONSISTENT = Words("The creation data has the digest that was sent with it.")
    NOT_ATTESTED = Words("No other key of the TPM vouched for this: it is the agent's word.")

    @property
    def sentence(self) -> str:
        """The reason for a person to read."""
        return self.value


@dataclass(frozen=True)
class Judgement:
    """How sure the service is of the key's residency, and why."""

    level: AssuranceLevel
    reasons: tuple[Reason, ...]


_REQUIRED = (
    (ObjectAttributes.FIXED_TPM, True, "fixedTPM is clear: the key could be moved to another TPM"),
    (ObjectAttributes.FIXED_PARENT, True, "fixedParent is clear: the key could be duplicated"),
    (
        ObjectAttributes.SENSITIVE_DATA_ORIGIN,
        True,
        "sensitiveDataOrigin is clear: the key was made elsewhere and imported",
    ),
    (ObjectAttributes.SIGN, True, "sign is clear: the key cannot sign"),
    (ObjectAttributes.RESTRICTED, False, "restricted is set: the key signs only what the TPM itself made"),
    (ObjectAttributes.ENCRYPTED_DUPLICATION, False, "encryptedDuplication is set on a key that is said to be fixed"),
)


def judge(evidence: Evidence, csr_public_key: PublicKey) -> Judgement:
    """The assurance level of a request's key.

    Raises EvidenceMalformed if the evidence does not parse, EvidenceMismatch if it is about another key, contradicts
    itself, or shows a key that could leave the TPM.
    """
    match evidence:
        case SoftwareEvidence():
            return Judgement(AssuranceLevel.SOFTWARE, (Reason.KEY_IS_A_FILE,))
        case TpmEvidence():
            return _judge_tpm(evidence, csr_public_key)


def _judge_tpm(evidence: TpmEvidence, csr_public_key: PublicKey) -> Judgement:
    public = parse_tpm2b_public(decoded(evidence.public_area, "public area"))
    if not same_key(public.public_key, csr_public_key):
        raise EvidenceMismatch("the TPM public area is that of another key than the request's")
    for attribute, wanted, meaning in _REQUIRED:
        if bool(public.attributes & attribute) is not wanted:
            raise EvidenceMismatch(f"the TPM public area does not show a key that is bound to the TPM: {meaning}")
    reasons = [Reason.PUBLIC_AREA_HAS_CSR_KEY, Reason.CANNOT_LEAVE_TPM, Reason.MADE_IN_TPM, Reason.SIGNS_ANY_DATA]
    if evidence.creation_data or evidence.creation_hash:
        _check_creation(evidence, public.name_alg)
        reasons.append(Reason.CREATION_DATA_CONSISTENT)
    return Judgement(AssuranceLevel.CLAIMED, (*reasons, Reason.NOT_ATTESTED))


def _check_creation(evidence: TpmEvidence, name_alg: str) -> None:
    """The creation hash is the nameAlg digest over TPMS_CREATION_DATA (Part 3, TPM2_Create)."""
    data = only_tpm2b(decoded(evidence.creation_data, "creation data"), "creation data")
    digest = only_tpm2b(decoded(evidence.creation_hash, "creation hash"), "creation hash")
    if not hmac.compare_digest(hashlib.new(name_alg, data).digest(), digest):
        raise EvidenceMismatch("the creation hash is not the digest of the creation data")


def parse_tpm2b_public(data: bytes) -> TpmPublic:
    """The TPM2B_PUBLIC (section 12.2.5) that `data` is, of an RSA or P-256 or P-384 key.

    Raises EvidenceMalformed for trailing or missing octets, reserved bits, unknown algorithms, lengths that do not
    fit the algorithm, and points that are not on their curve.
    """
    if len(data) > MAX_PUBLIC_AREA:
        raise EvidenceMalformed("the TPM public area is too large")
    area = only_tpm2b(data, "TPM public area")
    reader = Reader(area)
    object_type = reader.u16()
    name_alg_id = reader.u16()
    if name_alg_id not in HASHES:
        raise EvidenceMalformed(f"the TPM object's name algorithm {name_alg_id:#06x} is none of SHA-256, -384, -512")
    name_alg = HASHES[name_alg_id]
    bits = reader.u32()
    if bits & ~_DEFINED_BITS:
        raise EvidenceMalformed("the TPM object's attributes have reserved bits set")
    digest_size = hashlib.new(name_alg).digest_size
    auth_policy = reader.tpm2b()
    if len(auth_policy) not in (0, digest_size):
        raise EvidenceMalformed("the TPM object's policy does not have the size of its name algorithm's digest")
    public_key: PublicKey
    match object_type:
        case ObjectType.RSA:
            parameters, public_key = _rsa(reader)
        case ObjectType.ECC:
            parameters, public_key = _ecc(reader)
        case _:
            raise EvidenceMalformed(f"the TPM object's type {object_type:#06x} is neither RSA nor ECC")
    reader.end("TPM public area")
    name = name_alg_id.to_bytes(2) + hashlib.new(name_alg, area).digest()
    return TpmPublic(
        ObjectType(object_type), name_alg, ObjectAttributes(bits), auth_policy, public_key, name, parameters
    )


def _rsa(reader: Reader) -> tuple[Parameters, rsa.RSAPublicKey]:
    """TPMS_RSA_PARMS (section 12.2.3.5) and TPM2B_PUBLIC_KEY_RSA (section 11.2.4.5)."""
    cipher = _symmetric(reader)
    scheme, scheme_hash = reader.u16(), ALG_NULL
    if scheme in _RSA_SCHEMES_WITH_HASH:
        scheme_hash = reader.u16()
    elif scheme not in (_RSA_SCHEME_WITHOUT_HASH, ALG_NULL):
        raise EvidenceMalformed(f"the TPM object's RSA scheme {scheme:#06x} is unknown")
    key_bits = reader.u16()
    exponent = reader.u32() or _DEFAULT_RSA_EXPONENT
    modulus_octets = reader.tpm2b()
    modulus = int.from_bytes(modulus_octets)
    if len(modulus_octets) * 8 != key_bits or modulus.bit_length() != key_bits:
        raise EvidenceMalformed("the TPM object's RSA modulus does not have the size that its parameters say")
    try:
        return Parameters(scheme, scheme_hash, *cipher), rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise EvidenceMalformed("the TPM object's RSA key is no RSA key") from None


def _ecc(reader: Reader) -> tuple[Parameters, ec.EllipticCurvePublicKey]:
    """TPMS_ECC_PARMS (section 12.2.3.6) and TPMS_ECC_POINT (section 11.2.5.2)."""
    cipher = _symmetric(reader)
    scheme, scheme_hash = reader.u16(), ALG_NULL
    if scheme in _ECC_SCHEMES_WITH_HASH:
        scheme_hash = reader.u16()
    elif scheme == _ECC_SCHEME_WITH_COUNT:
        scheme_hash = reader.u16()
        reader.u16()
    elif scheme != ALG_NULL:
        raise EvidenceMalformed(f"the TPM object's ECC scheme {scheme:#06x} is unknown")
    curve_id = reader.u16()
    curve = CURVES.get(curve_id)
    if curve is None:
        raise EvidenceMalformed(f"the TPM object's curve {curve_id:#06x} is neither P-256 nor P-384")
    kdf = reader.u16()
    if kdf in _KDFS:
        reader.u16()
    elif kdf != ALG_NULL:
        raise EvidenceMalformed(f"the TPM object's key derivation {kdf:#06x} is unknown")
    x, y = reader.tpm2b(), reader.tpm2b()
    size = (curve.key_size + 7) // 8
    if not 0 < len(x) <= size or not 0 < len(y) <= size:
        raise EvidenceMalformed("the TPM object's point does not have the size of its curve")
    try:
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
        return Parameters(scheme, scheme_hash, *cipher), point.public_key()
    except ValueError:
        raise EvidenceMalformed("the TPM object's point is not on its curve") from None


def _symmetric(reader: Reader) -> tuple[int, int, int]:
    """TPMT_SYM_DEF_OBJECT (section 11.1.7): a storage key's cipher, its key's bits and its mode, or NULL."""
    cipher = reader.u16()
    if cipher in _SYMMETRIC_CIPHERS:
        return cipher, reader.u16(), reader.u16()
    if cipher != ALG_NULL:
        raise EvidenceMalformed(f"the TPM object's symmetric cipher {cipher:#06x} is unknown")
    return cipher, 0, ALG_NULL
