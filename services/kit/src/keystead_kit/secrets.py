"""Random tokens, their stored form, and signed tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


def new_id() -> str:
    """A fresh identifier: a random UUID (RFC 9562 version 4) as 32 hex digits."""
    return uuid.uuid4().hex


def new_token() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """How a random token is stored: SHA-256, hex. Enough for 256 random bits; never for what a person chose."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed_digest(key: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA-256 (RFC 2104) of `text` under `key`, hex; `purpose` keeps uses of one key apart."""
    return hmac.new(key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Whether two secrets are equal, in constant time."""
    return hmac.compare_digest(a.encode(), b.encode())


class TokenSigner:
    """Signs JWTs with one P-256 key (ES256, RFC 7518 section 3.4)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> TokenSigner:
        """The signer whose PKCS#8 PEM key is in `path`. Raises ValueError if it is not a P-256 key."""
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"{path} does not hold a P-256 private key")
        return cls(key)

    def sign(self, claims: dict[str, Any]) -> str:
        """`claims` as a compact JWT."""
        return jwt.encode(claims, self._key, algorithm="ES256")

    def verifier(self) -> TokenVerifier:
        """The matching verifier."""
        return TokenVerifier(self._key.public_key())


LEEWAY = 30
"""Seconds by which the clock of the machine that signed may be ahead."""


class TokenVerifier:
    """Verifies ES256 JWTs with one public key."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> TokenVerifier:
        """The verifier whose SubjectPublicKeyInfo PEM is in `path`. Raises ValueError if it is not a P-256 key."""
        key = load_pem_public_key(path.read_bytes())
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"{path} does not hold a P-256 public key")
        return cls(key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenVerifier) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key.public_numbers())

    def verify(self, token: str, *, issuer: str, audience: str) -> dict[str, Any]:
        """The claims of a valid, unexpired token. Raises jwt.InvalidTokenError."""
        claims = jwt.decode(
            token,
            self._key,
            algorithms=["ES256"],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp", "iat", "iss", "aud", "sub"], "verify_iat": False},
        )
        if not isinstance(claims["iat"], int) or claims["iat"] > time.time() + LEEWAY:
            raise jwt.ImmatureSignatureError("the token is from the future: compare the machines' clocks")
        return claims


def same_key_pair(private_path: Path, public_path: Path) -> bool:
    """Whether two PEM files hold the halves of one key pair. Raises ValueError if one is no P-256 key."""
    return TokenSigner.from_file(private_path).verifier() == TokenVerifier.from_file(public_path)


def write_signing_key(private_path: Path, public_path: Path) -> bool:
    """Makes a P-256 token key pair (private mode 0600) unless the private file exists; whether it was made."""
    if private_path.exists():
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    for path in (private_path, public_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    public_path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    private_path.touch(mode=0o600)
    private_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return True
