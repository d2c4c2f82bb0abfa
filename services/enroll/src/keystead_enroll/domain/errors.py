"""Everything that enroll refuses, one named exception each.

```
Refusal
├── CsrRefused          CsrMalformed, CsrSignatureInvalid, CsrKeyMismatch, CsrNamesDiffer, KeyInUse
├── KeyTooWeak, KeyAlgorithmNotAllowed
├── NameNotAllowed, TemplateInvalid
├── EvidenceRefused     EvidenceMalformed, EvidenceMismatch, EvidenceFailed, AssuranceTooLow, ChallengeRefused
├── ProbeSignatureInvalid
├── CaRefused           CertificateLintFailed, CaKeyMismatch, CaUnusable, CaFilesExist, IntentNotSignable
└── EkRootsUnusable
```
"""

from __future__ import annotations

from collections.abc import Sequence

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Sentences, Words


class CsrRefused(Refusal):
    """The certificate signing request cannot be accepted."""

    code = "csr-refused"


class CsrMalformed(CsrRefused):
    """Not one PEM block with one PKCS#10 request in DER (RFC 2986, RFC 7468), or too large."""

    default_advice = Words("Send exactly one PEM-encoded PKCS#10 request and nothing else.")


class CsrSignatureInvalid(CsrRefused):
    """The request is not signed by the key that it contains (no proof of possession)."""

    default_advice = Words("Sign the request with the private key that belongs to it, with SHA-256 or stronger.")


class CsrKeyMismatch(CsrRefused):
    """The key in the request is not the key that was to be used."""

    default_advice = Words("Send a request for the key that was asked for.")


class CsrNamesDiffer(CsrRefused):
    """The request names somebody or something else than the order."""

    default_advice = Words("Use the subject of the order as it is, and ask for no further names.")


class KeyInUse(CsrRefused):
    """The key belongs to another order already."""

    default_advice = Words("Ask for a new certificate, and let the agent make a new key for it.")


class KeyTooWeak(CsrRefused):
    """The public key has a property that lets its private key be found."""

    default_advice = Words(
        "Make a new key. If it came from a TPM or smart card, install the maker's firmware update first."
    )


class KeyAlgorithmNotAllowed(CsrRefused):
    """The key's algorithm or size is none that may be used here."""

    default_advice = Words("Make a key with the algorithm that the order names.")


class NameNotAllowed(Refusal):
    """A name cannot stand in a certificate, or not in this one."""

    code = "order-refused"
    default_advice = Words("Correct the name and ask again.")


class TemplateInvalid(Refusal):
    """A certificate profile's subject or SAN template cannot be used."""

    code = "malformed"
    default_advice = Words("Correct the template in the certificate profile.")


class EvidenceRefused(Refusal):
    """What the agent sent to show where the key lives does not do."""

    code = "evidence-refused"
    reason_code = ""
    """What exactly, for administrators and programs: a finding's code."""


class EvidenceMalformed(EvidenceRefused):
    """The evidence cannot be parsed."""

    default_advice = Words("Update the agent and try again.")


class EvidenceMismatch(EvidenceRefused):
    """The evidence is about another key, contradicts itself, or shows a key that can leave the TPM."""

    default_advice = Words("Let the agent make the key; do not import or copy one into the TPM.")


class EvidenceFailed(EvidenceRefused):
    """A check of the TPM's evidence failed."""

    default_advice = Words(
        "Do not try to work around this. Tell your administrator: the TPM or the agent of this computer is not what it "
        "should be."
    )

    def __init__(self, reasons: Sequence[str], reason_code: str) -> None:
        super().__init__(
            Words("This computer's TPM did not prove where the key is. {reasons}", reasons=Sentences(*reasons))
        )
        self.reason_code = reason_code


class ChallengeRefused(EvidenceRefused):
    """The challenge that is answered is unknown, was answered before, or is too old."""

    default_advice = Words("Register the computer again.")


class AssuranceTooLow(EvidenceRefused):
    """The certificate profile demands stronger proof of key residency than the evidence gives."""

    reason_code = "assurance.too_low"

    default_advice = Words(
        "Use a machine with a working TPM 2.0, or ask the administrator for another certificate profile."
    )


class ProbeSignatureInvalid(Refusal):
    """A signature that was to prove possession does not verify with the public key."""

    code = "report-refused"
    default_advice = Words("The stored certificate and key do not belong together: enroll again.")


class CaRefused(Refusal):
    """The built-in CA cannot be made, opened or used. What the asker sees has no more than `detail`."""

    code = "internal"


class CertificateLintFailed(CaRefused):
    """A certificate that was about to be signed violates RFC 5280."""

    default_advice = Words("Correct the certificate profile: the findings name the field.")


class CaKeyMismatch(CaRefused):
    """The CA's private key does not belong to its certificate."""

    default_advice = "Restore the key and certificate of the CA from the same backup."


class CaUnusable(CaRefused):
    """A file of the CA is missing, unreadable or too open, or its certificate cannot issue now."""


class CaFilesExist(CaRefused):
    """A CA is already there; nothing was written."""

    code = "conflict"
    default_advice = "Keep the existing CA, or choose another, empty folder."


class IntentNotSignable(CaRefused):
    """A stored intent certificate is not one that this CA may sign as it is."""


class ListNotSignable(CaRefused):
    """A revocation list is not one that this CA may sign."""


class OcspRequestMalformed(Refusal):
    """What was sent is no OCSP request that can be answered."""

    code = "malformed"


class SealBroken(Refusal):
    """A key that the database keeps cannot be opened."""

    code = "internal"


class EkRootsUnusable(Refusal):
    """The TPM manufacturers' certificates cannot be used as they are."""

    code = "malformed"
