"""What every service's `migrations/env.py` runs: migrate on the connection that `Migrations` passes in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator


def run() -> None:
    """Runs the migrations that Alembic asks for."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["target_metadata"],
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=_render_plain,
    )
    with context.begin_transaction():
        context.run_migrations()


def _render_plain(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Migrations speak of the database's own types: they must not change when the code's types do."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False
