"""Send what is due, over one connection.

Not one transaction but a chain of them, two a letter: claim, hand to the mail server, write down the outcome. A
crash leaves at most one letter in doubt: if it falls between the server's 250 and the commit of `record_outcome`
(or the 250 itself is lost), the letter is sent again after its lease, with the same Message-ID, and a mail program
that goes by Message-ID shows one. SMTP offers no way to close that gap (RFC 5321 section 4.5.3.2.6 and RFC 1047); here
it is as narrow as one commit.
"""

from __future__ import annotations

from collections.abc import Callable

from keystead_kit.clock import Clock
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing
from keystead_notify.domain.errors import LetterPostponed, MailServerAway, Refusal
from keystead_notify.domain.letter import Letter, RetryPolicy
from keystead_notify.ports import Mailer, MailSession, Transactions
from keystead_notify.usecases.claim_letter import claim_letter
from keystead_notify.usecases.expire_letters import expire_letters
from keystead_notify.usecases.postpone_letters import postpone_letters
from keystead_notify.usecases.record_outcome import Outcome, record_outcome

BATCH = 100
"""Letters on one connection; a mail server may end a longer one."""
Observe = Callable[[Letter, Outcome], None]

_log = get_logger()


def deliver_letters(
    transactions: Transactions, mailer: Mailer, clock: Clock, policy: RetryPolicy, observe: Observe
) -> int:
    """Sends up to `BATCH` due letters; how many letters something became of. `observe` is told of each."""
    done = 0
    for expired in expire_letters(transactions, clock):
        observe(expired, Outcome.EXPIRED)
        done += 1
    with transactions.read() as letters:
        if not letters.is_due(clock.now()):
            return done
    try:
        with mailer.session() as session:
            for _ in range(BATCH):
                letter = claim_letter(transactions, clock, policy)
                if letter is None:
                    break
                done += 1
                failure = _send(session, letter)
                observe(letter, record_outcome(transactions, clock, policy, letter, failure))
                if isinstance(failure, MailServerAway):
                    raise failure
    except MailServerAway as away:
        _log.warning("mail server away, letters wait", reason=away.detail)
        for waiting in postpone_letters(transactions, clock, policy, away.detail):
            observe(waiting, Outcome.POSTPONED)
            done += 1
    return done


def _send(session: MailSession, letter: Letter) -> Refusal | None:
    """What kept the letter from being sent; None if it was."""
    with tracing(letter.trace_id):
        try:
            session.send(letter)
        except Refusal as failure:
            _log.warning(
                "letter not sent", message_id=letter.message_id, kind=letter.kind, attempt=letter.attempts,
                failure=type(failure).__name__, reason=failure.detail,
            )  # fmt: skip
            return failure
        except Exception as error:
            # a letter that cannot even be written must not hold up the others
            _log.exception("letter not written", message_id=letter.message_id, kind=letter.kind)
            return LetterPostponed(f"{type(error).__name__}: {error}")
        _log.info("letter sent", message_id=letter.message_id, kind=letter.kind, attempt=letter.attempts)
        return None
