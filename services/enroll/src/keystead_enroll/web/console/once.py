"""The page that shows a secret, this once."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.web.console.widgets import Action, Crumb, DetailPage, Notice


def shown_once(title: str, secret: str, name: str, advice: str, back: str, crumbs: tuple[Crumb, ...]) -> DetailPage:
    """`secret`, with a button that copies it; `name` says what it is, `advice` what to do with it."""
    return DetailPage(
        title=title,
        sections=(),
        crumbs=crumbs,
        actions=(Action(Words("Done"), back, "primary"),),
        notices=(
            Notice(
                Words("It is shown this once and cannot be read again. {advice}", advice=advice), "warn", secret, name
            ),
        ),
    )
