"""What crypt32.dll answers with when a store cannot be used (winerror.h), in plain words."""

from __future__ import annotations

from keystead_agent.certstore._crypt32 import Crypt32Error
from keystead_agent.errors import StoreUnwritable

ACCESS_DENIED = {5, 0x80070005, 0x80090010}
"""ERROR_ACCESS_DENIED, E_ACCESSDENIED, NTE_PERM."""
WRITE_PROTECTED = {19, 0x80070013}
"""ERROR_WRITE_PROTECT."""
CANCELLED = {1223, 0x800704C7, 0x8010006E}
"""ERROR_CANCELLED, SCARD_W_CANCELLED_BY_USER: a person said no, or nobody could be asked."""


def explain(error: Crypt32Error, store: str) -> StoreUnwritable:
    """The error for what happened to `store`, such as LocalMachine\\My."""
    shown = f"{error.function}, 0x{error.code:08X}"
    if error.code in ACCESS_DENIED | WRITE_PROTECTED:
        return StoreUnwritable(
            f"Windows does not let this account change the certificate store {store} ({shown})",
            "The machine's stores need an administrator or the Keystead service; a group policy may protect the "
            "user's.",
        )
    if error.code in CANCELLED:
        return StoreUnwritable(
            f"the question whether to change the certificate store {store} was not answered with yes ({shown})",
            "Try again and agree, or let an administrator change the setting trust_root.",
        )
    return StoreUnwritable(
        f"the certificate store {store} cannot be used ({shown})",
        "See in certmgr.msc (certlm.msc for the computer's) whether it opens; restart the computer and try again.",
    )
