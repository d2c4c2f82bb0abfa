"""Outbox, inbox and the database below them, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, String, Table, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import Session

from keystead_contracts.agent import Removed
from keystead_contracts.events import Envelope, Fact, LoginRequested
from keystead_kit.bus import Bus
from keystead_kit.db import Database, UtcDateTime, new_metadata
from keystead_kit.outbox import Inbox, Outbox, resend_delay
from keystead_kit.worker import Messenger, Rounds

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
metadata = new_metadata()
outbox = Outbox(metadata, "sample")
inbox = Inbox(metadata)
things = Table("things", metadata, Column("id", String(32), primary_key=True), Column("at", UtcDateTime))
ENVELOPE = Envelope.model_validate_json(
    (Path(__file__).parents[2] / "contract" / "samples" / "Envelope.json").read_text()
)


class SetClock:
    def __init__(self) -> None:
        self.time = AT

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.close()


def record(session: Session, message_id: str = "m1", now: datetime = AT) -> None:
    outbox.record(session, Removed(), destination="notify", message_id=message_id, trace_id="4" * 32, now=now)


def test_waits_double_up_to_a_minute() -> None:
    assert [resend_delay(n).total_seconds() for n in (1, 2, 3, 4, 5, 6, 1000)] == [5, 10, 20, 40, 60, 60, 60]


def test_a_fact_is_sent_once_until_its_receipt_is_overdue(database: Database) -> None:
    with database.write() as session:
        record(session)
    with database.write() as session:
        [envelope] = outbox.claim(session, AT)
    assert (envelope.message_id, envelope.source, envelope.destination) == ("m1", "sample", "notify")
    assert envelope.fact == {"outcome": "removed"}
    assert envelope.recorded_at == AT
    with database.write() as session:
        assert outbox.claim(session, AT + timedelta(seconds=4.9)) == []
        assert len(outbox.claim(session, AT + timedelta(seconds=5))) == 1
        assert outbox.claim(session, AT + timedelta(seconds=14.9)) == []


def test_a_receipt_ends_it_and_may_come_twice(database: Database) -> None:
    with database.write() as session:
        record(session)
        assert outbox.depth(session) == (1, AT)
        outbox.settle(session, ["m1", "unknown"])
        outbox.settle(session, ["m1"])
        outbox.settle(session, [])
        assert outbox.depth(session) == (0, None)


def test_a_fact_of_a_transaction_that_fails_was_never_there(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        record(session)
        raise RuntimeError
    with database.read() as session:
        assert outbox.depth(session)[0] == 0


def test_the_oldest_come_first_and_no_more_than_asked(database: Database) -> None:
    with database.write() as session:
        for number in (3, 1, 2):
            record(session, f"m{number}", AT - timedelta(minutes=number))
        assert [e.message_id for e in outbox.claim(session, AT, limit=2)] == ["m3", "m2"]


def test_the_inbox_knows_what_it_has_seen(database: Database) -> None:
    with database.write() as session:
        assert inbox.first_time(session, "m1", AT)
        assert not inbox.first_time(session, "m1", AT)
        assert inbox.first_time(session, "m2", AT)
    with database.write() as session:
        assert not inbox.first_time(session, "m1", AT)


def test_what_the_inbox_saw_in_a_transaction_that_fails_is_new_again(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        inbox.first_time(session, "m1", AT)
        raise RuntimeError
    with database.write() as session:
        assert inbox.first_time(session, "m1", AT)


def test_the_inbox_forgets_what_is_old(database: Database) -> None:
    with database.write() as session:
        inbox.first_time(session, "old", AT - timedelta(days=31))
        inbox.first_time(session, "young", AT)
        inbox.prune(session, AT)
        assert inbox.first_time(session, "old", AT)
        assert not inbox.first_time(session, "young", AT)


@pytest.mark.postgres
def test_two_relays_never_claim_the_same_fact(postgres_url: str) -> None:
    database = Database(postgres_url)
    metadata.create_all(database.engine)
    with database.write() as session:
        for number in range(4):
            record(session, f"m{number}")
    with database.write() as one, database.write() as other:
        first, second = outbox.claim(one, AT, limit=2), outbox.claim(other, AT, limit=10)
    assert len(first) == len(second) == 2
    assert not {e.message_id for e in first} & {e.message_id for e in second}
    database.close()


def test_times_come_back_aware_in_utc(database: Database) -> None:
    berlin = datetime(2026, 11, 23, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    with database.write() as session:
        session.execute(insert(things).values(id="1", at=berlin))
    with database.read() as session:
        stored = session.execute(select(things.c.at)).scalar_one()
    assert stored == AT
    assert stored.utcoffset() == timedelta()


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"), database.write() as session:
        session.execute(insert(things).values(id="1", at=AT.replace(tzinfo=None)))


def test_an_error_of_the_database_does_not_tell_the_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as error, database.write() as session:
        for _ in range(2):
            session.execute(insert(things).values(id="tell-nobody"))
    assert "[SQL parameters hidden" in str(error.value)


def test_two_writers_wait_for_each_other_on_sqlite(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    metadata.create_all(database.engine)
    inside, may_go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with database.write() as session:
            session.execute(insert(things).values(id="first"))
            inside.set()
            may_go_on.wait(10)
            order.append("first")

    def second() -> None:
        with database.write() as session:
            session.execute(insert(things).values(id="second"))
            order.append("second")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert inside.wait(10)
    threads.append(threading.Thread(target=second))
    threads[1].start()
    with database.read() as session:  # a reader waits for nobody and sees what is committed
        assert session.execute(select(things)).all() == []
    may_go_on.set()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]
    with database.read() as session:
        assert len(session.execute(select(things)).all()) == 2
    database.close()


def test_a_power_cut_loses_no_commit_on_sqlite(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.read() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()


def test_ping_says_when_the_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    database = Database(f"sqlite:///{tmp_path}/file")
    with pytest.raises(OperationalError):
        database.ping()


class Takes:
    def __init__(self, *, fails: bool = False) -> None:
        self.facts: list[Fact] = []
        self.fails = fails

    def __call__(self, session: Session, fact: Fact, envelope: Envelope) -> None:
        session.execute(insert(things).values(id=envelope.message_id))
        if self.fails:
            raise RuntimeError("not now")
        self.facts.append(fact)


@pytest.fixture
def bus(redis_url: str) -> Iterator[Bus]:
    bus = Bus("sample", redis_url)
    yield bus
    bus.close()


def queued(bus: Bus, service: str) -> list[str]:
    """The task names that wait in a service's queue."""
    waiting = bus.redis.lrange(f"keystead.{service}", 0, -1)
    return [json.loads(message)["headers"]["task"] for message in waiting]  # type: ignore[union-attr]


