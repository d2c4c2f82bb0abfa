"""What the API's routes share: who asks, which page of a list, creation once, and how refusals are described.

This module evaluates its annotations at once, because some name what is at hand: no `from __future__ import
annotations` here.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Header, Query, Request, Security
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field, create_model

from keystead_contracts.problems import PROBLEM_MEDIA_TYPE
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import SearchInvalid, TokenRefused
from keystead_enroll.domain.refusals import TooManyAttempts
from keystead_enroll.domain.search import (
    LONGEST_SEARCH,
    MOST_ROWS,
    USUAL_ROWS,
    ListDefinition,
    PageWanted,
    parse_search,
)
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.usecases.admin.tokens import actor_of_token
from keystead_enroll.web.input_errors import checked
from keystead_kit.http import client_address
from keystead_kit.ratelimit import network_of

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_MEANINGS = {
    400: "The request cannot be read.",
    401: "No valid token came with the request.",
    403: "The token may see this and not do it.",
    404: "There is no such thing, or it is outside of the token's scope.",
    405: "The address does not take that kind of request.",
    409: "It cannot be done to this thing as it is now.",
    413: "The request is too large.",
    422: "Part of the request is missing or wrong; `fields` says which.",
    429: "Too many requests were refused; `Retry-After` says how long to wait.",
    503: "More is asked than can be answered now; `Retry-After` says how long to wait.",
}
_PROBLEM = "#/components/schemas/Problem"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}}}}
    for status, meaning in _MEANINGS.items()
}
"""The problem documents (RFC 9457) that any of the API's addresses may answer with."""
BEARER = HTTPBearer(scheme_name="token", description="An API token, `ksa_…`, made in the console.", auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


class PageOf(BaseModel, Generic[T]):
    """A part of a list. `next`, if there is more, is the `after` of the next request; inserts do not shift pages."""

    items: list[T]
    next: str | None


class Created(BaseModel):
    """What was made, or had been made by an earlier request with the same Idempotency-Key."""

    id: str


class ApiTools:
    """Passed to each router of the API."""

    def __init__(self, enroll: Enroll) -> None:
        self.enroll = enroll
        self.transactions, self.clock = enroll.transactions, enroll.clock

    def actor(self, request: Request, credentials: Credentials) -> Actor:
        """The dependency that says who asks. Counts refused tokens by network address."""
        enroll, address = self.enroll, client_address(request)
        limit, key = enroll.settings.token_limit_address, ("api-token", network_of(address))
        retry_after = enroll.limits.check(limit, *key)
        if retry_after is not None:
            raise TooManyAttempts("Too many requests with invalid tokens came from this address.", retry_after)
        try:
            secret = credentials.credentials if credentials else ""
            return actor_of_token(enroll.transactions, enroll.clock, secret, address)
        except TokenRefused:
            enroll.limits.hit(limit, *key)
            raise

    def page_wanted(self, definition: ListDefinition[Any]) -> Callable[..., PageWanted]:
        """The dependency that reads which page of a list is wanted."""
        orders = [f"{sign}{name}" for name in definition.sorts for sign in ("", "-")]
        fields = ", ".join(f"`{name}` ({field.meaning})" for name, field in definition.fields.items())
        clock = self.clock

        def of(
            q: Annotated[
                str, Query(max_length=LONGEST_SEARCH, description=f"Words, and `field:value` of: {fields}.")
            ] = "",
            sort: Annotated[
                str | None, Query(description="Descending with `-`.", json_schema_extra={"enum": orders})
            ] = None,
            limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = USUAL_ROWS,
            after: Annotated[str | None, Query(max_length=2048, description="`next` of the page before.")] = None,
        ) -> PageWanted:
            if sort is not None and sort not in orders:
                raise SearchInvalid(f"The list cannot be sorted by “{sort}”.", f"It can by: {', '.join(orders)}.")
            search = parse_search(q, definition.fields, clock.now())
            order = sort or ""
            return PageWanted(search, order.removeprefix("-"), order.startswith("-"), limit, after)

        return of

    async def once(
        self,
        request: Request,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=255,
                pattern=r"^[\x21-\x7e]+$",
                description="Sent again with the same key, a creation happens once (kept for two days).",
            ),
        ] = None,
    ) -> Once | None:
        """The dependency that reads the Idempotency-Key of a creation."""
        if idempotency_key is None:
            return None
        body = await request.body()
        return Once(idempotency_key, hashlib.sha256(request.url.path.encode() + b"\n" + body).hexdigest())


def partial_of(model: type[BaseModel]) -> type[BaseModel]:
    """`model` with every field optional: the body of a PATCH (RFC 7396), which changes what it names."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        fields[name] = (info.annotation, Field(None, description=info.description))
    name = f"{model.__name__.removesuffix('Input')}Change"
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=model.__doc__, **fields)


def merged(model: type[M], current: Mapping[str, Any], change: BaseModel) -> M:
    """What `change` makes of `current`. Raises InputRefused."""
    named = {name: getattr(change, name) for name in change.model_fields_set}
    return checked(model, {**current, **named})
