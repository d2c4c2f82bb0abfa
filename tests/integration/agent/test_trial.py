"""`keystead-agent setup identity` on a TPM."""

from __future__ import annotations

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode

pytestmark = pytest.mark.tpm


def test_a_tpm_that_vouches_for_keys_is_said_to(agent: Agent, swtpm: Swtpm) -> None:
    done = agent("setup", "identity")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert done.stdout.count("the TPM vouches for it") == 2
    assert swtpm.tool("tpm2_getcap", "handles-transient") == ""


def test_one_that_does_not_is_said_to(agent: Agent, swtpm: Swtpm) -> None:
    swtpm.tool("tpm2_changeauth", "-c", "endorsement", "secret")
    done = agent("setup", "identity")
    assert done.returncode == ExitCode.FAILED
    assert "shows none" in done.stdout
