"""A certificate signing request that a person brings along: what is told of it, and what it can show of its key."""

from __future__ import annotations

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.csr import CheckedCsr, examine_csr
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.names import CertificateNames

_UNPROVEN = Words("The key was made by its owner's own means; nothing shows where it is kept.")
KEY_IN_USE = Words("The key in this request belongs to a certificate or request already. Make a new key and request.")


def evidence_of_provided_key() -> dict[str, object]:
    """What an order keeps of its key's evidence: that there is none."""
    return {
        "evidence": {"format": "provided"},
        "level": AssuranceLevel.SOFTWARE.value,
        "reasons": [{"code": "not_attested", "text": str(_UNPROVEN)}],
    }


def cannot_be_provided(profile: CertificateProfile) -> str:
    """Why the profile takes no request that a person brings along; "" if it does."""
    if profile.minimum_assurance.rank <= AssuranceLevel.SOFTWARE.rank:
        return ""
    return Words(
        "“{profile}” demands proof that the key is in a TPM (at least “{level}”), "
        "which a request of your own cannot give.",
        profile=profile.name,
        level=profile.minimum_assurance.value,
    )


def judge_provided_csr(
    profile: CertificateProfile, names: CertificateNames | None, text: str
) -> tuple[CheckedCsr | None, str]:
    """The checked request, or None and every reason why not. `names` is None where the order has none yet."""
    refused = cannot_be_provided(profile)
    if refused:
        return None, Sentences(refused, Words("Choose another certificate, or ask your administrator."))
    if "PRIVATE KEY-----" in text:
        return None, Words(
            "That holds a private key. Keep it to yourself, and give only the part that begins with "
            "-----BEGIN CERTIFICATE REQUEST-----. It was not stored."
        )
    if not text.strip():
        return None, Words("Paste a certificate signing request, or choose its file.")
    checked, wrong = examine_csr(text, names, profile.key_algorithms)
    told = [part for refusal in wrong for part in (refusal.detail, refusal.advice)]
    return checked, Sentences(*dict.fromkeys(told)) if told else ""
