"""Whose an endorsement key is: what its certificate's chain, the organization's list and the deny-list say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric import rsa

from keystead_enroll.domain.attestation import Standing, judge_endorsement_key
from keystead_enroll.domain.attestation_checks import Check, Finding, Findings, Subject, failures
from keystead_enroll.domain.endorsement_certificate import EK_PURPOSE, Certificate
from keystead_enroll.domain.keys import same_key, spki_sha256
from keystead_enroll.domain.revocation_lists import Revoked
from keystead_enroll.domain.tpm_public import TpmPublic

MOST_AUTHORITIES = 5
MOST_SIGNATURES = 64
"""Verified for one endorsement key: what a TPM holds may be anything."""
_KEY_ENCIPHERMENT, _KEY_AGREEMENT, _KEY_CERT_SIGN = 2, 4, 5


ByName = Mapping[bytes, Sequence[Certificate]]
"""Certificates by their subjects, which is how a chain is sought."""


def by_name(certificates: Iterable[Certificate]) -> ByName:
    """The certificates by their subjects."""
    found: dict[bytes, list[Certificate]] = {}
    for each in certificates:
        found.setdefault(each.subject, []).append(each)
    return found


@dataclass(frozen=True)
class EkRoots:
    """What is held of the manufacturers: the roots that are trusted, and what else their chains may need."""

    roots: tuple[Certificate, ...] = ()
    intermediates: tuple[Certificate, ...] = ()
    """Help to find a chain, and are trusted only with one."""
    revoked: Revoked = field(default_factory=dict)

    @cached_property
    def named(self) -> tuple[ByName, ByName]:
        """Roots and intermediates by their subjects; there may be thousands."""
        return by_name(self.roots), by_name(self.intermediates)


@dataclass(frozen=True)
class EndorsementPolicy:
    """What a service holds of endorsement keys. `listed` and `denied` are SHA-256 of SubjectPublicKeyInfo, in hex."""

    roots: Sequence[Certificate] = ()
    listed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    intermediates: Sequence[Certificate] = ()
    revoked: Revoked = field(default_factory=dict)
    named: tuple[ByName, ByName] | None = field(default=None, compare=False, repr=False)
    """`roots` and `intermediates` by their subjects, where somebody has made that already."""


@dataclass(frozen=True)
class Endorsement:
    """What is known of an endorsement key. `fingerprint` is its identity, and the machine's."""

    standing: Standing
    fingerprint: str
    findings: Findings
    """On the key; a failure among them refuses it, certificate or not."""
    certificate_findings: Findings
    """On the certificate; a failure among them only means that no manufacturer vouches for the key."""
    tpm_names: dict[str, str]
    chain: tuple[Certificate, ...] = ()
    """From the certificate to the root, as they were judged; () if no chain was found."""
    revoked: Revoked = field(default_factory=dict)
    """What of the chain was taken back, by whom."""


def judge_endorsement(
    key: TpmPublic, certificates: Sequence[Certificate], policy: EndorsementPolicy, now: datetime
) -> Endorsement:
    """The standing of `key`, with the certificates that came with it, in any order."""
    fingerprint = spki_sha256(key.public_key)
    listed = fingerprint in policy.listed
    findings = (
        *judge_endorsement_key(key, denied=fingerprint in policy.denied),
        Finding(Subject.ENDORSEMENT_KEY, Check.LISTED, listed),
    )
    own = [certificate for certificate in certificates if same_key(certificate.public_key, key.public_key)]
    roots, intermediates = policy.named or (by_name(policy.roots), by_name(policy.intermediates))
    sent, left = by_name(certificates), [MOST_SIGNATURES]

    def chains(certificate: Certificate) -> Iterator[tuple[Certificate, ...]]:
        return _chains(certificate, (sent, intermediates), roots, left)

    judged = [_judge_certificate(each, list(chains(each)), policy.revoked, now) for each in own]
    chain: tuple[Certificate, ...] = ()
    if judged:
        best = min(range(len(judged)), key=lambda index: len(failures(judged[index][0])))
        (about, chain), names = judged[best], own[best].tpm_names
    else:
        missing = Check.CERTIFIED_KEY if certificates else Check.READABLE
        about, names = (Finding(Subject.CERTIFICATE, missing, False),), {}
    unproven = Standing.LISTED if listed else Standing.UNKNOWN
    standing = unproven if failures(about) else Standing.VENDOR
    return Endorsement(standing, fingerprint, findings, about, names, chain, _taken_back(chain, policy.revoked))


