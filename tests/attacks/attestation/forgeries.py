"""TPM evidence that is wrong in one place and right in all others: a sample for every check of the judge.

    python -m tests.attacks.attestation.forgeries

prints each check, its sample, and the reason that the judge gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509
from tests.support import software_tpm as soft
from tests.support import tpm_maker
from tests.support.software_tpm import Object, SoftwareTpm
from tests.support.tpm_maker import NOW, YEAR, Authority, ek_extensions, replaced
from tests.unit.enroll_pki.samples import roca_key

from keystead_contracts.attestation import qualifying_data
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    CertifiedKey,
    Challenge,
    CreatedKey,
    Question,
    judge_activation,
    judge_attestation_key,
    judge_certification,
    judge_endorsement_key,
)
from keystead_enroll.domain.attestation_checks import Check, Findings
from keystead_enroll.domain.endorsement import EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate, read_stored
from keystead_enroll.domain.keys import spki_der, spki_sha256
from keystead_enroll.domain.revocation_lists import read_revocation_list, revoked_by
from keystead_enroll.domain.tpm_attest import Clock, parse_signature, parse_tpm2b_attest, parse_tpm2b_creation_data
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

NONCE, ORDER = bytes(range(32)), "0" * 31 + "1"
TPM, OTHER_TPM = SoftwareTpm(), SoftwareTpm()
KEY, OTHER_KEY = soft.application_key(), soft.application_key()
SHA1_AK = soft.ak(soft.rsa_key(2048, 80), scheme_hash=soft.SHA1)
STRICT = AttestationPolicy()
ROOT = Authority.root()
CA = ROOT.authority()
FAKE = Authority.root("Self-made", which=92)
EK = TPM.endorsement
LAST = Clock(900, 7, 1, True, 0x0001000200030004)


def qualified(key: Object, nonce: bytes = NONCE, order: str = ORDER) -> bytes:
    """The qualifying data for `key`."""
    return qualifying_data(nonce, order, spki_der(key.key.public_key()))


def certification(
    key: Object = KEY,
    tpm: SoftwareTpm = TPM,
    *,
    signer: Object | None = TPM.attestation,
    extra: bytes | None = None,
    public: Object | None = None,
    request: Object | None = None,
    is_open: bool = True,
    signature: bytes | None = None,
    policy: AttestationPolicy = STRICT,
    **changes: object,
) -> Findings:
    """The judgement of a key that `tpm` certified. `public` is the public area that comes with it, `request` what the
    CSR is for, `signer` the attestation key that the server knows."""
    asked = qualified(request or key)
    octets, signed = tpm.certify(key, asked if extra is None else extra, **changes)
    certified = CertifiedKey(
        parse_tpm2b_public((public or key).public), parse_tpm2b_attest(octets), parse_signature(signature or signed)
    )
    known = parse_tpm2b_public(signer.public) if signer else None
    request_key = (request or key).key.public_key()
    return judge_certification(certified, known, Question(asked, is_open), request_key, policy, LAST)


def creation(
    tpm: SoftwareTpm = TPM,
    *,
    data: bytes | None = None,
    signature: bytes | None = None,
    policy: AttestationPolicy = STRICT,
    **changes: object,
) -> Findings:
    """The judgement of an attestation key that `tpm` made."""
    made, attest, signed = tpm.creation(**changes)
    created = CreatedKey(
        parse_tpm2b_public(tpm.attestation.public),
        parse_tpm2b_creation_data(data or made),
        parse_tpm2b_attest(attest),
        parse_signature(signature or signed),
    )
    return judge_attestation_key(created, policy)


def made(**changes: object) -> Findings:
    """The judgement of an attestation key with another public area."""
    return creation(SoftwareTpm(EK, replace(TPM.attestation, **changes)))  # type: ignore[arg-type]


def activation(secret: bytes = NONCE, *, is_open: bool = True, tpm: SoftwareTpm = TPM) -> Findings:
    """The judgement of an answer to a challenge that was for TPM's keys and NONCE."""
    challenge = Challenge(NONCE, EK.name, TPM.attestation.name, is_open)
    keys = (parse_tpm2b_public(tpm.endorsement.public), parse_tpm2b_public(tpm.attestation.public))
    return judge_activation(challenge, secret, *keys)


