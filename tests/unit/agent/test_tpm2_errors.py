from __future__ import annotations

import pytest

from keystead_agent import errors
from keystead_agent.keystore._tpm2_errors import EXAMINING, LOADING, MAKING, explain

RESOURCE_MANAGER, TCTI, ESYS = 0x000C0000, 0x000A0000, 0x00070000


@pytest.mark.parametrize(
    ("response", "doing", "kind"),
    [
        (0x902, MAKING, errors.TpmFull),
        (RESOURCE_MANAGER | 0x902, MAKING, errors.TpmFull),
        (0x903, LOADING, errors.TpmFull),
        (0x921, LOADING, errors.TpmLockedOut),
        (0x922, MAKING, errors.TpmBusy),
        (0x101, EXAMINING, errors.TpmFailed),
        (0x100, EXAMINING, errors.TpmFailed),
        (TCTI | 0x00A, EXAMINING, errors.TpmMissing),
        (ESYS | 0x00A, EXAMINING, errors.TpmFailed),
        (0x1DF, LOADING, errors.KeyLost),
        (0x18B, LOADING, errors.KeyLost),
        (0x1DF, MAKING, errors.TpmFailed),
        (0x2C4, MAKING, errors.AlgorithmUnsupported),
        (0x2C4, LOADING, errors.TpmFailed),
        (0x9A2, MAKING, errors.TpmFailed),
    ],
)
def test_each_response_has_its_error(response: int, doing: str, kind: type[errors.KeyStoreError]) -> None:
    error = explain(response, doing)
    assert type(error) is kind
    assert error.detail


def test_the_advice_fits_the_tpm_that_was_meant() -> None:
    assert "firmware" in explain(TCTI | 0x00A, EXAMINING).advice
    elsewhere = explain(TCTI | 0x00A, EXAMINING, "", "swtpm:port=9")
    assert "swtpm:port=9" in elsewhere.detail
    assert "KEYSTEAD_AGENT_TCTI" in elsewhere.advice


@pytest.mark.parametrize("response", [0x902, 0x921, 0x101, TCTI | 0x00A, 0x9A2])
def test_what_a_person_can_mend_comes_with_advice(response: int) -> None:
    assert explain(response, MAKING).advice
