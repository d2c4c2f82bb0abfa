"""Alembic, run from code: upgrade at deployment, and the check that models and migrations agree.

It is imported where it is used: every command knows its service's migrations, few run them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from keystead_kit.db import Database

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_KEY = 7_350_001


class Migrations:
    """The migrations of one service, in `folder` (an Alembic script location)."""

    def __init__(self, database: Database, metadata: MetaData, folder: Path) -> None:
        self._database, self._metadata, self._folder = database, metadata, folder

    def upgrade(self) -> None:
        """Brings the schema to the newest revision; two at once wait for each other."""
        from alembic import command

        with self._database.engine.begin() as connection:
            if not self._database.is_sqlite:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
            command.upgrade(self._config(connection), "head")

    def drift(self) -> list[str]:
        """How the database's schema differs from the models, in words; empty when they agree."""
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        with self._database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return [str(difference) for difference in compare_metadata(context, self._metadata)]

    def revise(self, message: str) -> None:
        """Writes a new revision that brings the newest schema to the models (development)."""
        from alembic import command

        with self._database.engine.begin() as connection:
            command.revision(self._config(connection), message, autogenerate=True)

    def _config(self, connection: Connection) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self._folder))
        config.attributes.update(connection=connection, target_metadata=self._metadata)
        return config