def endorsement_key(key: Object = EK, *, denied: bool = False, **changes: object) -> Findings:
    """The judgement of an endorsement key with another public area."""
    return judge_endorsement_key(parse_tpm2b_public(replace(key, **changes).public), denied=denied)  # type: ignore[arg-type]


def certificate(
    der: bytes, *others: bytes, root: Authority = ROOT, key: Object = EK, lists: Sequence[tuple[Authority, bytes]] = ()
) -> Findings:
    """The judgement of an endorsement certificate; `lists`: what authorities have revoked."""
    stored = read_stored([(0x01C0000A, der), *((0x01C00100 + number, each) for number, each in enumerate(others))])
    signed = [(read_revocation_list(each), read_certificate(authority.der)) for authority, each in lists]
    policy = EndorsementPolicy([read_certificate(root.der)], revoked=revoked_by(signed))
    return judge_endorsement(parse_tpm2b_public(key.public), stored, policy, NOW).certificate_findings


def listed(*, is_listed: bool) -> Findings:
    """The judgement of an endorsement key without a certificate."""
    policy = EndorsementPolicy(listed=frozenset({spki_sha256(EK.key.public_key())} if is_listed else ()))
    return judge_endorsement(parse_tpm2b_public(EK.public), [], policy, NOW).findings


def _without(attributes: int, bit: int) -> int:
    return attributes & ~bit


def _with_extension(*new: tuple[x509.ExtensionType, bool]) -> Findings:
    return certificate(CA.certify(EK.key, replaced(ek_extensions(), *new)), CA.der)


HONEST: dict[str, Callable[[], Findings]] = {
    "certification": certification,
    "attestation key": creation,
    "activation": activation,
    "endorsement key": lambda: listed(is_listed=True),
    "certificate": lambda: certificate(CA.certify(EK.key), CA.der, lists=[(CA, CA.revoked(7)), (ROOT, ROOT.revoked())]),
}
"""Evidence in which everything holds."""


@dataclass(frozen=True)
class Forgery:
    """A sample for one check; `what` is for the table."""

    judged: str
    check: Check
    what: str
    judge: Callable[[], Findings]


_OWNED = soft.KEY_ATTRIBUTES
_AK, _EK = soft.AK_ATTRIBUTES, soft.EK_ATTRIBUTES
_DUPLICABLE = 1 << 11


def _key(**changes: object) -> Callable[[], Findings]:
    return lambda: certification(replace(KEY, **changes))  # type: ignore[arg-type]


def _attestation(**changes: object) -> Callable[[], Findings]:
    return lambda: made(**changes)


def _endorsement(**changes: object) -> Callable[[], Findings]:
    return lambda: endorsement_key(**changes)  # type: ignore[arg-type]