def test_a_fact_takes_effect_once_and_is_receipted_each_time(database: Database, bus: Bus) -> None:
    takes = Takes()
    messenger = Messenger(database, bus, SetClock(), outbox, inbox, takes)
    for _ in range(3):
        messenger.take_in(ENVELOPE.model_dump(mode="json"))
    assert len(takes.facts) == 1
    assert isinstance(takes.facts[0], LoginRequested)
    assert queued(bus, "auth") == ["keystead.receipt"] * 3


def test_a_fact_whose_effect_fails_is_not_receipted_and_comes_again(database: Database, bus: Bus) -> None:
    failing = Messenger(database, bus, SetClock(), outbox, inbox, Takes(fails=True))
    with pytest.raises(RuntimeError):
        failing.take_in(ENVELOPE.model_dump(mode="json"))
    assert queued(bus, "auth") == []
    takes = Takes()
    Messenger(database, bus, SetClock(), outbox, inbox, takes).take_in(ENVELOPE.model_dump(mode="json"))
    assert len(takes.facts) == 1


@pytest.mark.parametrize(("age", "taken"), [(timedelta(days=28), 1), (timedelta(days=31), 0)])
def test_a_fact_that_comes_after_its_id_was_forgotten_is_receipted_without_effect(
    database: Database, bus: Bus, age: timedelta, taken: int
) -> None:
    clock, takes = SetClock(), Takes()
    messenger = Messenger(database, bus, clock, outbox, inbox, takes)
    raw = ENVELOPE.model_copy(update={"recorded_at": AT}).model_dump(mode="json")
    clock.time = AT + age
    messenger.take_in(raw)
    with database.write() as session:
        inbox.prune(session, clock.time)
    messenger.take_in(raw)
    assert len(takes.facts) == taken
    assert queued(bus, "auth") == ["keystead.receipt"] * 2


