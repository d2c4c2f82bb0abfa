"""The routes that every kind of thing has: list, create, show, change, delete.

This module evaluates its annotations when a router is made, because they name the models of the resource at hand:
no `from __future__ import annotations` here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.search import ListDefinition, PageWanted
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, reach
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools, Created, PageOf, merged, partial_of

T = TypeVar("T")
Create = Callable[[Transactions, Clock, Actor, Any, Once | None], str]
Change = Callable[[Transactions, Clock, Actor, str, Any], None]
Delete = Callable[[Transactions, Clock, Actor, str], None]


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A kind of thing at `path` (`/organizations`); `kind` is its name in words ("organization").

    `show` makes what is answered of an entity; `as_input` what a change begins with, by default the fields of `given`
    as they are shown. A verb that is None has no route; `one`: whether there is the usual route that shows one.
    """

    path: str
    kind: str
    definition: ListDefinition[T]
    shown: type[BaseModel]
    given: type[BaseModel]
    show: Callable[[Transaction, Actor, T], BaseModel]
    create: Create | None = None
    change: Change | None = None
    delete: Delete | None = None
    tag: str = ""
    one: bool = True

    def as_input(self, shown: BaseModel) -> dict[str, Any]:
        """What a change begins with."""
        plain = shown.model_dump()
        return {name: plain[name] for name in self.given.model_fields if name in plain}


def add_routes(api: APIRouter, tools: ApiTools, resource: Resource[Any]) -> None:
    """Adds the routes of `resource`."""
    transactions, clock, kind = tools.transactions, tools.clock, resource.kind
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    Wanted = Annotated[PageWanted, Depends(tools.page_wanted(resource.definition))]
    Shown, Given, Changed = resource.shown, resource.given, partial_of(resource.given)
    one, name = f"{resource.path}/{{id}}", kind.replace(" ", "_").replace("-", "_").lower()
    common: dict[str, Any] = {"tags": [resource.tag or resource.path.strip("/")], "responses": PROBLEMS}

    @api.get(resource.path, operation_id=f"list_{name}s", summary=f"List {kind}s", **common)
    def list_all(actor: Asker, wanted: Wanted) -> PageOf[Shown]:  # type: ignore[valid-type]
        with transactions.read() as tx:
            page = tx.page(resource.definition, actor.scope, wanted)
            return PageOf(items=[resource.show(tx, actor, item) for item in page.items], next=page.next)

    def show(actor: Asker, id: str) -> Shown:  # type: ignore[valid-type]
        with transactions.read() as tx:
            return resource.show(tx, actor, reach(tx, resource.definition, actor, id, kind))

    if resource.one:
        api.get(one, operation_id=f"show_{name}", summary=f"Show one {kind}", **common)(show)

    create, change, delete = resource.create, resource.change, resource.delete
    if create is not None:

        @api.post(resource.path, status_code=201, operation_id=f"create_{name}", summary=f"Make one {kind}", **common)
        def make(actor: Asker, body: Given, once: OnceKey) -> Created:  # type: ignore[valid-type]
            return Created(id=create(transactions, clock, actor, body, once))

    if change is not None:

        @api.patch(one, operation_id=f"change_{name}", summary=f"Change what the body names of one {kind}", **common)
        def alter(actor: Asker, id: str, body: Changed) -> Shown:  # type: ignore[valid-type]
            wanted = merged(resource.given, resource.as_input(show(actor, id)), body)
            change(transactions, clock, actor, id, wanted)
            return show(actor, id)

    if delete is not None:

        @api.delete(one, status_code=204, operation_id=f"delete_{name}", summary=f"Delete one {kind}", **common)
        def remove(actor: Asker, id: str) -> Response:
            delete(transactions, clock, actor, id)
            return Response(status_code=204)
