"""What a certificate says its key may do (RFC 5280 section 4.2.1.3): what a profile may choose, for which keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_contracts.words import Words


class KeyUsage(StrEnum):
    """The key usages that a profile may give an end-entity certificate: never those of CAs (keyCertSign, cRLSign)."""

    DIGITAL_SIGNATURE = "digitalSignature"
    CONTENT_COMMITMENT = "contentCommitment"
    KEY_ENCIPHERMENT = "keyEncipherment"
    DATA_ENCIPHERMENT = "dataEncipherment"
    KEY_AGREEMENT = "keyAgreement"


DEFAULT_KEY_USAGES = (KeyUsage.DIGITAL_SIGNATURE,)
"""What a key may do if its profile does not say. The agent makes keys that sign and cannot decrypt, so none is said to
encipher keys; TLS 1.3, and TLS 1.2 with (EC)DHE, need no more (RFC 8446)."""

ALLOWED_KEY_USAGES: Mapping[CertificateType, tuple[KeyUsage, ...]] = {
    CertificateType.CLIENT: tuple(KeyUsage),
    CertificateType.DEVICE: (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT),
    CertificateType.SSL: (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT),
}
"""What is of use to the type: TLS commits to no content and enciphers no data with the certificate's key."""

NEEDED_KEY_USAGES: Mapping[str, tuple[KeyUsage, ...]] = {
    "serverAuth": (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT),
    "clientAuth": (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT),
    "emailProtection": tuple(usage for usage in KeyUsage if usage is not KeyUsage.DATA_ENCIPHERMENT),
    "smartcardLogon": (KeyUsage.DIGITAL_SIGNATURE,),
    "documentSigning": (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT),
}
"""Extended key usage → the key usages of which it needs one to be good for anything (RFC 5280 section 4.2.1.12, and
RFC 9336 for documents)."""

DECIPHERING = frozenset({KeyUsage.KEY_ENCIPHERMENT, KeyUsage.DATA_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT})
"""What takes a key that does more than sign, as those do not that the agent makes."""

_RSA = (
    KeyUsage.DIGITAL_SIGNATURE,
    KeyUsage.CONTENT_COMMITMENT,
    KeyUsage.KEY_ENCIPHERMENT,
    KeyUsage.DATA_ENCIPHERMENT,
)
_EC = (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT, KeyUsage.KEY_AGREEMENT)


def usages_of_key(algorithm: KeyAlgorithm) -> tuple[KeyUsage, ...]:
    """What a key of this algorithm may be said to do: one of RSA agrees on no key (RFC 3279 section 2.3.1), one of an
    elliptic curve enciphers none (RFC 8813 section 3)."""
    return _EC if algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384) else _RSA


def key_usage_mistake(
    kind: CertificateType,
    algorithms: Iterable[KeyAlgorithm],
    purposes: Iterable[str],
    usages: Collection[KeyUsage],
) -> str | None:
    """What keeps a profile for `kind`, these algorithms and these extended key usages from having `usages`."""
    stranger = next((usage for usage in usages if usage not in ALLOWED_KEY_USAGES[kind]), None)
    if stranger is not None:
        return Words(
            "has {usage}, and {kind} certificates may have {allowed}",
            usage=stranger.value,
            kind=kind.value,
            allowed=", ".join(ALLOWED_KEY_USAGES[kind]),
        )
    for algorithm in algorithms:
        unable = next((usage for usage in usages if usage not in usages_of_key(algorithm)), None)
        if unable is not None:
            return Words(
                "has {usage}, which is nothing for {algorithm} keys; those may have {allowed}",
                usage=unable.value,
                algorithm=algorithm.value,
                allowed=", ".join(each for each in usages_of_key(algorithm) if each in ALLOWED_KEY_USAGES[kind]),
            )
    for purpose in purposes:
        needed = NEEDED_KEY_USAGES.get(purpose, ())
        if usages and needed and not any(usage in needed for usage in usages):
            return Words(
                "has nothing that {purpose} works with, which is: {needed}", purpose=purpose, needed=", ".join(needed)
            )
    return None
