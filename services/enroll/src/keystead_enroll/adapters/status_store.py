"""What a transaction finds and changes of what relying parties are told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystead_enroll.adapters import status_tables as s
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.ocsp import OcspResponder, Standing
from keystead_enroll.domain.status import (
    ALL,
    Authority,
    ListHead,
    PublishedList,
    RevokedCertificate,
    StatusChange,
    partition_span,
)

_l, _r, _c = s.revocation_lists.c, s.responders.c, t.certificates.c


class StatusQueries:
    """See `ports_status.StatusTransaction` for what each method promises."""

    session: Session

    def authority(self, authority_id: str) -> Authority | None:
        return self.session.get(Authority, authority_id)

    def authorities(self) -> Sequence[Authority]:
        return self.session.scalars(select(Authority)).all()

    def lease_authority(self, authority_id: str, now: datetime, until: datetime) -> bool:
        c = s.authorities.c
        free = update(s.authorities).where(c.id == authority_id, c.leased_until <= now)
        return self._changed(free.values(leased_until=until)) == 1

    def end_lease(self, authority_id: str, now: datetime) -> None:
        self.session.execute(update(s.authorities).where(s.authorities.c.id == authority_id).values(leased_until=now))

    def status_changes(self, authority_id: str, limit: int) -> Sequence[StatusChange]:
        c = s.status_changes.c
        rows = self.session.execute(select(c.id, c.partition).where(c.authority == authority_id).limit(limit))
        return [StatusChange(*row) for row in rows]

    def forget_status_changes(self, changes: Iterable[StatusChange]) -> None:
        ids = [change.id for change in changes]
        self.session.execute(delete(s.status_changes).where(s.status_changes.c.id.in_(ids)))

    def list_heads(self, authority_id: str) -> Sequence[ListHead]:
        query = select(_l.partition, _l.number, _l.this_update, _l.next_update).where(_l.authority == authority_id)
        return [ListHead(*row) for row in self.session.execute(query)]

    def revoked_certificates(self, authority_id: str, partition: str, since: datetime) -> Sequence[RevokedCertificate]:
        query = select(_c.serial, _c.revoked_at, _c.revocation_reason).where(
            _c.authority == authority_id, _c.revoked_at.is_not(None), _c.not_after >= since
        )
        if partition != ALL:
            begins, ends = partition_span(partition)
            query = query.where(_c.not_after >= begins, _c.not_after < ends)
        return [RevokedCertificate(*row) for row in self.session.execute(query.order_by(_c.serial))]

    def store_list(self, published: PublishedList, before: ListHead | None) -> bool:
        head = published.head
        values = {
            "number": head.number, "this_update": head.this_update, "next_update": head.next_update,
            "der": published.der,
        }  # fmt: skip
        own = {"authority": published.authority, "partition": head.partition}
        if before is not None:
            same = update(s.revocation_lists).filter_by(**own).where(_l.number == before.number)
            return self._changed(same.values(values)) == 1
        try:
            with self.session.begin_nested():
                self.session.execute(insert(s.revocation_lists).values(own | values))
        except IntegrityError:
            return False
        return True

    def drop_lists(self, authority_id: str, kept: Iterable[str]) -> None:
        others = (_l.authority == authority_id, _l.partition.not_in(list(kept)))
        self.session.execute(delete(s.revocation_lists).where(*others))

    def published_list(self, authority_id: str, partition: str) -> PublishedList | None:
        query = select(_l.number, _l.this_update, _l.next_update, _l.der)
        row = self.session.execute(query.where(_l.authority == authority_id, _l.partition == partition)).first()
        return PublishedList(authority_id, ListHead(partition, *row[:3]), row[3]) if row else None

    def newest_responder(self, authority_id: str) -> OcspResponder | None:
        query = select(OcspResponder).where(_r.authority == authority_id).order_by(_r.number.desc()).limit(1)
        return self.session.scalar(query)

    def responders(self, now: datetime) -> Sequence[OcspResponder]:
        query = select(OcspResponder).where(_r.not_before <= now, _r.not_after > now)
        return self.session.scalars(query.order_by(_r.authority, _r.number)).all()

    def drop_responders(self, authority_id: str, before: datetime) -> None:
        newest = select(func.max(_r.number)).where(_r.authority == authority_id).scalar_subquery()
        old = (_r.authority == authority_id, _r.not_after < before, _r.number != newest)
        self.session.execute(delete(s.responders).where(*old))

    def standings(self, authority_id: str, serials: Collection[str]) -> Mapping[str, Standing]:
        query = select(_c.serial, _c.revoked_at, _c.revocation_reason)
        rows = self.session.execute(query.where(_c.serial.in_(serials), _c.authority == authority_id))
        return {row[0]: Standing(*row[1:]) for row in rows}

    def _changed(self, statement: Any) -> int:
        return cast(CursorResult[Any], self.session.execute(statement)).rowcount
