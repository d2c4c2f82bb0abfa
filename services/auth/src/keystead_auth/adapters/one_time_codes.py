"""Codes of authenticator apps (TOTP, RFC 6238), and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

import pyotp
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keystead_kit.secrets import keyed_digest, same

STEP_SECONDS, DIGITS, WINDOW = 30, 6, 1
"""What authenticator apps take for granted (SHA-1 is their digest), and how many steps a clock may be off."""
_NONCE_OCTETS = 12
_RECOVERY_OCTETS = 10


class TotpCodes:
    """`ports.OneTimeCodes`. Secrets are sealed by AES-256-GCM, bound to their administrator, under a key of `key`."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(hmac.new(key, b"totp-secrets", hashlib.sha256).digest())
        self._key = key

    def new_secret(self, administrator: str) -> str:
        """See the port."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        sealed = self._cipher.encrypt(nonce, pyotp.random_base32().encode(), administrator.encode())
        return base64.b64encode(nonce + sealed).decode()

    def shown(self, sealed: str, administrator: str) -> str:
        """See the port. Raises cryptography's InvalidTag if it is not theirs, or the key is another."""
        octets = base64.b64decode(sealed)
        return self._cipher.decrypt(octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:], administrator.encode()).decode()

    def step(self, sealed: str, administrator: str, code: str, now: datetime) -> int | None:
        """See the port."""
        typed = "".join(code.split())
        if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
            return None
        totp = pyotp.TOTP(self.shown(sealed, administrator), digits=DIGITS, interval=STEP_SECONDS)
        current = int(now.timestamp()) // STEP_SECONDS
        steps = range(current - WINDOW, current + WINDOW + 1)
        matching = [step for step in steps if same(totp.generate_otp(step), typed)]
        return matching[-1] if matching else None

    def new_recovery_codes(self, count: int) -> list[str]:
        """See the port: 80 random bits each."""
        codes = (base64.b32encode(secrets.token_bytes(_RECOVERY_OCTETS)).decode().lower() for _ in range(count))
        return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]

    def recovery_digest(self, administrator: str, code: str) -> str:
        """See the port."""
        plain = "".join(code.split()).replace("-", "").lower()
        return keyed_digest(self._key, f"recovery-{administrator}", plain)
