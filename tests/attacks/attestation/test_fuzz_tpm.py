"""A little of `make fuzz-tpm`, the same each time."""

from __future__ import annotations

from tests.attacks.attestation.fuzz import fuzz


def test_mutilated_structures_are_refused_or_read_and_break_nothing() -> None:
    outcome = fuzz(20261126, lambda rounds: rounds >= 60)
    assert not outcome.found
    assert [name for name in outcome.slowest if not outcome.refused[name]] == ["what NV indices hold"]
