from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.agent_server import certify

from keystead_agent.doctor_tpm import endorsement_finding
from keystead_agent.keystore.attesting import StoredCertificate

KEY = ec.generate_private_key(ec.SECP256R1())


def der(issuer: str = "Maker") -> bytes:
    return certify("TPM", KEY.public_key(), issuer, KEY, ca=False).public_bytes(serialization.Encoding.DER)


def found(content: bytes) -> str:
    return endorsement_finding([StoredCertificate(0x01C00002, content, "rsa-2048")]).found


def test_padding_and_prefix_do_not_matter() -> None:
    length = len(der()).to_bytes(2, "big")
    for content in (der(), der() + b"\xff" * 400, der() + b"\0" * 3, b"\x10\x01\x00" + length + der()):
        assert found(content) == "rsa-2048 by Maker"


@pytest.mark.parametrize("content", [b"\0" * 10, b"\x30\x82", b"\x10\x01\x00", der()[:-1], b"\x30\x82\x00\x04abcd"])
def test_what_is_no_certificate_is_still_found(content: bytes) -> None:
    assert found(content) == "rsa-2048 (cannot be read here)"


def test_a_makers_name_cannot_draw_on_the_terminal() -> None:
    assert found(der("Maker\x1b[2J\u202e")) == "rsa-2048 by Maker?[2J?"


def test_a_tpm_without_certificates_is_no_trouble() -> None:
    assert endorsement_finding([]).mark == "good"
