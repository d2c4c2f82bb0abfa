"""The `PasswordHasher` port: argon2id."""

from __future__ import annotations

from keystead_kit.passwords import hash_secret, verify_secret


class Argon2Hasher:
    """Secret IDs as they are stored."""

    def hash(self, text: str) -> str:
        """`text` as an argon2id PHC string, another one each time."""
        return hash_secret(text)

    def verify(self, text: str, phc: str) -> bool:
        """Whether `phc` was made of `text`."""
        return verify_secret(text, phc)
