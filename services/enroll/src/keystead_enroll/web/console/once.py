"""The page that shows a secret, this once, and what keeps a reload of it from making another one."""

from __future__ import annotations

import json

from fastapi import Request

from keystead_contracts.words import Words
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.web.console.form_widgets import FormField
from keystead_enroll.web.console.tools import Posted
from keystead_enroll.web.console.widgets import Action, Crumb, DetailPage, Notice
from keystead_kit.drafts import Draft
from keystead_kit.secrets import new_token, token_digest

PAGE_KEY = FormField("page_key", "", "hidden")
"""Fresh for every page: the same page sent twice is one deed."""


def page_key(draft: Draft | None = None) -> str:
    """The key of a page that is shown, or that of the draft's page."""
    return (draft.values.get(PAGE_KEY.name) if draft else None) or new_token()


def once_of(request: Request, posted: Posted) -> Once | None:
    """The deed of a page that was sent: the same answers from the same page are the same deed. None without a key."""
    if not posted.text(PAGE_KEY.name):
        return None
    sent = {name: list(values) for name, values in posted.values.items() if name != "form_token"}
    digest = token_digest(json.dumps([request.url.path, sent], sort_keys=True))
    return Once(f"page:{digest}", digest)


def shown_once(
    title: str, secret: str | None, name: str, advice: str, back: str, crumbs: tuple[Crumb, ...]
) -> DetailPage:
    """`secret`, with a button that copies it; `name` says what it is, `advice` what to do with it. None: it was shown
    when this page was sent before."""
    if secret is None:
        again = Words("This page was sent before, so nothing was made now.")
        lost = Words("The secret was shown then and cannot be read again. If you did not keep it, make a new one.")
        notice = Notice(Words("{what} {now}", what=again, now=lost), "warn")
    else:
        told = Words("It is shown this once and cannot be read again. {advice}", advice=advice)
        notice = Notice(told, "warn", secret, name)
    return DetailPage(
        title=title, sections=(), crumbs=crumbs, actions=(Action(Words("Done"), back, "primary"),), notices=(notice,)
    )
