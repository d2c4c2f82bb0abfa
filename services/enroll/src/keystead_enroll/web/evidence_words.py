"""Why it is believed, or not, that a key is in a TPM: how portal and console say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Words
from keystead_enroll.domain.attestation_checks import Subject
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.errors import AssuranceTooLow
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.progress import Failure, progress_of
from keystead_enroll.usecases.show_evidence import Mark

Tone = Literal["good", "warn", "bad", "calm"]
LEVELS: Mapping[AssuranceLevel, tuple[Tone, Words]] = MappingProxyType(
    {
        AssuranceLevel.SOFTWARE: ("warn", Words("Software key")),
        AssuranceLevel.CLAIMED: ("calm", Words("TPM, as the agent says")),
        AssuranceLevel.ATTESTED: ("good", Words("TPM, proven")),
        AssuranceLevel.LISTED: ("good", Words("Known TPM, proven")),
        AssuranceLevel.VENDOR: ("good", Words("Genuine TPM, proven")),
    }
)
NO_LEVEL: tuple[Tone, Words] = ("bad", Words("Refused"))
MARKS: Mapping[Mark, tuple[Tone, Words]] = MappingProxyType(
    {
        Mark.HELD: ("good", Words("Holds")),
        Mark.MISSING: ("calm", Words("Not shown")),
        Mark.FAILED: ("bad", Words("Does not hold")),
    }
)
ABOUT: Mapping[str, Words] = MappingProxyType(
    {
        Subject.KEY.value: Words("The private key that all this is about."),
        Subject.ATTESTATION_KEY.value: Words("The TPM's key that signs what the TPM itself states, and nothing else."),
        Subject.ENDORSEMENT_KEY.value: Words("The key that makes the TPM this TPM, and no other."),
        Subject.CERTIFICATE.value: Words("With it a manufacturer vouches for the endorsement key."),
    }
)
"""What each group of checks is about."""
_PROOF = Words(
    "The TPM signed a statement that the key is in it and never leaves it, with a key of its own that signs nothing "
    "else. That this second key is in the very same TPM was tried out: only that TPM could open what was sealed to its "
    "endorsement key."
)
_BELIEFS: Mapping[AssuranceLevel, tuple[Words, Words]] = MappingProxyType(
    {
        AssuranceLevel.SOFTWARE: (
            Words("The key is a file on the computer: whoever can read that file can copy it."),
            Words("The agent says so, and the organization's policy allows it here. There is nothing to prove."),
        ),
        AssuranceLevel.CLAIMED: (
            Words("The agent says that the key is in the computer's TPM; nothing proves it."),
            Words(
                "The agent sent what the TPM says of the key, but no other key of the TPM signed it. A program that "
                "pretends to be the agent could say the same."
            ),
        ),
        AssuranceLevel.ATTESTED: (
            Words("The key cannot leave the computer's TPM: the TPM proved it. Nobody vouches for this TPM."),
            _PROOF,
        ),
        AssuranceLevel.LISTED: (
            Words("The key cannot leave the computer's TPM: the TPM proved it, and the organization knows this TPM."),
            _PROOF,
        ),
        AssuranceLevel.VENDOR: (
            Words(
                "The key cannot leave the computer's TPM: the TPM proved it, and its manufacturer vouches that it is a "
                "genuine TPM."
            ),
            _PROOF,
        ),
    }
)
_PROVIDED = (
    Words("The key was made by its owner's own means; nothing shows where it is kept."),
    Words("Only its request came here. That shows that its owner has the key, and nothing else."),
)
_REFUSED = (
    Words("The evidence was refused: it does not show where the key is."),
    Words("Something of what the computer sent does not hold. No certificate was issued for this key."),
)
_NONE = (Words("There is no key yet."), Words("The computer has not shown one, so there was nothing to check."))
_MANUFACTURERS: Mapping[str, str] = MappingProxyType(
    {
        "AMD": "AMD",
        "ATML": "Atmel",
        "BRCM": "Broadcom",
        "GOOG": "Google",
        "HPE": "HPE",
        "IBM": "IBM",
        "IFX": "Infineon",
        "INTC": "Intel",
        "LEN": "Lenovo",
        "MSFT": "Microsoft",
        "NSM": "National Semiconductor",
        "NTC": "Nuvoton",
        "NTZ": "Nationz",
        "QCOM": "Qualcomm",
        "SMSN": "Samsung",
        "SNS": "Sinosun",
        "STM": "STMicroelectronics",
        "TXN": "Texas Instruments",
        "WEC": "Winbond",
    }
)
"""Of the TCG's "TPM Vendor ID Registry"."""
_HEX = re.compile(r"id:([0-9A-Fa-f]{8})")


@dataclass(frozen=True)
class Belief:
    """What is believed in one sentence, and how that is known."""

    headline: Words
    how: Words


def belief_in(level: AssuranceLevel | None, *, provided: bool = False) -> Belief:
    """What a level means, None for evidence that was refused. `provided`: a person brought the request along."""
    if level is None:
        return Belief(*_REFUSED)
    return Belief(*(_PROVIDED if provided and level is AssuranceLevel.SOFTWARE else _BELIEFS[level]))


def order_belief(order: Order, level: AssuranceLevel | None) -> Belief:
    """What is believed of the key of an order that has the level."""
    if order.evidence is None:
        return Belief(*_NONE)
    return belief_in(level, provided=order.csr_method is CsrGenerationMethod.PROVIDED)


def refusal_of(order: Order) -> Failure | None:
    """Why the order ended, if that was for its evidence or for its level."""
    if order.state is not OrderState.FAILED or order.evidence is None:
        return None
    refused = order.assurance is None or order.failure_code == AssuranceTooLow.reason_code
    return progress_of(order).failure if refused else None


def manufacturer(said: str) -> str:
    """Who made a TPM, in a word, from what a certificate says: "id:49465800" is Infineon. Else as it is said."""
    found = _HEX.fullmatch(said)
    letters = bytes.fromhex(found[1]).rstrip(b"\0 ") if found else b""
    name = letters.decode("ascii", "replace")
    return _MANUFACTURERS.get(name, name) if name.isascii() and name.isalnum() else said


def firmware(said: str) -> str:
    """A firmware version as its certificate says it, without the mark that it is one."""
    found = _HEX.fullmatch(said)
    return found[1] if found else said