_C, _A, _V, _E, _X = HONEST
FORGERIES = [
    # a key for a certificate
    Forgery(_C, Check.MAGIC, "a statement that the TPM did not make", lambda: certification(magic=0xFF544346)),
    Forgery(_C, Check.TYPE, "a quote", lambda: certification(kind=soft.QUOTE)),
    Forgery(_C, Check.TYPE, "a creation", lambda: certification(kind=soft.CREATION)),
    Forgery(_C, Check.NONCE, "of an earlier nonce", lambda: certification(extra=qualified(KEY, bytes(32)))),
    Forgery(_C, Check.NONCE, "of another order", lambda: certification(extra=qualified(KEY, order="0" * 32))),
    Forgery(_C, Check.NONCE, "for another key", lambda: certification(extra=qualified(OTHER_KEY))),
    Forgery(_C, Check.NONCE, "without a nonce", lambda: certification(extra=b"")),
    Forgery(_C, Check.NONCE_UNUSED, "a second time", lambda: certification(is_open=False)),
    Forgery(_C, Check.NAME, "a software key claimed as a TPM key", lambda: certification(first=OTHER_KEY.name)),
    Forgery(_C, Check.NAME, "another name algorithm", lambda: certification(first=b"\0\x0c" + KEY.name[2:])),
    Forgery(_C, Check.FIXED_TPM, "exportable", _key(attributes=_without(_OWNED, soft.FIXED_TPM))),
    Forgery(_C, Check.FIXED_PARENT, "can be duplicated", _key(attributes=_without(_OWNED, soft.FIXED_PARENT))),
    Forgery(_C, Check.MADE_IN_TPM, "imported", _key(attributes=_without(_OWNED, soft.ORIGIN))),
    Forgery(_C, Check.NOT_DUPLICABLE, "encryptedDuplication", _key(attributes=_OWNED | _DUPLICABLE)),
    Forgery(_C, Check.UNRESTRICTED, "restricted", _key(attributes=_OWNED | soft.RESTRICTED)),
    Forgery(_C, Check.SIGNS, "cannot sign", _key(attributes=_without(_OWNED, soft.SIGN))),
    Forgery(_C, Check.USABLE, "no password, no policy", _key(attributes=_without(_OWNED, soft.USER_WITH_AUTH))),
    Forgery(_C, Check.STRONG, "RSA 1024", _key(key=soft.rsa_key(1024))),
    Forgery(_C, Check.STRONG, "ROCA", lambda: certification(replace(KEY, key=roca_key()))),
    Forgery(_C, Check.REQUESTED_KEY, "other CSR key", lambda: certification(request=OTHER_KEY)),
    Forgery(_C, Check.SIGNER_KNOWN, "an unknown attestation key", lambda: certification(signer=None)),
    Forgery(_C, Check.SIGNATURE, "the key of another TPM", lambda: certification(tpm=OTHER_TPM)),
    Forgery(_C, Check.SIGNATURE, "over another statement", lambda: certification(signature=TPM.sign(b"other"))),
    Forgery(
        _C,
        Check.SIGNATURE_SCHEME,
        "another hash than the attestation key's",
        lambda: certification(signature=_resigned(soft.SHA384)),
    ),
    Forgery(
        _C,
        Check.SIGNATURE_HASH,
        "SHA-1",
        lambda: certification(tpm=SoftwareTpm(EK, SHA1_AK), signer=SHA1_AK),
    ),
    Forgery(
        _C,
        Check.SHA1_NOT_NEEDED,
        "SHA-1, as a policy allows",
        lambda: certification(tpm=SoftwareTpm(EK, SHA1_AK), signer=SHA1_AK, policy=AttestationPolicy(allow_sha1=True)),
    ),
    Forgery(_C, Check.CLOCK, "an earlier clock", lambda: certification(milliseconds=899)),
    Forgery(_C, Check.CLOCK, "fewer resets", lambda: certification(resets=6)),
    Forgery(_C, Check.CLOCK, "fewer restarts", lambda: certification(restarts=0)),
    Forgery(_C, Check.FIRMWARE, "other firmware", lambda: certification(firmware=1)),
    # an attestation key
    Forgery(_A, Check.MAGIC, "a statement that the TPM did not make", lambda: creation(magic=0)),
    Forgery(_A, Check.TYPE, "a certification", lambda: creation(kind=soft.CERTIFY)),
    Forgery(_A, Check.NAME, "of another key", lambda: creation(first=KEY.name)),
    Forgery(
        _A,
        Check.CREATION_HASH,
        "other creation data",
        lambda: creation(data=soft.tpm2b(soft.creation_data(b"outside"))),
    ),
    Forgery(_A, Check.FIXED_TPM, "exportable", _attestation(attributes=_without(_AK, soft.FIXED_TPM))),
    Forgery(_A, Check.FIXED_PARENT, "can be duplicated", _attestation(attributes=_without(_AK, soft.FIXED_PARENT))),
    Forgery(_A, Check.MADE_IN_TPM, "imported", _attestation(attributes=_without(_AK, soft.ORIGIN))),
    Forgery(_A, Check.NOT_DUPLICABLE, "encryptedDuplication", _attestation(attributes=_AK | _DUPLICABLE)),
    Forgery(_A, Check.RESTRICTED, "signs anything", _attestation(attributes=_without(_AK, soft.RESTRICTED))),
    Forgery(_A, Check.SIGNS, "cannot sign", _attestation(attributes=_without(_AK, soft.SIGN))),
    Forgery(_A, Check.DOES_NOT_DECRYPT, "decrypts", _attestation(attributes=_AK | soft.DECRYPT)),
    Forgery(_A, Check.USABLE, "no password", _attestation(attributes=_without(_AK, soft.USER_WITH_AUTH))),
    Forgery(_A, Check.STRONG, "RSA 1024", lambda: creation(SoftwareTpm(EK, soft.ak(soft.rsa_key(1024))))),
    Forgery(_A, Check.SCHEME, "no scheme", lambda: creation(_unlike(scheme=soft.NULL))),
    Forgery(_A, Check.SCHEME, "ECSCHNORR", lambda: creation(_unlike(scheme=0x1C))),
    Forgery(
        _A,
        Check.SCHEME_HASH,
        "SHA-1",
        lambda: creation(_unlike(scheme_hash=soft.SHA1), signature=_made_by(_unlike(scheme_hash=soft.SHA1))),
    ),
    Forgery(
        _A,
        Check.SHA1_NOT_NEEDED,
        "SHA-1, as a policy allows",
        lambda: creation(SoftwareTpm(EK, SHA1_AK), policy=AttestationPolicy(allow_sha1=True)),
    ),
    Forgery(
        _A, Check.SIGNATURE_SCHEME, "another hash than its own", lambda: creation(signature=_made_by(TPM, soft.SHA384))
    ),
    Forgery(_A, Check.SIGNATURE, "by another key", lambda: creation(signature=OTHER_TPM.sign(b"other"))),
    # a challenge
    Forgery(_V, Check.ACTIVATED, "another secret", lambda: activation(bytes(32))),
    Forgery(_V, Check.ACTIVATED, "a shorter secret", lambda: activation(NONCE[:-1])),
    Forgery(_V, Check.NONCE_UNUSED, "a second time", lambda: activation(is_open=False)),
    Forgery(
        _V,
        Check.CHALLENGED_KEYS,
        "an attestation key of another TPM",
        lambda: activation(tpm=SoftwareTpm(EK, OTHER_TPM.attestation)),
    ),
    Forgery(
        _V,
        Check.CHALLENGED_KEYS,
        "another endorsement key",
        lambda: activation(tpm=SoftwareTpm(OTHER_TPM.endorsement, TPM.attestation)),
    ),
    # an endorsement key
    Forgery(_E, Check.FIXED_TPM, "exportable", _endorsement(attributes=_without(_EK, soft.FIXED_TPM))),
    Forgery(_E, Check.FIXED_PARENT, "can be duplicated", _endorsement(attributes=_without(_EK, soft.FIXED_PARENT))),
    Forgery(_E, Check.MADE_IN_TPM, "imported", _endorsement(attributes=_without(_EK, soft.ORIGIN))),
    Forgery(_E, Check.POLICY, "no policy", _endorsement(attributes=_without(_EK, soft.ADMIN_WITH_POLICY))),
    Forgery(_E, Check.RESTRICTED, "decrypts anything", _endorsement(attributes=_without(_EK, soft.RESTRICTED))),
    Forgery(_E, Check.DECRYPTS, "cannot decrypt", _endorsement(attributes=_without(_EK, soft.DECRYPT))),
    Forgery(_E, Check.DOES_NOT_SIGN, "signs", _endorsement(attributes=_EK | soft.SIGN)),
    Forgery(_E, Check.STORAGE_CIPHER, "CBC", _endorsement(mode=0x42)),
    Forgery(_E, Check.STORAGE_CIPHER, "no cipher", _endorsement(cipher_bits=0)),
    Forgery(_E, Check.STRONG, "ROCA", lambda: endorsement_key(soft.ek(roca_key()))),
    Forgery(_E, Check.NOT_DENIED, "refused here", _endorsement(denied=True)),
    Forgery(_E, Check.LISTED, "not on the list", lambda: listed(is_listed=False)),
    # its certificate
    Forgery(_X, Check.READABLE, "none", lambda: certificate(b"")),
    Forgery(_X, Check.READABLE, "noise", lambda: certificate(b"\x30\x03abc")),
    Forgery(_X, Check.CERTIFIED_KEY, "that of another TPM", lambda: certificate(CA.certify(soft.ek().key), CA.der)),
    Forgery(
        _X,
        Check.VERSION,
        "version 2",
        lambda: certificate(CA.resigned(CA.certify(EK.key), _of_version_2), CA.der),
    ),
    Forgery(_X, Check.END_ENTITY, "a CA's", lambda: _with_extension((x509.BasicConstraints(True, 0), True))),
    Forgery(_X, Check.KEY_USAGE, "key usage", lambda: _with_extension(tpm_maker.key_usage("digital_signature"))),
    Forgery(
        _X,
        Check.PURPOSE,
        "a server's",
        lambda: _with_extension((x509.ExtendedKeyUsage([tpm_maker.SERVER_PURPOSE]), False)),
    ),
    Forgery(_X, Check.TPM_NAMED, "no model", lambda: certificate(CA.certify(EK.key, ek_extensions(names=1)), CA.der)),
    Forgery(_X, Check.CHAIN, "made by oneself", lambda: certificate(FAKE.certify(EK.key), FAKE.der)),
    Forgery(_X, Check.CHAIN, "intermediate left out", lambda: certificate(CA.certify(EK.key))),
    Forgery(
        _X,
        Check.CHAIN,
        "with the name of the authority, not its key",
        lambda: certificate(replace(FAKE, name=CA.name).certify(EK.key), CA.der),
    ),
    Forgery(_X, Check.ISSUERS, "by an endorsement key", lambda: _under(tpm_maker.authority_extensions(None, False))),
    Forgery(
        _X,
        Check.ISSUERS,
        "by an authority for revocation lists",
        lambda: _under(replaced(tpm_maker.authority_extensions(0), tpm_maker.key_usage("crl_sign"))),
    ),
    Forgery(_X, Check.PATH_LENGTH, "one authority too many", lambda: _too_long()),
    Forgery(_X, Check.VALIDITY, "expired", lambda: certificate(CA.certify(EK.key, until=-timedelta(days=1)), CA.der)),
    Forgery(_X, Check.VALIDITY, "not yet valid", lambda: certificate(CA.certify(EK.key, since=YEAR / 2), CA.der)),
    Forgery(_X, Check.VALIDITY, "an expired authority", lambda: _under(None, until=-timedelta(days=1))),
    Forgery(
        _X,
        Check.VALIDITY,
        "an expired root",
        lambda: _rooted(Authority.root(until=-timedelta(days=1))),
    ),
    Forgery(_X, Check.NOT_REVOKED, "revoked", lambda: _revoked(CA.certify(EK.key))),
    Forgery(_X, Check.NOT_REVOKED, "of a revoked authority", lambda: _revoked(CA.der, ROOT)),
    Forgery(
        _X,
        Check.CRITICAL_EXTENSIONS,
        "something critical",
        lambda: _with_extension((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)),
    ),
    Forgery(_X, Check.CHAIN_HASH, "SHA-1", lambda: certificate(CA.resigned_with_sha1(CA.certify(EK.key)), CA.der)),
]


