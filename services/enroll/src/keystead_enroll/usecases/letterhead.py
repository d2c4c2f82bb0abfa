"""What every letter about a request begins with."""

from __future__ import annotations

from typing import Protocol, TypedDict

from keystead_enroll.domain.enrollment import EnrollmentForm, Organization


class Letterhead(TypedDict):
    """The fields that all facts about a person's request share; see `keystead_contracts.events`."""

    email: str
    organization: str
    form_name: str
    order_id: str
    portal_link: str
    help_link: str | None
    language: str


class _Asked(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def person_email(self) -> str: ...
    @property
    def language(self) -> str: ...


def letterhead(order: _Asked, form: EnrollmentForm, organization: Organization, origin: str) -> Letterhead:
    """Of a letter to whoever asked for `order` at `form`."""
    return Letterhead(
        email=order.person_email,
        organization=organization.name,
        form_name=form.name,
        order_id=order.id,
        portal_link=f"{origin}/e/{form.uri_extension}/orders/{order.id}",
        help_link=form.help_link,
        language=order.language,
    )
