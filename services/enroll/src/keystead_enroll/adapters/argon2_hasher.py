"""The `PasswordHasher` port: argon2id."""

from __future__ import annotations

from keystead_kit.passwords import hash_password, verify_password


class Argon2Hasher:
    """Secret IDs as they are stored."""

    def hash(self, text: str) -> str:
        """`text` as an argon2id PHC string, another one each time."""
        return hash_password(text)

    def verify(self, text: str, phc: str) -> bool:
        """Whether `phc` was made of `text`."""
        return verify_password(phc, text)