def _judge_certificate(
    certificate: Certificate, found: Sequence[tuple[Certificate, ...]], revoked: Revoked, now: datetime
) -> tuple[Findings, tuple[Certificate, ...]]:
    is_rsa = isinstance(certificate.public_key, rsa.RSAPublicKey)
    names, purposes = certificate.tpm_names, certificate.purposes
    outcomes = {
        Check.READABLE: True,
        Check.CERTIFIED_KEY: True,
        Check.VERSION: certificate.version == 3,
        Check.END_ENTITY: not certificate.authority[0],
        Check.KEY_USAGE: certificate.allows(_KEY_ENCIPHERMENT if is_rsa else _KEY_AGREEMENT),
        Check.PURPOSE: EK_PURPOSE in purposes if purposes is not None else "manufacturer" in names,
        Check.TPM_NAMED: set(names) == {"manufacturer", "model", "version"},
    }
    about = _findings(outcomes)
    chains = [(_judge_chain(chain, revoked, now), chain) for chain in found]
    if not chains:
        return (*about, Finding(Subject.CERTIFICATE, Check.CHAIN, False)), ()
    findings, chain = min(chains, key=lambda judged: len(failures(judged[0])))
    return (*about, *findings), chain


def _judge_chain(chain: tuple[Certificate, ...], revoked: Revoked, now: datetime) -> Findings:
    """`chain` begins with the endorsement certificate and ends with a root."""
    authorities = chain[1:]
    within = all(
        length is None or length >= below for below, (_, length) in enumerate(each.authority for each in authorities)
    )
    return _findings(
        {
            Check.CHAIN: True,
            Check.ISSUERS: all(each.authority[0] and each.allows(_KEY_CERT_SIGN) for each in authorities),
            Check.PATH_LENGTH: within,
            Check.VALIDITY: all(each.not_before <= now <= each.not_after for each in chain),
            Check.NOT_REVOKED: not _taken_back(chain, revoked),
            Check.CRITICAL_EXTENSIONS: not any(each.unknown_critical for each in chain),
            Check.CHAIN_HASH: not any(each.signed_with_sha1 for each in chain[:-1]),
        }
    )


def _taken_back(chain: tuple[Certificate, ...], revoked: Revoked) -> Revoked:
    """What `revoked` says of a chain; an authority that is revoked itself is believed about others all the same."""
    if not revoked:
        return {}
    signed = [(spki_sha256(issuer.public_key), each.serial) for each, issuer in pairwise(chain)]
    return {issuer: frozenset({serial}) for issuer, serial in signed if serial in revoked.get(issuer, ())}


def _chains(
    certificate: Certificate, others: Sequence[ByName], roots: ByName, left: list[int]
) -> Iterator[tuple[Certificate, ...]]:
    """The chains of names and right signatures from `certificate` to a root, within bounds. `left` counts the
    signatures that may still be verified."""

    def signed(child: Certificate, parent: Certificate) -> bool:
        if left[0] == 0:
            return False
        left[0] -= 1
        return child.is_signed_by(parent)

    def extended(chain: tuple[Certificate, ...]) -> Iterator[tuple[Certificate, ...]]:
        last = chain[-1]
        trusted = roots.get(last.issuer, ())
        for root in trusted:
            if root not in chain and signed(last, root):
                yield (*chain, root)
        if len(chain) < MOST_AUTHORITIES:
            for other in [each for named in others for each in named.get(last.issuer, ())]:
                if other not in trusted and other not in chain and signed(last, other):
                    yield from extended((*chain, other))

    yield from extended((certificate,))


def _findings(outcomes: dict[Check, bool]) -> Findings:
    return tuple(Finding(Subject.CERTIFICATE, check, held) for check, held in outcomes.items())
