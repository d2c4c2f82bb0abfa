"""When the evidence of a key does not do, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.errors import AssuranceTooLow, EvidenceFailed
from keystead_enroll.domain.evidence_record import EvidenceRecord

_TOLD = 3
_LEVELS: Mapping[AssuranceLevel, str] = MappingProxyType(
    {
        AssuranceLevel.SOFTWARE: Words("a key that may be anywhere"),
        AssuranceLevel.CLAIMED: Words("a key that the agent says is in a TPM"),
        AssuranceLevel.ATTESTED: Words("a key that a TPM proves to be in it"),
        AssuranceLevel.LISTED: Words("a key in a TPM that your organization knows"),
        AssuranceLevel.VENDOR: Words("a key in a TPM that its manufacturer vouches for"),
    }
)
_MISSING: Mapping[AssuranceLevel, str] = MappingProxyType(
    {
        AssuranceLevel.SOFTWARE: Words("The key is a file on this computer."),
        AssuranceLevel.CLAIMED: Words("This computer's TPM proved nothing: it cannot, or it was not asked to."),
        AssuranceLevel.ATTESTED: Words("The TPM proved that the key is in it, and nobody here knows this TPM."),
        AssuranceLevel.LISTED: Words("Your organization knows this TPM, and no manufacturer vouches for it."),
        AssuranceLevel.VENDOR: Words("Nothing is missing."),
    }
)


def refuse_failures(record: EvidenceRecord) -> AssuranceLevel:
    """The level that the record shows. Raises EvidenceFailed if it was refused."""
    failed = record.failures
    if failed or record.level is None:
        reasons = [finding.sentence for finding in failed[:_TOLD]]
        raise EvidenceFailed(reasons, failed[0].code if failed else "")
    return record.level


def refuse_less(shown: AssuranceLevel, demanded: AssuranceLevel) -> None:
    """Raises AssuranceTooLow if `shown` is less than a profile demands."""
    if shown.rank < demanded.rank:
        raise AssuranceTooLow(
            Sentences(
                Words(
                    "This certificate needs {demanded} (“{level}”); this computer showed {shown} (“{less}”).",
                    demanded=_LEVELS[demanded],
                    level=demanded.value,
                    shown=_LEVELS[shown],
                    less=shown.value,
                ),
                _MISSING[shown],
            )
        )
