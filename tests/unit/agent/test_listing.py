from __future__ import annotations

import pytest

from keystead_contracts.base import serial_hex


@pytest.mark.parametrize(("number", "text"), [(0x0174A925, "0174a925"), (0xAB, "ab"), (0x5, "05")])
def test_a_serial_number_is_spelt_by_whole_octets_as_openssl_does(number: int, text: str) -> None:
    assert serial_hex(number) == text
