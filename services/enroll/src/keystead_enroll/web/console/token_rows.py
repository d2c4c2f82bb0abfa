"""API tokens as rows of a table."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Administrator, ApiToken
from keystead_enroll.ports import Transaction
from keystead_enroll.web.console.cells import Cell, moment, tag, text
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.widgets import Column, Row

TOKENS = f"{HOME}/tokens"
TOKEN_COLUMNS = (
    Column("name", Words("Name")),
    Column("owner", Words("Whose")),
    Column("created", Words("Made"), narrow=True),
    Column("used", Words("Last used"), narrow=True),
    Column("expires", Words("Ends"), narrow=True),
)


def token_row(tx: Transaction, token: ApiToken) -> Row:
    """A token's row."""
    owner = tx.get(Administrator, token.administrator_id)
    return Row(
        f"{TOKENS}/{token.id}",
        (
            text(token.name),
            text(owner.name if owner else ""),
            moment(token.created_at),
            moment(token.last_used_at, relative=True),
            tag("calm", Words("Revoked")) if token.revoked_at else moment(token.expires_at, relative=True),
        ),
    )


def token_state(token: ApiToken, owner: Administrator | None, now: datetime) -> Cell:
    """Whether it opens anything."""
    if token.revoked_at is not None:
        return tag("calm", Words("Revoked"))
    if not token.usable(now):
        return tag("calm", Words("Expired"))
    return tag("good", Words("Works")) if owner and owner.active else tag("warn", Words("Its owner is not active"))
