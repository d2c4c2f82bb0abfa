"""What every service's `migrations/env.py` runs: migrate on the connection that `Migrations` passes in."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Runs the migrations that Alembic asks for."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["target_metadata"],
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        user_module_prefix="keystead_kit.db.",
    )
    with context.begin_transaction():
        context.run_migrations()
