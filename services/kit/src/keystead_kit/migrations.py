"""Alembic, run from code: upgrade at deployment, and the check that models and migrations agree.

It is imported where it is used: every command knows its service's migrations, few run them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

    def upgrade(self, revision: str = "head") -> None:
        """Brings the schema up to the revision, all of it or nothing; two at once wait for each other."""
        from alembic import command

        with self._changing() as connection:
            command.upgrade(self._config(connection), revision)

    def downgrade(self, revision: str) -> None:
        """Takes the schema back to an earlier revision, all of it or nothing."""
        from alembic import command

        with self._changing() as connection:
            command.downgrade(self._config(connection), revision)

    def stamp(self, revision: str = "head") -> None:
        """Notes that the schema, which was made otherwise, is at this revision."""
        from alembic import command

        with self._changing() as connection:
            command.stamp(self._config(connection), revision)

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

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that may change the schema, on a connection of its own.

        SQLite changes a table by making it anew, which takes the old one away for a moment: foreign keys are looked at
        before the transaction ends instead of at each step (https://sqlite.org/lang_altertable.html, section 7).
        """
        with self._database.engine.connect() as connection:
            connection.detach()  # how it is set here is for nobody else
            if self._database.is_sqlite:
                connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
            with connection.begin():
                if not self._database.is_sqlite:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
                yield connection
                if self._database.is_sqlite:
                    _refuse_lost_references(connection)

    def _config(self, connection: Connection) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self._folder))
        config.attributes.update(connection=connection, target_metadata=self._metadata)
        return config


def _refuse_lost_references(connection: Connection) -> None:
    lost = {str(row[0]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
    if lost:
        raise RuntimeError(f"the migration would leave references to nothing in {', '.join(sorted(lost))}")
