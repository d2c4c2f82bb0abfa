"""The tables of what relying parties are told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, insert
from sqlalchemy import inspect as state_of
from sqlalchemy.engine import Connection
from sqlalchemy.orm import registry

from keystead_enroll.adapters.columns import ID, metadata
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.ocsp import OcspResponder
from keystead_enroll.domain.status import Authority, partition_of
from keystead_kit.db import UtcDateTime
from keystead_kit.secrets import new_id

AUTHORITY = String(16)
authorities = Table(
    "authorities",
    metadata,
    Column("id", AUTHORITY, primary_key=True),
    Column("der", LargeBinary, nullable=False),
    Column("leased_until", UtcDateTime, nullable=False),
)
revocation_lists = Table(
    "revocation_lists",
    metadata,
    Column("authority", ForeignKey("authorities.id"), primary_key=True),
    Column("partition", String(7), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("der", LargeBinary, nullable=False),
)
status_changes = Table(
    "status_changes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("authority", AUTHORITY, nullable=False, index=True),
    Column("partition", String(7), nullable=False),
)
responders = Table(
    "ocsp_responders",
    metadata,
    Column("authority", ForeignKey("authorities.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("der", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
)
_mapper = registry(metadata=metadata)
_mapper.map_imperatively(Authority, authorities)
_mapper.map_imperatively(OcspResponder, responders)


def note_change(_mapper: object, connection: Connection, certificate: Certificate) -> None:
    """What the mapper does whenever it writes a certificate again: notes, in the same transaction, that the lists are
    to be signed anew if it was revoked. No way to revoke a certificate can forget it."""
    if state_of(certificate).attrs["revoked_at"].history.has_changes():
        row = {"id": new_id(), "authority": certificate.authority, "partition": partition_of(certificate.not_after)}
        connection.execute(insert(status_changes), row)
