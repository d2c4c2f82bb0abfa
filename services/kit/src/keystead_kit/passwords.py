"""Passwords and Secret IDs: hashing by argon2id (RFC 9106), and what makes a password fit (NIST SP 800-63B)."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

TIME_COST, MEMORY_KIB, LANES = 2, 19 * 1024, 1
"""OWASP's second choice for argon2id: 18 ms and 19 MiB for each hash on a small server."""
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 256
_HASHER = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES)
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$YzkHY1SihoGmcON9XplQOA$gIQXl9mPC55kXMgRt9ivGgejgRX/wZ/93A2nGNCmHDk"
"""The hash of a random value that nobody kept: what is compared where there is nobody."""
_COMMONEST = """
    123456789012 1234567890123 12345678901234 123456789abc 1q2w3e4r5t6y 1qaz2wsx3edc abcdefghijkl administrator
    administrator1 changemechangeme changeme1234 correcthorsebatterystaple footballfootball iloveyou1234
    keystead1234 keysteadkeystead letmeinletmein monkeymonkey password1234 password12345 password123456
    passwordpassword princess1234 qazwsxedcrfv qwerty123456 qwerty1234567 qwertyqwerty qwertyuiop12 qwertyuiop123
    qwertyuiopasdf secretsecret sunshine1234 superman1234 trustno1trustno1 welcome12345 welcomewelcome zaq12wsxcde3
    """
_COMMON = frozenset(_COMMONEST.split())


class Unfit(StrEnum):
    """Why a password is not taken."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    NAME = "name"


def hash_password(password: str) -> str:
    """The PHC string to store: argon2id over the NFKC form (Unicode UAX 15), so that every keyboard's way to write a
    character gives the same password."""
    return _HASHER.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one whose hash is stored. Does the same work where nothing is stored (None)."""
    try:
        return _HASHER.verify(stored or _NOBODYS, _normal(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Whether `stored` was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def unfit(password: str, *names: str) -> Unfit | None:
    """Why `password` is no password for somebody with these names and addresses; None if it is one.

    Length and what is easily guessed count, kinds of characters do not (NIST SP 800-63B section 5.1.1.2).
    """
    text = _normal(password)
    if len(text) < LEAST_CHARACTERS:
        return Unfit.SHORT
    if len(text) > MOST_CHARACTERS:
        return Unfit.LONG
    folded = text.casefold()
    if folded in _COMMON or len(set(folded)) < 3:
        return Unfit.COMMON
    plain = "".join(folded.split())
    if any(plain == "".join(_normal(name).casefold().split()) for name in names):
        return Unfit.NAME
    return None


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
