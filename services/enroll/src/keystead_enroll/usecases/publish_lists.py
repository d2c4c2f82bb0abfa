"""Sign a CA's revocation lists: those that certificates' status made old, and those of whose life half is over.

One worker signs at a time: it has a lease. What it signed is published, and the changes that made it necessary are
forgotten, in one transaction, so that a worker that is killed leaves all to be done again, and nothing half done. A
list that was signed and never stored was never seen by anybody: its number is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from keystead_enroll.domain.status import (
    ALL,
    ListHead,
    PublishedList,
    StatusAddresses,
    StatusChange,
    list_builder,
    listed_since,
    next_head,
    partitions,
)
from keystead_enroll.metrics import LIST_NEXT_UPDATE, LIST_THIS_UPDATE, LISTS_SIGNED, STATUS_CHANGES_WAITING
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.ports_status import ListSigner
from keystead_enroll.usecases.known_authority import know_authority
from keystead_kit.logs import get_logger

LEASE = timedelta(seconds=60)
MOST_CHANGES = 10_000
"""That one pass forgets; it has all of them on its lists."""
_log = get_logger()


def publish_lists(
    transactions: Transactions, clock: Clock, signer: ListSigner, addresses: StatusAddresses, life: timedelta
) -> int:
    """One pass; how many lists were signed. They are valid for `life`."""
    now = clock.now().astimezone(UTC).replace(microsecond=0)
    work = _Pass(signer, addresses, life, now)
    with transactions.read() as tx:
        if not work.look(tx):
            return 0
    with transactions.write() as tx:
        know_authority(tx, signer.issuer_certificate, now)
        if not tx.lease_authority(addresses.authority, now, now + LEASE):
            return 0
    with transactions.read() as tx:
        work.look(tx)
        signed = [work.sign(tx, partition) for partition in work.due]
    with transactions.write() as tx:
        if not all(tx.store_list(each, work.heads.get(each.head.partition)) for each in signed):
            _log.warning("another worker signed revocation lists meanwhile", authority=addresses.authority)
            tx.undo()
            return 0
        tx.forget_status_changes(work.changes)
        tx.drop_lists(addresses.authority, work.wanted)
        tx.end_lease(addresses.authority, now)
    work.observe(signed)
    return len(signed)


class _Pass:
    """What one pass finds and signs."""

    def __init__(self, signer: ListSigner, addresses: StatusAddresses, life: timedelta, now: datetime) -> None:
        self._signer, self._addresses, self._life, self._now = signer, addresses, life, now
        self.wanted = partitions(now, life, signer.issuer_certificate.not_valid_after_utc)
        self.changes: list[StatusChange] = []
        self.heads: dict[str, ListHead] = {}
        self.due: list[str] = []

    def look(self, tx: Transaction) -> bool:
        """Finds what is due; whether there is anything."""
        self.changes = list(tx.status_changes(self._addresses.authority, MOST_CHANGES))
        self.heads = {head.partition: head for head in tx.list_heads(self._addresses.authority)}
        changed = {change.partition for change in self.changes} | ({ALL} if self.changes else set())
        self.due = [each for each in self.wanted if each in changed or self._is_due(each)]
        STATUS_CHANGES_WAITING.set(len(self.changes))
        self._show()
        return bool(self.due or self.changes)

    def _is_due(self, partition: str) -> bool:
        head = self.heads.get(partition)
        return head is None or head.due(self._now)

    def sign(self, tx: Transaction, partition: str) -> PublishedList:
        """The partition's next list."""
        authority, head = (
            self._addresses.authority,
            next_head(partition, self.heads.get(partition), self._now, self._life),
        )
        revoked = tx.revoked_certificates(authority, partition, listed_since(self._now, self._life))
        address = self._addresses.revocation_list(partition)
        builder = list_builder(self._signer.issuer_certificate, head, revoked, address)
        return PublishedList(authority, head, self._signer.sign_list(builder))

    def observe(self, signed: Iterable[PublishedList]) -> None:
        """Counts and tells what was published."""
        for each in signed:
            self.heads[each.head.partition] = each.head
            LISTS_SIGNED.inc()
        STATUS_CHANGES_WAITING.set(0)
        self._show()
        _log.info("revocation lists signed", authority=self._addresses.authority, lists=len(self.due),
                  changes=len(self.changes))  # fmt: skip

    def _show(self) -> None:
        current = [self.heads[each] for each in self.wanted if each in self.heads]
        if current:
            LIST_THIS_UPDATE.set(min(head.this_update for head in current).timestamp())
            LIST_NEXT_UPDATE.set(min(head.next_update for head in current).timestamp())
