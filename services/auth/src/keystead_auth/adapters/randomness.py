"""Ids and tokens from the operating system's generator."""

from __future__ import annotations

from keystead_kit import secrets


class SystemRandomness:
    """`ports.Randomness`."""

    def new_id(self) -> str:
        """See the port."""
        return secrets.new_id()

    def new_token(self) -> str:
        """See the port."""
        return secrets.new_token()
