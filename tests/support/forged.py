"""Tokens forged from a genuine one, as an attacker does who knows the public key."""

from __future__ import annotations

import base64
import hmac
import json


def forged_tokens(genuine: str, public_key_pem: bytes) -> dict[str, str]:
    """How it is forged → the token."""
    _, payload, signature = genuine.split(".")

    def header(algorithm: str) -> str:
        return _base64url(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())

    mac = hmac.digest(public_key_pem, f"{header('HS256')}.{payload}".encode(), "sha256")
    return {
        "none": f"{header('none')}.{payload}.",
        "HS256 with the public key": f"{header('HS256')}.{payload}.{_base64url(mac)}",
        "stripped": f"{header('ES256')}.{payload}.",
        "other payload": f"{header('ES256')}.{_base64url(b'{}')}.{signature}",
        "junk": "a.b.c",
    }


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
