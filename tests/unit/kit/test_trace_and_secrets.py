"""Trace ids, random tokens, signed tokens."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keystead_kit.secrets import (
    TokenSigner,
    TokenVerifier,
    keyed_digest,
    new_id,
    new_token,
    same,
    token_digest,
    write_signing_key,
)
from keystead_kit.trace import bound_trace_id, current_trace_id, format_traceparent, parse_traceparent, tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_traceparent_reads_back() -> None:
    assert parse_traceparent(format_traceparent(TRACE)) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE,
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
        f"01-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE}-00f067aa0ba902b7-01-extra",
    ],
)
def test_what_is_no_traceparent_is_none(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_tracing_nests_and_ends() -> None:
    assert bound_trace_id() is None
    with tracing(TRACE):
        with tracing(None) as inner:
            assert current_trace_id() == inner != TRACE
        assert current_trace_id() == TRACE
    assert bound_trace_id() is None


def test_ids_and_tokens_are_fresh_and_url_safe() -> None:
    assert len({new_id() for _ in range(100)}) == 100
    assert len(new_id()) == 32
    assert len(new_token()) == 43
    assert len(token_digest(new_token())) == 64


def test_a_keyed_digest_depends_on_key_purpose_and_text() -> None:
    digests = {
        keyed_digest(b"k", "p", "t"),
        keyed_digest(b"K", "p", "t"),
        keyed_digest(b"k", "P", "t"),
        keyed_digest(b"k", "p", "T"),
    }
    assert len(digests) == 4
    assert keyed_digest(b"k", "p", "t") in digests


def test_same_compares_any_text() -> None:
    assert same("ä", "ä")
    assert not same("ä", "a")


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(ec.generate_private_key(ec.SECP256R1()))


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    return {"iss": "i", "aud": "a", "sub": "s", "iat": now, "exp": now + 60} | changes


def test_a_signed_token_verifies(signer: TokenSigner) -> None:
    given = claims()
    assert signer.verifier().verify(signer.sign(given), issuer="i", audience="a") == given


def test_a_signers_clock_may_be_a_little_ahead(signer: TokenSigner) -> None:
    ahead = claims(iat=int(time.time()) + 10)
    assert signer.verifier().verify(signer.sign(ahead), issuer="i", audience="a") == ahead


@pytest.mark.parametrize(
    "changes",
    [{"iss": "x"}, {"aud": "x"}, {"exp": 1}, {"iat": 9999999999}, {"iat": "soon"}, {"nbf": 9999999999}],
)
def test_a_token_for_others_or_another_time_is_refused(signer: TokenSigner, changes: dict[str, object]) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        signer.verifier().verify(signer.sign(claims(**changes)), issuer="i", audience="a")


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "iat", "exp"])
def test_a_token_without_a_claim_is_refused(signer: TokenSigner, missing: str) -> None:
    given = claims()
    del given[missing]
    with pytest.raises(jwt.InvalidTokenError):
        signer.verifier().verify(signer.sign(given), issuer="i", audience="a")


def test_a_key_pair_is_made_once_and_kept_private(tmp_path: Path) -> None:
    private, public = tmp_path / "a" / "key.pem", tmp_path / "b" / "pub.pem"
    assert write_signing_key(private, public)
    before = private.read_bytes()
    assert not write_signing_key(private, public)
    assert private.read_bytes() == before
    assert private.stat().st_mode & 0o777 == 0o600
    token = TokenSigner.from_file(private).sign(claims())
    assert TokenVerifier.from_file(public).verify(token, issuer="i", audience="a")["sub"] == "s"


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA"],
)
def test_other_keys_are_refused(tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    (tmp_path / "k").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "p").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ValueError, match="P-256"):
        TokenSigner.from_file(tmp_path / "k")
    with pytest.raises(ValueError, match="P-256"):
        TokenVerifier.from_file(tmp_path / "p")
