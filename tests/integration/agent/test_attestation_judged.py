"""The agent on a TPM with a maker, and a whole enroll that judges what it proves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.integration.agent.conftest import Agent
from tests.support.administrators import master
from tests.support.enroll_app import REGISTRATION_TOKEN, EnrollApp, http, served
from tests.support.servers import wait_until
from tests.support.swtpm import Swtpm
from tests.support.swtpm_maker import SwtpmMaker, _first_tpm, made_tpm, swtpm_maker

from keystead_agent.errors import ExitCode
from keystead_enroll.cli import main
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_kit.secrets import new_id

__all__ = ["_first_tpm", "made_tpm", "swtpm_maker"]
pytestmark = pytest.mark.tpm
VENDOR: dict[str, Any] = {
    "profiles": [
        {
            "name": "Vouched for",
            "type": "client",
            "key_algorithms": ["ec-p256", "rsa-2048"],
            "term_days": [365],
            "subject": "CN={name|email}, O={organization}",
            "subject_alternative_names": ["email:{email}"],
            "minimum_assurance": "vendor",
        }
    ],
    "forms": [
        {
            "name": "Vouched for",
            "type": "client",
            "accounts": [{"name": "All", "organization": "Example Hospital", "profiles": ["Vouched for"]}],
        }
    ],
}


@contextmanager
def enrolling(database_url: str, redis_url: str, roots: Path | None) -> Iterator[EnrollApp]:
    """An enroll with a worker, which trusts the roots in a folder."""
    done = threading.Event()
    with served(database_url, redis_url, ek_roots_folder=roots) as app:
        app.uris |= app.apply(VENDOR)

        def work() -> None:
            while not done.wait(0.1):
                app.work()

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            yield app
        finally:
            done.set()
            worker.join(20)


@pytest.fixture
def roots(tmp_path: Path, _first_tpm: Path, swtpm_maker: SwtpmMaker) -> Path:
    folder = tmp_path / "roots"
    folder.mkdir()
    (folder / "root.pem").write_text(swtpm_maker.root_pem)
    (folder / "issuer.pem").write_text(swtpm_maker.issuer_pem)
    return folder


@pytest.fixture
def trusting(database_url: str, redis_url: str, roots: Path) -> Iterator[EnrollApp]:
    with enrolling(database_url, redis_url, roots) as app:
        yield app


@pytest.fixture
def knowing(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    """One that trusts no maker."""
    with enrolling(sqlite_url, redis_url, None) as app:
        yield app


def registered(agent: Agent, app: EnrollApp) -> dict[str, Any]:
    done = agent("register", app.origin, "--token", REGISTRATION_TOKEN, "--json")
    assert done.returncode == ExitCode.DONE, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def by_link(agent: Agent, app: EnrollApp, form: str, profile: str) -> str:
    browser = app.browser(form, client=http(app))
    order_id = browser.order(profile)
    done = agent("enroll", "--yes", str(browser.link(order_id)))
    assert done.returncode == ExitCode.DONE, done.stderr
    return order_id


def test_a_tpm_whose_maker_is_trusted_reaches_vendor(
    make_agent: Callable[[str], Agent], made_tpm: Swtpm, trusting: EnrollApp, tmp_path: Path
) -> None:
    agent = make_agent(made_tpm.tcti)
    said = registered(agent, trusting)
    assert said["assurance"] == "vendor"
    assert registered(agent, trusting) == said
    agent.start("run")
    browser = trusting.browser("Vouched for", client=http(trusting))
    orders = [
        browser.order("Vouched for", target=said["device_id"], key_algorithm=algorithm)
        for algorithm in ("ec-p256", "rsa-2048")
    ]
    for order_id in orders:
        wait_until(lambda order_id=order_id: trusting.order(order_id).over, "the order's end", 60)  # type: ignore[misc]
    orders.append(by_link(agent, trusting, "Vouched for", "Vouched for"))
    assert {(trusting.order(each).state, trusting.order(each).assurance) for each in orders} == {
        ("installed", "vendor")
    }
    api = master(trusting)
    for certificate in api.items("/certificates"):
        file = tmp_path / "evidence.json"
        file.write_bytes(api("GET", f"/certificates/{certificate['id']}/evidence").content)
        judged = CliRunner().invoke(
            main, ("evidence", "verify", str(file), "--roots", str(tmp_path / "roots"), "--at-least", "vendor")
        )
        assert judged.exit_code == 0, judged.output


def test_a_tpm_that_is_listed_reaches_listed_and_else_attested(
    make_agent: Callable[[str], Agent], made_tpm: Swtpm, knowing: EnrollApp
) -> None:
    agent = make_agent(made_tpm.tcti)
    said = registered(agent, knowing)
    assert said["assurance"] == "attested"
    assert knowing.order(by_link(agent, knowing, "Staff", "Person in TPM")).assurance == "attested"
    with knowing.enroll.transactions.write() as tx:
        device = tx.device(said["device_id"])
        assert device is not None and device.ek_sha256 is not None
        entry = EndorsementKey(new_id(), None, device.ek_sha256, Ruling.ALLOW, created_at=knowing.clock.now())
        tx.add(entry)
    assert registered(agent, knowing)["assurance"] == "listed"
    assert knowing.order(by_link(agent, knowing, "Staff", "Person in TPM")).assurance == "listed"


def test_a_tpm_that_is_not_vouched_for_gets_nothing_that_demands_it(
    make_agent: Callable[[str], Agent], made_tpm: Swtpm, knowing: EnrollApp
) -> None:
    agent = make_agent(made_tpm.tcti)
    browser = knowing.browser("Vouched for", client=http(knowing))
    order_id = browser.order("Vouched for")
    done = agent("enroll", "--yes", str(browser.link(order_id)))
    assert done.returncode != ExitCode.DONE
    assert "nobody here knows this TPM" in done.stderr
    assert knowing.order(order_id).failure_code == "assurance.too_low"
    assert knowing.certificates() == []


def test_a_machine_that_was_set_up_anew_is_known_again(
    make_agent: Callable[[str], Agent], made_tpm: Swtpm, trusting: EnrollApp
) -> None:
    agent = make_agent(made_tpm.tcti)
    first = registered(agent, trusting)["device_id"]
    for file in sorted((agent.state_dir / "device").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    again = registered(agent, trusting)
    assert again["device_id"] != first
    assert again["assurance"] == "claimed"
    answer = master(trusting)("POST", f"/devices/{again['device_id']}/same-machine")
    assert answer.json()["assurance"] == "vendor"
    agent.start("run")
    browser = trusting.browser("Vouched for", client=http(trusting))
    order_id = browser.order("Vouched for", target=again["device_id"])
    wait_until(lambda: trusting.order(order_id).over, "the order's end", 60)
    assert trusting.order(order_id).assurance == "vendor"