def test_a_fact_taken_long_ago_has_no_second_effect(database: Database, bus: Bus) -> None:
    clock, takes = SetClock(), Takes()
    messenger = Messenger(database, bus, clock, outbox, inbox, takes)
    raw = ENVELOPE.model_copy(update={"recorded_at": AT}).model_dump(mode="json")
    messenger.take_in(raw)
    clock.time = AT + timedelta(days=31)
    with database.write() as session:
        inbox.prune(session, clock.time)
    messenger.take_in(raw)
    assert len(takes.facts) == 1


@pytest.mark.parametrize(
    "raw", [{}, {"message_id": 1}, ENVELOPE.model_dump(mode="json") | {"fact": {"type": "login_requested"}}]
)
def test_a_malformed_fact_is_dropped(database: Database, bus: Bus, raw: dict[str, object]) -> None:
    takes = Takes()
    Messenger(database, bus, SetClock(), outbox, inbox, takes).take_in(raw)
    assert takes.facts == []
    assert queued(bus, "auth") == []


def test_a_fact_of_a_newer_type_is_receipted_without_effect(database: Database, bus: Bus) -> None:
    takes = Takes()
    raw = ENVELOPE.model_dump(mode="json") | {"fact": {"type": "coffee_made"}}
    Messenger(database, bus, SetClock(), outbox, inbox, takes).take_in(raw)
    assert takes.facts == []
    assert queued(bus, "auth") == ["keystead.receipt"]


def test_the_relay_sends_what_is_due_and_again_after_redis_lost_it(database: Database, bus: Bus) -> None:
    clock = SetClock()
    messenger = Messenger(database, bus, clock, outbox, inbox, Takes())
    with database.write() as session:
        record(session)
    assert messenger.relay() == 1
    assert messenger.relay() == 0
    assert queued(bus, "notify") == ["keystead.fact"]
    bus.redis.flushall()
    clock.time += timedelta(seconds=5)
    assert messenger.relay() == 1
    assert queued(bus, "notify") == ["keystead.fact"]
    messenger.settle(["m1"])
    clock.time += timedelta(hours=1)
    assert messenger.relay() == 0


def test_the_relay_keeps_facts_while_redis_is_away(database: Database) -> None:
    bus = Bus("sample", "redis://127.0.0.1:1/0")
    messenger = Messenger(database, bus, SetClock(), outbox, inbox, Takes())
    with database.write() as session:
        record(session)
    assert messenger.relay() == 0
    with database.read() as session:
        assert outbox.depth(session)[0] == 1
    bus.close()


def test_a_bell_is_not_rung_again_while_one_waits(bus: Bus) -> None:
    for _ in range(5):
        bus.ring()
    assert queued(bus, "sample") == ["keystead.doorbell"]
    bus.heard()
    bus.ring()
    assert queued(bus, "sample") == ["keystead.doorbell"] * 2


def test_nothing_on_the_bus_raises_while_redis_is_away() -> None:
    bus = Bus("sample", "redis://127.0.0.1:1/0")
    bus.ring()
    bus.heard()
    bus.wake(["order:1"])
    bus.receipt("auth", ["m"])
    assert not bus.tell(ENVELOPE)
    bus.close()


def test_a_round_goes_on_until_nothing_is_left() -> None:
    left = {"a": 3, "b": 1}

    def duty(name: str) -> int:
        if left[name]:
            left[name] -= 1
            return 1
        return 0

    assert Rounds({"a": lambda: duty("a"), "b": lambda: duty("b")}).run() == 4
    assert left == {"a": 0, "b": 0}


def test_a_duty_that_raises_does_not_stop_the_others() -> None:
    done: list[str] = []

    def bad() -> int:
        raise RuntimeError("broken")

    def good() -> int:
        done.append("good")
        return 0

    assert Rounds({"bad": bad, "good": good}).run() == 0
    assert done == ["good"]


def test_one_round_at_a_time() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def duty() -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1
        return 0

    rounds = Rounds({"duty": duty})
    threads = [threading.Thread(target=rounds.run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1


def test_a_bell_during_a_round_does_not_wait_and_the_round_looks_again() -> None:
    begun, go_on = threading.Event(), threading.Event()
    looks = []

    def duty() -> int:
        looks.append(1)
        begun.set()
        go_on.wait(10)
        return 0

    rounds = Rounds({"duty": duty})
    busy = threading.Thread(target=rounds.run)
    busy.start()
    begun.wait(10)
    assert rounds.run() == 0, "it comes back although the round still runs"
    go_on.set()
    busy.join(10)
    assert len(looks) == 2
