"""The judge of TPM evidence: whether a key lives in one certain TPM, over values that were parsed before.

Nothing here knows how the evidence travelled, the time, or a database. Each function answers every finding, good and
bad: the first failure hides no other.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.attestation_checks import Check, Finding, Findings, Subject, failures
from keystead_enroll.domain.keys import PublicKey, check_key_policy, same_key
from keystead_enroll.domain.tpm_attest import (
    ATTEST_CERTIFY,
    ATTEST_CREATION,
    ECDSA,
    GENERATED,
    RSASSA,
    Attest,
    Certified,
    Clock,
    Created,
    CreationData,
    Signature,
)
from keystead_enroll.domain.tpm_public import ALG_AES, ALG_CFB, HASHES, SHA1, ObjectAttributes, TpmPublic

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 refused by SIGNATURE_HASH unless a policy allows it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ATTRIBUTES = ObjectAttributes


@dataclass(frozen=True)
class AttestationPolicy:
    """What an administrator decides. `allow_sha1` is for the attestation keys of old Windows versions."""

    allow_sha1: bool = False


class Standing(Enum):
    """What is known of an endorsement key: the level that a key reaches which it backs."""

    UNKNOWN = AssuranceLevel.ATTESTED
    LISTED = AssuranceLevel.LISTED
    VENDOR = AssuranceLevel.VENDOR


@dataclass(frozen=True)
class CreatedKey:
    """An attestation key, and what it says of its own making."""

    key: TpmPublic
    data: CreationData
    attest: Attest
    signature: Signature


@dataclass(frozen=True)
class CertifiedKey:
    """A key, and what an attestation key says of it."""

    key: TpmPublic
    attest: Attest
    signature: Signature


@dataclass(frozen=True)
class Question:
    """What the server asked: `qualifying_data` has to come back in a statement. `open` says that it was not answered
    before and has not expired."""

    qualifying_data: bytes
    open: bool


@dataclass(frozen=True)
class Challenge:
    """The secret that was sealed, and to which keys; `open` as in `Question`."""

    secret: bytes
    endorsement_name: bytes
    attestation_name: bytes
    open: bool


def judge_attestation_key(made: CreatedKey, policy: AttestationPolicy) -> Findings:
    """What can be said of an attestation key before its TPM proved itself (`judge_activation`)."""
    key, attest = made.key, made.attest
    digest = hashlib.new(key.name_alg, made.data.raw).digest()
    created = attest.attested if isinstance(attest.attested, Created) else None
    attributes = {
        Check.FIXED_TPM: (_ATTRIBUTES.FIXED_TPM, True),
        Check.FIXED_PARENT: (_ATTRIBUTES.FIXED_PARENT, True),
        Check.MADE_IN_TPM: (_ATTRIBUTES.SENSITIVE_DATA_ORIGIN, True),
        Check.NOT_DUPLICABLE: (_ATTRIBUTES.ENCRYPTED_DUPLICATION, False),
        Check.RESTRICTED: (_ATTRIBUTES.RESTRICTED, True),
        Check.SIGNS: (_ATTRIBUTES.SIGN, True),
        Check.DOES_NOT_DECRYPT: (_ATTRIBUTES.DECRYPT, False),
    }
    parameters = key.parameters
    has_scheme = parameters.scheme == (RSASSA if isinstance(key.public_key, rsa.RSAPublicKey) else ECDSA)
    has_hash = parameters.scheme_hash in HASHES or (parameters.scheme_hash == SHA1 and policy.allow_sha1)
    signature = _signature(key, attest, made.signature, policy)
    del signature[Check.SIGNATURE_HASH]  # which SCHEME_HASH and SIGNATURE_SCHEME imply
    if not has_scheme or not has_hash:
        del signature[Check.SIGNATURE_SCHEME]
    outcomes = {
        Check.MAGIC: attest.magic == GENERATED,
        Check.TYPE: attest.kind == ATTEST_CREATION,
        Check.NAME: created is None or hmac.compare_digest(created.name, key.name),
        Check.CREATION_HASH: created is None or hmac.compare_digest(created.creation_hash, digest),
        **_attributes(key, attributes),
        Check.USABLE: _usable(key),
        Check.STRONG: _strong(key.public_key),
        Check.SCHEME: has_scheme,
        Check.SCHEME_HASH: has_hash or not has_scheme,
        **signature,
    }
    return _findings(Subject.ATTESTATION_KEY, outcomes)


def judge_activation(challenge: Challenge, secret: bytes, endorsement: TpmPublic, attestation: TpmPublic) -> Findings:
    """Whether the TPM with both keys answered the challenge. Only together with `judge_attestation_key` does it tie
    the attestation key to the endorsement key."""
    outcomes = {
        Check.ACTIVATED: hmac.compare_digest(challenge.secret, secret),
        Check.NONCE_UNUSED: challenge.open,
        Check.CHALLENGED_KEYS: hmac.compare_digest(
            challenge.endorsement_name + challenge.attestation_name, endorsement.name + attestation.name
        ),
    }
    return _findings(Subject.ATTESTATION_KEY, outcomes)


def judge_endorsement_key(key: TpmPublic, *, denied: bool) -> Findings:
    """Whether a key is one that a secret may be sealed to. Whose it is, only its certificate or a list can say."""
    attributes = {
        Check.FIXED_TPM: (_ATTRIBUTES.FIXED_TPM, True),
        Check.FIXED_PARENT: (_ATTRIBUTES.FIXED_PARENT, True),
        Check.MADE_IN_TPM: (_ATTRIBUTES.SENSITIVE_DATA_ORIGIN, True),
        Check.POLICY: (_ATTRIBUTES.ADMIN_WITH_POLICY, True),
        Check.RESTRICTED: (_ATTRIBUTES.RESTRICTED, True),
        Check.DECRYPTS: (_ATTRIBUTES.DECRYPT, True),
        Check.DOES_NOT_SIGN: (_ATTRIBUTES.SIGN, False),
    }
    parameters = key.parameters
    aes = (parameters.cipher, parameters.cipher_mode) == (ALG_AES, ALG_CFB) and parameters.cipher_bits in (128, 256)
    outcomes = {
        **_attributes(key, attributes),
        Check.STORAGE_CIPHER: aes,
        Check.STRONG: _strong(key.public_key),
        Check.NOT_DENIED: not denied,
    }
    return _findings(Subject.ENDORSEMENT_KEY, outcomes)


def judge_certification(
    certified: CertifiedKey,
    attestation_key: TpmPublic | None,
    question: Question,
    request_key: PublicKey,
    policy: AttestationPolicy,
    last: Clock | None = None,
) -> Findings:
    """What an attestation key's word for a key is worth. `attestation_key` is the activated one that the evidence
    names, None if this machine has no such; `last` is the clock of its last statement."""
    key, attest = certified.key, certified.attest
    named = attest.attested if isinstance(attest.attested, Certified) else None
    attributes = {
        Check.FIXED_TPM: (_ATTRIBUTES.FIXED_TPM, True),
        Check.FIXED_PARENT: (_ATTRIBUTES.FIXED_PARENT, True),
        Check.MADE_IN_TPM: (_ATTRIBUTES.SENSITIVE_DATA_ORIGIN, True),
        Check.NOT_DUPLICABLE: (_ATTRIBUTES.ENCRYPTED_DUPLICATION, False),
        Check.UNRESTRICTED: (_ATTRIBUTES.RESTRICTED, False),
        Check.SIGNS: (_ATTRIBUTES.SIGN, True),
    }
    outcomes = {
        Check.MAGIC: attest.magic == GENERATED,
        Check.TYPE: attest.kind == ATTEST_CERTIFY,
        Check.NONCE: hmac.compare_digest(attest.extra_data, question.qualifying_data),
        Check.NONCE_UNUSED: question.open,
        Check.NAME: named is None or hmac.compare_digest(named.name, key.name),
        **_attributes(key, attributes),
        Check.USABLE: _usable(key),
        Check.STRONG: _strong(key.public_key),
        Check.REQUESTED_KEY: same_key(key.public_key, request_key),
        Check.SIGNER_KNOWN: attestation_key is not None,
    }
    if attestation_key is not None:
        outcomes |= _signature(attestation_key, attest, certified.signature, policy)
    if last is not None:
        outcomes[Check.CLOCK] = not _rolled_back(last, attest.clock)
        outcomes[Check.FIRMWARE] = last.firmware == attest.clock.firmware
    return _findings(Subject.KEY, outcomes)


def assurance(findings: Findings, standing: Standing) -> AssuranceLevel | None:
    """The level of a key that was certified by an activated attestation key, from the findings on both of them and on
    the endorsement key; None if one of them refuses it."""
    return None if failures(findings) else standing.value


def _attributes(key: TpmPublic, wanted: dict[Check, tuple[ObjectAttributes, bool]]) -> dict[Check, bool]:
    return {check: bool(key.attributes & attribute) is is_set for check, (attribute, is_set) in wanted.items()}


def _usable(key: TpmPublic) -> bool:
    return bool(key.attributes & _ATTRIBUTES.USER_WITH_AUTH or key.auth_policy)


def _strong(key: PublicKey) -> bool:
    try:
        check_key_policy(key)
    except Refusal:
        return False
    return True


def _signature(signer: TpmPublic, attest: Attest, signature: Signature, policy: AttestationPolicy) -> dict[Check, bool]:
    """The scheme is the attestation key's own, whatever the signature says: no downgrade."""
    parameters = signer.parameters
    weak = signature.hash_id == SHA1
    return {
        Check.SIGNATURE_SCHEME: (signature.scheme, signature.hash_id) == (parameters.scheme, parameters.scheme_hash),
        Check.SIGNATURE_HASH: not weak or policy.allow_sha1,
        Check.SHA1_NOT_NEEDED: not weak,
        Check.SIGNATURE: _verifies(signer.public_key, signature, attest.signed),
    }


def _verifies(key: PublicKey, signature: Signature, signed: bytes) -> bool:
    algorithm = _HASHES[signature.hash_name]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if signature.scheme != RSASSA:
                return False
            key.verify(signature.octets, signed, padding.PKCS1v15(), algorithm)
        else:
            if signature.scheme != ECDSA:
                return False
            key.verify(utils.encode_dss_signature(signature.r, signature.s), signed, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _rolled_back(last: Clock, now: Clock) -> bool:
    """Counts are blurred by a constant, modulo 2^32: their difference is what counts. Within one count of restarts the
    clock only rises."""
    resets = (now.reset_count - last.reset_count) % 2**32
    restarts = (now.restart_count - last.restart_count) % 2**32
    if resets or restarts:
        return resets >= 2**31 or (resets == 0 and restarts >= 2**31)
    return now.milliseconds < last.milliseconds


def _findings(subject: Subject, outcomes: dict[Check, bool]) -> Findings:
    return tuple(Finding(subject, check, held) for check, held in outcomes.items())
