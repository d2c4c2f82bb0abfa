from __future__ import annotations

import pytest

from keystead_agent import errors
from keystead_agent.keystore._cng_errors import EXAMINING, LOADING, MAKING, OPENING, REMOVING, SIGNING, explain


@pytest.mark.parametrize(
    ("status", "doing", "kind"),
    [
        (0x80090030, OPENING, errors.TpmMissing),
        (0x80090030, MAKING, errors.TpmMissing),
        (0x80090030, SIGNING, errors.TpmFailed),
        (0x80290401, EXAMINING, errors.TpmMissing),
        (0x8028400F, OPENING, errors.TpmMissing),
        (0x80280007, OPENING, errors.TpmMissing),
        (0x8009001E, OPENING, errors.TpmMissing),
        (0x80280400, MAKING, errors.TpmFailed),
        (0x80284008, OPENING, errors.TpmFailed),
        (0x80290407, MAKING, errors.TpmFailed),
        (0x80290405, MAKING, errors.AlgorithmUnsupported),
        (0x80290405, SIGNING, errors.TpmFailed),
        (0x80090029, MAKING, errors.AlgorithmUnsupported),
        (0x80090029, LOADING, errors.KeyLost),
        (0x80090029, SIGNING, errors.TpmFailed),
        (0x80090008, MAKING, errors.AlgorithmUnsupported),
        (0x80280084, MAKING, errors.AlgorithmUnsupported),
        (0x802802C4, MAKING, errors.AlgorithmUnsupported),
        (0x80090016, LOADING, errors.KeyLost),
        (0x80090016, SIGNING, errors.KeyLost),
        (0x80090016, MAKING, errors.TpmFailed),
        (0x80090011, LOADING, errors.KeyLost),
        (0x8009000D, LOADING, errors.KeyLost),
        (0x8028009F, LOADING, errors.KeyLost),
        (0x802801DF, SIGNING, errors.KeyLost),
        (0x8009000F, MAKING, errors.TpmFailed),
        (0x80090010, LOADING, errors.TpmFailed),
        (0x80090010, REMOVING, errors.TpmFailed),
        (5, LOADING, errors.TpmFailed),
        (0x80070005, MAKING, errors.TpmFailed),
        (0x80284012, SIGNING, errors.TpmFailed),
        (0x80280803, SIGNING, errors.TpmLockedOut),
        (0x80280921, SIGNING, errors.TpmLockedOut),
        (0x80280800, SIGNING, errors.TpmBusy),
        (0x80280922, MAKING, errors.TpmBusy),
        (0x8028400B, OPENING, errors.TpmBusy),
        (0x80280902, MAKING, errors.TpmFull),
        (0x80280015, SIGNING, errors.TpmFull),
        (0x8028400A, SIGNING, errors.TpmFull),
        (0x80280101, SIGNING, errors.TpmFailed),
        (0x80090022, SIGNING, errors.TpmFailed),
        (0x8009002D, SIGNING, errors.TpmFailed),
        (0x12345678, SIGNING, errors.TpmFailed),
    ],
)
def test_each_status_has_its_error(status: int, doing: str, kind: type[errors.KeyStoreError]) -> None:
    error = explain(status, doing)
    assert type(error) is kind
    assert error.detail
    assert error.advice or kind is errors.AlgorithmUnsupported


def test_access_denied_tells_whose_keys_are_whose() -> None:
    for status in (5, 0x80070005, 0x80090010, 0x80284012):
        assert "account" in explain(status, LOADING).advice


def test_the_code_is_shown_as_windows_writes_it() -> None:
    assert "0x80290407" in explain(0x80290407, MAKING).detail


def test_a_command_that_is_blocked_is_not_mistaken_for_a_code_of_the_tpm() -> None:
    assert "blocks" in explain(0x80280400, SIGNING).detail
