"""What an attestation key signs about another key is bound to one nonce, one purpose and one key."""

from __future__ import annotations

import hashlib

import pytest

from keystead_contracts.attestation import purpose_at, qualifying_data

NONCE, ORDER, KEY = bytes(range(32)), "0" * 31 + "1", b"SubjectPublicKeyInfo"


def test_it_is_what_every_agent_and_server_ever_agreed_on() -> None:
    written = b"keystead-certify-1\n" + NONCE + hashlib.sha256(KEY).digest() + ORDER.encode()
    assert qualifying_data(NONCE, ORDER, KEY) == hashlib.sha256(written).digest()
    assert qualifying_data(NONCE, ORDER, KEY).hex() == (
        "715acefc30617929721b387c3deac693156b1fc8ac32fc6455db2afa986567ee"
    )


@pytest.mark.parametrize(
    "other",
    [
        (b"\xff" + NONCE[1:], ORDER, KEY),
        (NONCE, ORDER[:-1] + "2", KEY),
        (NONCE, "", KEY),
        (NONCE, ORDER, KEY + b"\0"),
        (NONCE, ORDER, b""),
    ],
    ids=["nonce", "order", "no order", "key", "no key"],
)
def test_another_nonce_order_or_key_gives_other_octets(other: tuple[bytes, str, bytes]) -> None:
    assert qualifying_data(*other) != qualifying_data(NONCE, ORDER, KEY)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="nonce"):
        qualifying_data(bytes(length), ORDER, KEY)


def test_what_is_said_to_one_server_is_nothing_to_another() -> None:
    assert purpose_at("https://a.example", ORDER) == f"https://a.example {ORDER}"
    asked = {
        qualifying_data(NONCE, purpose_at(origin, ORDER), KEY) for origin in ("https://a.example", "https://b.example")
    }
    assert len(asked) == 2
