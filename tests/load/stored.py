"""Makes a database old: copies of one enrollment, as many as are wanted, by SQL alone (PostgreSQL).

Each copy has every row and every index entry that the original has, under ids and numbers of its own. Long values that
nothing searches (evidence, what jobs carried) are left out: a million of them would take tens of gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, create_engine, text

from keystead_enroll.adapters import tables as t

BATCH = 20_000
_DEVICE, _ORDER, _CERTIFICATE = "md5('d' || n)", "md5('o' || n)", "md5('c' || n)"
_SERIAL = "substr(md5('s' || n) || md5('r' || n), 1, 32)"
_RECIPIENT = f"'device:' || {_DEVICE}"


def _digest(letter: str) -> str:
    return f"md5('{letter}' || n) || md5('{letter}{letter}' || n)"


_COPIED: Mapping[str, tuple[str, Mapping[str, str | None]]] = {
    "devices": ("id = :device", {"id": _DEVICE, "spki_sha256": _digest("x"), "ek_sha256": _digest("e")}),
    "attestation_keys": (
        "recipient = 'device:' || :device",
        {"id": "md5('a' || n)", "recipient": _RECIPIENT, "ek_sha256": _digest("e"), "record": "'{}'"},
    ),
    "orders": (
        "id = :order",
        {"id": _ORDER, "recipient": _RECIPIENT, "spki_sha256": _digest("k"), "evidence": "NULL", "bulk_job_id": "NULL"},
    ),
    "order_transitions": ("order_id = :order", {"order_id": _ORDER}),
    "order_evidence": ("order_id = :order", {"order_id": _ORDER, "record": "'{}'"}),
    "device_jobs": (
        "order_id = :order",
        {
            "sequence": None,
            "id": "md5(kind || n)",
            "recipient": _RECIPIENT,
            "order_id": _ORDER,
            "payload": "'{}'",
        },
    ),
    "issuance_intents": ("order_id = :order", {"order_id": _ORDER, "serial": _SERIAL}),
    "certificates": (
        "order_id = :order",
        {
            "id": _CERTIFICATE,
            "order_id": _ORDER,
            "serial": _SERIAL,
            "sha1": "substr(md5('f' || n) || md5('g' || n), 1, 40)",
            "sha256": _digest("h"),
            "reasons": "NULL",
        },
    ),
    "audit_entries": ("target_id = :certificate", {"id": None, "target_id": _CERTIFICATE}),
}
"""Table → which rows are copied, and what is written in a copy's columns instead; None: what the database gives."""


class Stored:
    """The enrollments in the database at `url`."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url)
        self._made = 0

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    @property
    def number(self) -> int:
        """Certificates there are."""
        with self._engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM certificates")) or 0)

    def grow_to(self, number: int) -> None:
        """Adds copies of an installed enrollment until there are so many certificates."""
        missing = number - self.number
        while missing > 0:
            some = min(missing, BATCH)
            with self._engine.begin() as connection:
                connection.execute(text("SET LOCAL synchronous_commit = off"))
                self._copy(connection, some)
            missing -= some
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))

    def _copy(self, connection: Connection, number: int) -> None:
        query = "SELECT c.id, c.order_id, substr(o.recipient, 8) FROM certificates c JOIN orders o ON o.id = c.order_id"
        certificate, order, device = connection.execute(text(f"{query} ORDER BY c.issued_at, c.id LIMIT 1")).one()
        template = {"certificate": certificate, "order": order, "device": device}
        numbers = {"first": self._made + 1, "last": self._made + number}
        for name, (rows, written) in _COPIED.items():
            columns = [c.name for c in t.metadata.tables[name].c if written.get(c.name, "") is not None]
            values = ", ".join(written.get(column) or f'"{column}"' for column in columns)
            into = ", ".join(f'"{column}"' for column in columns)
            source = f"{name} CROSS JOIN generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS s(n)"
            statement = text(f"INSERT INTO {name} ({into}) SELECT {values} FROM {source} WHERE {rows}")  # noqa: S608 ours
            wanted = {key: value for key, value in template.items() if f":{key}" in rows}
            connection.execute(statement, wanted | numbers)
        self._made += number
