"""Trying whether the TPM vouches for keys, on Windows' fake; on a TPM that is one in tests/integration/agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.windows_computer import WindowsComputer

from keystead_agent.findings import Mark
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.trial import try_identity


@pytest.fixture
def computer(tmp_path: Path) -> WindowsComputer:
    return WindowsComputer(tmp_path, machine_keys=True)


def test_a_tpm_that_vouches_for_keys_is_said_to_and_no_key_is_left(computer: WindowsComputer) -> None:
    found = list(try_identity(computer.machine))
    assert [finding.mark for finding in found] == [Mark.GOOD] * 4
    assert [finding.subject for finding in found][2:] == ["a key of ec-p256", "a key of rsa-2048"]
    assert len(computer.ncrypt.kept()) == 1


def test_a_tpm_without_an_identity_is_said_to_have_none(computer: WindowsComputer) -> None:
    computer.ncrypt.failing["get_property"] = lambda name: n.NOT_SUPPORTED if name == n.PCP_EK_PUBLIC else 0
    (found,) = try_identity(computer.machine)
    assert (found.mark, found.subject) == (Mark.BAD, "TPM's identity")
    assert computer.ncrypt.kept() == set()


def test_a_key_that_is_not_vouched_for_is_said_why(computer: WindowsComputer) -> None:
    computer.ncrypt.failing["create_claim"] = 0x80280400
    found = list(try_identity(computer.machine))
    assert [finding.mark for finding in found] == [Mark.GOOD, Mark.GOOD, Mark.BAD, Mark.BAD]
    assert "blocks" in found[2].found
    assert len(computer.ncrypt.kept()) == 1
