"""Turn a fact into a letter."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.events import Envelope, Fact
from keystead_notify.domain.letter import RetryPolicy, letter_for
from keystead_notify.ports import Letters


def queue_letter(letters: Letters, fact: Fact, envelope: Envelope, now: datetime, policy: RetryPolicy) -> bool:
    """Queues the letter that tells `fact`, in the inbox's transaction; False if nobody is written about it."""
    letter = letter_for(fact, message_id=envelope.message_id, trace_id=envelope.trace_id, now=now, policy=policy)
    if letter is not None:
        letters.add(letter)
    return letter is not None
