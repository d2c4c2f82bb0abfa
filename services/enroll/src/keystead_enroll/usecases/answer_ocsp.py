"""Answer OCSP requests, many at a time: what is asked is looked up together, in the database, and signed one by one.

An answer without a nonce is kept and given again for half of its life, if the database still says the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keystead_contracts.base import serial_hex
from keystead_enroll.domain.errors import OcspRequestMalformed, SealBroken
from keystead_enroll.domain.ocsp import (
    MALFORMED,
    TRY_LATER,
    UNAUTHORIZED,
    Answering,
    IssuerHashes,
    OcspAnswer,
    OcspResponder,
    Question,
    Standing,
    issuer_hashes,
    read_question,
)
from keystead_enroll.metrics import OCSP_ANSWERS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.ports_status import KeyBox
from keystead_kit.logs import get_logger

RESPONDERS_KNOWN_FOR = timedelta(seconds=30)
MOST_KEPT = 10_000
"""Answers, of about a kilobyte each."""
_log = get_logger()
Asked = tuple[IssuerHashes, int]


class OcspAnswers:
    """The responder of a web process. One thread at a time asks it."""

    def __init__(self, transactions: Transactions, clock: Clock, box: KeyBox, life: timedelta) -> None:
        self._transactions, self._clock, self._box, self._life = transactions, clock, box, life
        self._authorities: dict[IssuerHashes, str] = {}
        self._answering: dict[str, Answering] = {}
        self._known_at: datetime | None = None
        self._kept: OrderedDict[Asked, tuple[int, Standing | None, OcspAnswer]] = OrderedDict()

    def answer(self, requests: Sequence[bytes]) -> list[OcspAnswer]:
        """The answer to each request. Raises what the database raises."""
        now = self._clock.now().astimezone(UTC).replace(microsecond=0)
        questions = [_read(raw) for raw in requests]
        with self._transactions.read() as tx:
            if self._known_at is None or not self._known_at <= now < self._known_at + RESPONDERS_KNOWN_FOR:
                self._look(tx, now)
            standings = self._standings(tx, [each for each in questions if isinstance(each, Question)])
        answers = [self._one(question, standings, now) for question in questions]
        for each in answers:
            OCSP_ANSWERS.labels(each.outcome.value).inc()
        return answers

    def _look(self, tx: Transaction, now: datetime) -> None:
        """Learns of which CAs this process may tell, and with which key."""
        self._authorities = {
            hashed: authority.id
            for authority in tx.authorities()
            for hashed in issuer_hashes(x509.load_der_x509_certificate(authority.der))
        }
        self._answering = self._usable(tx.responders(now))
        self._known_at = now if self._answering else None

    def _usable(self, responders: Iterable[OcspResponder]) -> dict[str, Answering]:
        """Of each CA the newest responder; the one known already if it is that."""
        found: dict[str, Answering] = {}
        for each in responders:
            known = self._answering.get(each.authority)
            try:
                same = known is not None and known.number == each.number
                found[each.authority] = known if known and same else self._opened(each)
            except SealBroken:
                _log.warning("the key of an OCSP responder cannot be opened", authority=each.authority)
        return found

    def _opened(self, responder: OcspResponder) -> Answering:
        key = load_der_private_key(self._box.open(responder.sealed_key, responder.context), None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise SealBroken("the sealed key is of another kind than it was")
        return Answering(responder, key)

    def _standings(self, tx: Transaction, questions: Iterable[Question]) -> Mapping[tuple[str, str], Standing]:
        serials: dict[str, set[str]] = {}
        for each in questions:
            authority = self._authorities.get(each.issuer)
            if authority is not None:
                serials.setdefault(authority, set()).add(serial_hex(each.serial))
        return {
            (authority, serial): standing
            for authority, asked in serials.items()
            for serial, standing in tx.standings(authority, asked).items()
        }

    def _one(
        self, question: Question | OcspAnswer, standings: Mapping[tuple[str, str], Standing], now: datetime
    ) -> OcspAnswer:
        if isinstance(question, OcspAnswer):
            return question
        authority = self._authorities.get(question.issuer)
        if authority is None:
            return UNAUTHORIZED
        answering = self._answering.get(authority)
        if answering is None or answering.ends <= now:
            return TRY_LATER
        standing = standings.get((authority, serial_hex(question.serial)))
        if question.nonce is not None:
            return answering.answer(question, standing, now, self._life)
        return self._kept_or_new(question, answering, standing, now)

    def _kept_or_new(
        self, question: Question, answering: Answering, standing: Standing | None, now: datetime
    ) -> OcspAnswer:
        asked = (question.issuer, question.serial)
        number, before, answer = self._kept.get(asked, (0, None, TRY_LATER))
        if number == answering.number and before == standing and _is_fresh(answer, now):
            self._kept.move_to_end(asked)
            return answer
        answer = answering.answer(question, standing, now, self._life)
        self._kept[asked] = (answering.number, standing, answer)
        self._kept.move_to_end(asked)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer


def _read(raw: bytes) -> Question | OcspAnswer:
    try:
        return read_question(raw) or UNAUTHORIZED
    except OcspRequestMalformed:
        return MALFORMED


def _is_fresh(answer: OcspAnswer, now: datetime) -> bool:
    """Whether less than half of its life is over."""
    if answer.since is None or answer.until is None:
        return False
    return answer.since <= now < answer.since + (answer.until - answer.since) / 2
