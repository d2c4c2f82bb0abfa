"""The tables of what is kept of TPMs, and how the domain's dataclasses map onto them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint
from sqlalchemy.orm import registry

from keystead_enroll.adapters.columns import ID, metadata
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey, OrderEvidence
from keystead_kit.db import UtcDateTime

challenges = Table(
    "attestation_challenges",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recipient", String(48), nullable=False),
    Column("attestation_name", String(132), nullable=False),
    Column("sent", JSON, nullable=False),
    Column("public_area", Text, nullable=False),
    Column("secret", LargeBinary),
    Column("nonce", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("answered_at", UtcDateTime),
    Column("answer_digest", String(64)),
    Column("outcome", JSON(none_as_null=True)),
    Index("ix_attestation_challenges_recipient", "recipient"),
)
keys = Table(
    "attestation_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recipient", String(48), nullable=False),
    Column("name", String(132), nullable=False),
    Column("ek_sha256", String(64), nullable=False, index=True),
    Column("record", JSON, nullable=False),
    Column("activated_at", UtcDateTime, nullable=False),
    Column("clock", JSON(none_as_null=True)),
    UniqueConstraint("recipient", "name"),
)
evidence = Table(
    "order_evidence",
    metadata,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("record", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

_mapper = registry(metadata=metadata)
for _class, _table in ((AttestationChallenge, challenges), (DeviceAttestationKey, keys), (OrderEvidence, evidence)):
    _mapper.map_imperatively(_class, _table)
