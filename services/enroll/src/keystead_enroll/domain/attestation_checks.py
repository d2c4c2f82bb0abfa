"""What is checked of a TPM's evidence, one by one, and how each outcome is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from keystead_contracts.words import Words


class Subject(Enum):
    """What a finding is about. The value is what people read."""

    KEY = Words("Key")
    ATTESTATION_KEY = Words("Attestation key")
    ENDORSEMENT_KEY = Words("Endorsement key")
    CERTIFICATE = Words("Endorsement certificate")


class Check(Enum):
    """One thing that is checked. The values are the sentences for when it holds and for when it does not."""

    MAGIC = (
        Words("The TPM itself made the statement."),
        Words("The statement does not begin as those do that a TPM makes itself."),
    )
    TYPE = (
        Words("The statement is of the kind that was asked for."),
        Words("The statement is of another kind than was asked for."),
    )
    NONCE = (
        Words("The statement was made for this request and this key."),
        Words("The statement was made for another request or another key."),
    )
    NONCE_UNUSED = (
        Words("The server's question is answered for the first time, and in time."),
        Words("The server's question was answered before, or it is too old."),
    )
    NAME = (Words("The statement names exactly this key."), Words("The statement names another key."))
    CREATION_HASH = (
        Words("The creation data is what the TPM attested."),
        Words("The creation data is not what the TPM attested."),
    )
    FIXED_TPM = (
        Words("It cannot be moved to another TPM (fixedTPM)."),
        Words("It could be moved to another TPM (fixedTPM is clear)."),
    )
    FIXED_PARENT = (
        Words("It cannot be duplicated (fixedParent)."),
        Words("It could be duplicated (fixedParent is clear)."),
    )
    MADE_IN_TPM = (
        Words("The TPM made it (sensitiveDataOrigin)."),
        Words("It was made elsewhere and brought into the TPM (sensitiveDataOrigin is clear)."),
    )
    NOT_DUPLICABLE = (
        Words("Nothing says that it may be duplicated."),
        Words("It contradicts itself: it is fixed, and may be duplicated in encrypted form."),
    )
    USABLE = (
        Words("Whoever may use it can do so."),
        Words("Nobody could use it: it has neither a password nor a policy."),
    )
    RESTRICTED = (
        Words("It signs or decrypts only what the TPM itself made (restricted)."),
        Words("It would sign or decrypt anything, forged statements too (restricted is clear)."),
    )
    UNRESTRICTED = (
        Words("It signs what it is given (not restricted)."),
        Words("It signs only what the TPM itself made (restricted is set)."),
    )
    SIGNS = (Words("It can sign."), Words("It cannot sign."))
    DOES_NOT_SIGN = (Words("It does not sign."), Words("It can sign, which no endorsement key does."))
    DECRYPTS = (Words("It can decrypt."), Words("It cannot decrypt."))
    DOES_NOT_DECRYPT = (Words("It does not decrypt."), Words("It can decrypt, which no attestation key does."))
    POLICY = (
        Words("A policy guards it, as it does every endorsement key."),
        Words("No policy guards it, as one does every endorsement key."),
    )
    STORAGE_CIPHER = (
        Words("It protects what it stores with AES."),
        Words("It does not protect what it stores with AES in CFB mode."),
    )
    STRONG = (
        Words("It is long enough and has no known weakness."),
        Words("It is too short, or it has a weakness by which its private part can be found."),
    )
    SCHEME = (
        Words("It always signs in one way (RSASSA or ECDSA)."),
        Words("It leaves open how it signs, or signs in a way that is not accepted."),
    )
    SCHEME_HASH = (Words("It signs with SHA-256 or stronger."), Words("It signs with a hash that is too weak."))
    SIGNATURE_SCHEME = (
        Words("The signature is made as the attestation key makes all."),
        Words("The signature is made in another way than the attestation key makes all."),
    )
    SIGNATURE_HASH = (
        Words("The signature is over SHA-256 or stronger."),
        Words("The signature is over a hash that is too weak."),
    )
    SHA1_NOT_NEEDED = (
        Words("No exception for SHA-1 was needed."),
        Words("An administrator's policy allows this attestation key SHA-1."),
    )
    SIGNATURE = (Words("The signature is right."), Words("The signature is not the attestation key's."))
    SIGNER_KNOWN = (
        Words("An attestation key of this machine vouches for it."),
        Words("The attestation key that vouches for it is not one of this machine."),
    )
    REQUESTED_KEY = (Words("It is the request's key."), Words("It is another key than the request's."))
    CLOCK = (
        Words("The TPM's clock and counters went on since the last time."),
        Words("The TPM's clock or counters are behind the last time."),
    )
    FIRMWARE = (
        Words("The TPM's firmware is as it was the last time."),
        Words("The TPM's firmware changed since the last time."),
    )
    ACTIVATED = (
        Words("The TPM opened what only the endorsement key and this attestation key open together."),
        Words("The answer is not what the TPM with both keys would have opened."),
    )
    CHALLENGED_KEYS = (
        Words("The challenge was for these two keys."),
        Words("The challenge was for another endorsement key or another attestation key."),
    )
    NOT_DENIED = (
        Words("It is not on the list of those that are refused."),
        Words("It is on the list of those that are refused."),
    )
    LISTED = (Words("It is on the organization's list."), Words("It is not on the organization's list."))
    READABLE = (Words("It can be read."), Words("There is none, or none that can be read."))
    CERTIFIED_KEY = (Words("It is for this endorsement key."), Words("It is for another key."))
    VERSION = (Words("It is of version 3."), Words("It is not of version 3."))
    END_ENTITY = (Words("It is no CA certificate."), Words("It is a CA certificate."))
    KEY_USAGE = (
        Words("Its key may be used as an endorsement key."),
        Words("Its key may not be used as an endorsement key (key usage)."),
    )
    PURPOSE = (
        Words("It is for an endorsement key of a TPM."),
        Words("It is not for an endorsement key of a TPM (extended key usage)."),
    )
    TPM_NAMED = (
        Words("It names the TPM's manufacturer, model and version."),
        Words("It does not name the TPM's manufacturer, model and version."),
    )
    CHAIN = (
        Words("It is signed by a manufacturer whose root is trusted here."),
        Words("No manufacturer whose root is trusted here signed it."),
    )
    ISSUERS = (
        Words("Those that signed it may do so."),
        Words("One of those that signed it is no certification authority."),
    )
    PATH_LENGTH = (
        Words("The chain is no longer than its authorities allow."),
        Words("The chain is longer than one of its authorities allows."),
    )
    VALIDITY = (
        Words("It and its chain are valid now."),
        Words("It or one of its chain has expired, or is not valid yet."),
    )
    NOT_REVOKED = (
        Words("Neither it nor one of its chain was revoked."),
        Words("It or one of its chain was revoked by who signed it."),
    )
    CRITICAL_EXTENSIONS = (
        Words("All that is critical in the chain is understood."),
        Words("The chain says something critical that is not understood."),
    )
    CHAIN_HASH = (
        Words("The chain is signed with SHA-256 or stronger."),
        Words("The chain is signed with a hash that is too weak."),
    )


NOTES = frozenset({Check.CLOCK, Check.FIRMWARE, Check.SHA1_NOT_NEEDED, Check.TPM_NAMED, Check.LISTED})
"""What is recorded, and refuses nothing when it does not hold."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    subject: Subject
    check: Check
    held: bool

    @classmethod
    @lru_cache(maxsize=1024)
    def of_code(cls, code: str) -> Finding | None:
        """The finding that has this code; None if it is of another release."""
        subject, _, rest = code.partition(".")
        check, _, failed = rest.partition(".")
        try:
            return cls(Subject[subject.upper()], Check[check.upper()], failed != "failed")
        except KeyError:
            return None

    @property
    def refuses(self) -> bool:
        """Whether it did not hold and is no mere note."""
        return not self.held and self.check not in NOTES

    @property
    def code(self) -> str:
        """For programs: `key.fixed_tpm`, or `key.fixed_tpm.failed`."""
        code = f"{self.subject.name.lower()}.{self.check.name.lower()}"
        return code if self.held else f"{code}.failed"

    @property
    def sentence(self) -> Words:
        """For people."""
        return Words(
            "{subject}: {finding}", subject=self.subject.value, finding=self.check.value[0 if self.held else 1]
        )


Findings = tuple[Finding, ...]


def failures(findings: Findings) -> Findings:
    """The findings that refuse something: what did not hold and is no mere note."""
    return tuple(finding for finding in findings if finding.refuses)