def _resigned(hash_id: int) -> bytes:
    octets, _ = TPM.certify(KEY, qualified(KEY))
    return soft.signature(TPM.attestation.key, octets[2:], hash_id)


def _unlike(**changes: object) -> SoftwareTpm:
    """TPM, with another scheme of its attestation key."""
    return SoftwareTpm(EK, replace(TPM.attestation, **changes))  # type: ignore[arg-type]


def _made_by(tpm: SoftwareTpm, hash_id: int = soft.SHA256) -> bytes:
    """The signature over the creation of the attestation key, with this hash."""
    return soft.signature(tpm.attestation.key, tpm.creation()[1][2:], hash_id)


def _of_version_2(tbs: bytes) -> bytes:
    return tbs.replace(b"\xa0\3\2\1\2", b"\xa0\3\2\1\1")


def _under(extensions: list[tuple[x509.ExtensionType, bool]] | None, **changes: timedelta) -> Findings:
    authority = ROOT.authority(extensions, **changes)
    return certificate(authority.certify(EK.key), authority.der)


def _rooted(root: Authority) -> Findings:
    authority = root.authority()
    return certificate(authority.certify(EK.key), authority.der, root=root)


def _revoked(der: bytes, by: Authority = CA) -> Findings:
    """The judgement of a certificate or one under it after `by` has revoked `der`."""
    own = der if by is CA else CA.certify(EK.key)
    return certificate(own, CA.der, lists=[(by, by.revoked(read_certificate(der).serial))])


def _too_long() -> Findings:
    """The authority allows none below it, and there is one."""
    key = soft.rsa_key(2048, 93)
    second = replace(CA, name="Chips CA 2", key=key, der=tpm_maker.subordinate(CA, "Chips CA 2", key))
    return certificate(second.certify(EK.key), second.der, CA.der)


def table() -> list[tuple[str, str, str]]:
    """Check, sample, reason."""
    rows = []
    for forgery in FORGERIES:
        reasons = [finding.sentence for finding in forgery.judge() if not finding.held]
        rows.append((f"{forgery.judged}: {forgery.check.name.lower()}", forgery.what, " ".join(reasons)))
    return rows


def main() -> None:
    """Prints the table."""
    for check, sample, reason in table():
        print(f"{check:<38} {sample:<44} {reason}")


if __name__ == "__main__":
    main()
