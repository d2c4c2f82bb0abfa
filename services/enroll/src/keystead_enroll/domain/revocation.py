"""Why certificates are revoked (RFC 5280 section 5.3.1), in the words of people and programs here."""

from __future__ import annotations

from enum import StrEnum

from keystead_contracts.words import Words


class RevocationReason(StrEnum):
    """The reasons that a person or an administrator may give."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key_compromise"
    AFFILIATION_CHANGED = "affiliation_changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation_of_operation"
    PRIVILEGE_WITHDRAWN = "privilege_withdrawn"
    CERTIFICATE_HOLD = "certificate_hold"
    """For the time being: it may be released."""

    @classmethod
    def _missing_(cls, value: object) -> RevocationReason | None:
        """Earlier releases stored one reason as RFC 5280 spells it."""
        return cls.CESSATION_OF_OPERATION if value == "cessationOfOperation" else None

    @property
    def words(self) -> Words:
        """The reason in the middle of a sentence."""
        return _WORDS[self]

    @property
    def advice(self) -> Words:
        """What the owner of the certificate does now."""
        return _ADVICE[self]

    @property
    def label(self) -> str:
        """The reason as an answer to "Why?"."""
        return _LABELS[self]


_LABELS = {
    RevocationReason.UNSPECIFIED: Words("No particular reason"),
    RevocationReason.KEY_COMPROMISE: Words("Somebody else may have the key, or the computer is lost"),
    RevocationReason.AFFILIATION_CHANGED: Words("The names in it are no longer right"),
    RevocationReason.SUPERSEDED: Words("Another certificate has taken its place"),
    RevocationReason.CESSATION_OF_OPERATION: Words("It is no longer needed"),
    RevocationReason.PRIVILEGE_WITHDRAWN: Words("Its owner may no longer have it"),
    RevocationReason.CERTIFICATE_HOLD: Words("For the time being: it is on hold until it is released"),
}
_WORDS = {
    RevocationReason.UNSPECIFIED: Words("no particular reason"),
    RevocationReason.KEY_COMPROMISE: Words("somebody else may have the key"),
    RevocationReason.AFFILIATION_CHANGED: Words("the names in it are no longer right"),
    RevocationReason.SUPERSEDED: Words("another certificate has taken its place"),
    RevocationReason.CESSATION_OF_OPERATION: Words("it is no longer needed"),
    RevocationReason.PRIVILEGE_WITHDRAWN: Words("its owner may no longer have it"),
    RevocationReason.CERTIFICATE_HOLD: Words("it is on hold until it is released"),
}
_ASK_AGAIN = Words("Ask for a new certificate if you need one.")
_ADVICE = {
    RevocationReason.UNSPECIFIED: _ASK_AGAIN,
    RevocationReason.KEY_COMPROMISE: Words(
        "If the computer is lost or was stolen, tell your administrator. "
        "On a computer that you trust, ask for a new one."
    ),
    RevocationReason.AFFILIATION_CHANGED: Words("Ask for a new certificate, which will have the right names."),
    RevocationReason.SUPERSEDED: Words("Use the other certificate. You need not do anything else."),
    RevocationReason.CESSATION_OF_OPERATION: _ASK_AGAIN,
    RevocationReason.PRIVILEGE_WITHDRAWN: Words("If you think that you should have it, ask your administrator."),
    RevocationReason.CERTIFICATE_HOLD: Words(
        "Keep it: it works again once it is released. Ask your administrator if you need it before."
    ),
}
OWNERS_REASONS = (
    RevocationReason.SUPERSEDED,
    RevocationReason.KEY_COMPROMISE,
    RevocationReason.CESSATION_OF_OPERATION,
    RevocationReason.AFFILIATION_CHANGED,
    RevocationReason.CERTIFICATE_HOLD,
)
"""Those that a certificate's owner may give."""
