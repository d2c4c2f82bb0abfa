from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from tests.unit.agent.samples import NOW, SERVER, job

from keystead_agent.journal import DEVICE, KEEP, RESUMABLE, Journal
from keystead_contracts.agent import EnrollLink, Removed


def opened(state_dir: Path, age: timedelta = timedelta()) -> Journal:
    journal = Journal(state_dir, lambda: NOW + age)
    journal.recover()
    return journal


def test_an_answer_is_remembered_over_a_restart(tmp_path: Path) -> None:
    entry = opened(tmp_path).answer(SERVER, DEVICE, job(), Removed())
    assert opened(tmp_path).answered(SERVER, "job-1") == entry
    assert opened(tmp_path).answered(SERVER, "job-2") is None
    assert opened(tmp_path).answered("https://other.example", "job-1") is None


def test_entries_are_kept_apart_by_recipient(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.answer(SERVER, "claim", job(), Removed())
    journal.answer(SERVER, DEVICE, job(job_id="job-2"), Removed())
    assert [entry.job_id for entry in journal.entries(SERVER, "claim")] == ["job-1"]


def test_a_refusal_is_remembered_with_its_reason(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.settle(journal.answer(SERVER, DEVICE, job(), Removed()), "", "wrong names", "Ask again.")
    found = journal.answered(SERVER, "job-1")
    assert found is not None
    assert (found.settled, found.refusal, found.refusal_advice) == (True, "wrong names", "Ask again.")


def test_a_claim_keeps_its_secret(tmp_path: Path) -> None:
    link = EnrollLink(server=SERVER, claim="c" * 32)
    first = opened(tmp_path).open_claim(link)
    assert opened(tmp_path).open_claim(link) == first
    assert len(first.agent_secret) == 64
    other = opened(tmp_path).open_claim(EnrollLink(server=SERVER, claim="d" * 32))
    assert other.agent_secret != first.agent_secret


def test_only_open_claims_are_resumed(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    done = journal.open_claim(EnrollLink(server=SERVER, claim="c" * 32))
    waiting = journal.open_claim(EnrollLink(server=SERVER, claim="d" * 32))
    journal.close_claim(done, "done")
    assert journal.open_claims() == [waiting]


def test_one_process_at_a_time_works_on_a_claim(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.holding_claim("abc") as first, journal.holding_claim("abc") as second:
        assert first
        assert not second
    with journal.holding_claim("abc") as again:
        assert again


def test_old_entries_go_unless_they_are_unfinished(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.settle(journal.answer(SERVER, DEVICE, job(), Removed()), "installed")
    journal.answer(SERVER, DEVICE, job(job_id="unsettled"), Removed())
    journal.close_claim(journal.open_claim(EnrollLink(server=SERVER, claim="c" * 32)), "done")
    later = opened(tmp_path, KEEP + timedelta(days=1))
    assert later.answered(SERVER, "job-1") is None
    assert later.answered(SERVER, "unsettled") is not None
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_claim_is_closed_when_no_server_can_go_on_with_it_and_goes_with_the_old_ones(tmp_path: Path) -> None:
    waiting = opened(tmp_path).open_claim(EnrollLink(server=SERVER, claim="c" * 32))
    assert opened(tmp_path, timedelta(hours=24)).open_claims() == [waiting]
    late = opened(tmp_path, timedelta(hours=24, minutes=15))
    assert late.open_claims() == []
    assert late.open_claim(EnrollLink(server=SERVER, claim="c" * 32)).state == "failed"
    opened(tmp_path, KEEP + timedelta(days=1))
    assert list((tmp_path / "claims").iterdir()) == []


def rewritten(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_a_newer_agent_added_to_an_entry_is_overlooked(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    entry = journal.answer(SERVER, DEVICE, job(), Removed())
    (path,) = (tmp_path / "jobs").iterdir()
    rewritten(path, mood="good")
    assert opened(tmp_path).answered(SERVER, "job-1") == entry


def test_an_answer_in_a_newer_agents_words_is_set_aside_and_the_job_done_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.answer(SERVER, DEVICE, job(), Removed())
    (path,) = (tmp_path / "jobs").iterdir()
    rewritten(path, body={"outcome": "danced"})
    other = journal.answer(SERVER, DEVICE, job(job_id="job-2"), Removed())
    assert journal.answered(SERVER, "job-1") is None
    assert path.with_suffix(".damaged").exists()
    assert opened(tmp_path).entries(SERVER, DEVICE) == [other]


def test_unfinished_writes_are_swept_and_damage_is_set_aside(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    (tmp_path / "jobs" / ".tmp-1").write_text("{")
    journal.recover()
    assert not (tmp_path / "jobs" / ".tmp-1").exists()
    (tmp_path / "jobs" / "x.json").write_text("{")
    assert journal.entries(SERVER, DEVICE) == []
    assert (tmp_path / "jobs" / "x.damaged").exists()


def test_a_claim_is_hopeless_when_no_server_can_go_on_with_it(tmp_path: Path) -> None:
    claim = opened(tmp_path).open_claim(EnrollLink(server=SERVER, claim="c" * 32))
    journal = Journal(tmp_path, lambda: NOW + RESUMABLE - timedelta(seconds=1))
    assert journal.hopeless_claims() == []
    journal = Journal(tmp_path, lambda: NOW + RESUMABLE)
    assert journal.hopeless_claims() == [claim]
