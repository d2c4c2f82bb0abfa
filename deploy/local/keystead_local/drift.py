"""`python -m keystead_local.drift`: do migrations and models agree? Says every difference; exits 1 if there is one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from keystead_auth import bootstrap as auth
from keystead_enroll.adapters import tables as enroll_tables
from keystead_enroll.bootstrap import MIGRATIONS as ENROLL_MIGRATIONS
from keystead_kit.db import Database
from keystead_kit.migrations import Migrations
from keystead_notify import bootstrap as notify


def main() -> None:
    """Migrates an empty SQLite database of each service and compares it with the models."""
    found = False
    with tempfile.TemporaryDirectory() as folder:
        for service in ("auth", "enroll", "notify"):
            database = Database(f"sqlite:///{Path(folder) / service}.db")
            migrations = _migrations(service, database)
            migrations.upgrade()
            for difference in migrations.drift():
                print(f"{service}: {difference}", file=sys.stderr)
                found = True
            database.close()
    sys.exit(found)


def _migrations(service: str, database: Database) -> Migrations:
    if service == "enroll":
        return Migrations(database, enroll_tables.metadata, ENROLL_MIGRATIONS)
    return auth.migrations(database) if service == "auth" else notify.migrations(database)


if __name__ == "__main__":
    main()
