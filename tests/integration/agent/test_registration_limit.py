"""The agent and a registration token that registers no more computers, against a whole enroll."""

from __future__ import annotations

import pytest
from tests.integration.agent.conftest import Agent
from tests.integration.test_registration_limits import made, sent
from tests.support.administrators import master
from tests.support.enroll_app import served

from keystead_agent.errors import ExitCode

pytestmark = pytest.mark.tpm


def test_a_computer_that_comes_too_late_is_told_what_to_do_and_registers_once_there_is_room(
    agent: Agent, sqlite_url: str, redis_url: str
) -> None:
    with served(sqlite_url, redis_url) as app:
        token = made(app, most_devices=1)
        assert sent(app, token["secret"]).status_code == 200
        refused = agent("register", app.origin, "--token", token["secret"])
        assert refused.returncode == ExitCode.FAILED
        told = " ".join(refused.stderr.split())
        assert "error: This registration token does not register this computer." in told
        assert "hint: See that the token was copied whole." in told and "can raise its limit" in told
        assert token["secret"] not in told
        key = (agent.state_dir / "device" / "pending" / "key.tss.pem").read_bytes()
        master(app)("PATCH", f"/registration-tokens/{token['id']}", json={"most_devices": 2})
        again = agent("register", app.origin, "--token", token["secret"])
        assert again.returncode == ExitCode.DONE, again.stderr
        assert (agent.state_dir / "device" / "identity" / "key.tss.pem").read_bytes() == key
