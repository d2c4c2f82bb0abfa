"""What is published of a CA: its lists and its certificate."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import NotPublished
from keystead_enroll.domain.status import PublishedList
from keystead_enroll.ports import Transactions


def published_list(transactions: Transactions, authority: str, partition: str) -> PublishedList:
    """The newest list. Raises NotPublished."""
    with transactions.read() as tx:
        found = tx.published_list(authority, partition)
    if found is None:
        raise NotPublished(Words("There is no such revocation list."))
    return found


def published_authority(transactions: Transactions, authority: str) -> bytes:
    """The CA's certificate in DER. Raises NotPublished."""
    with transactions.read() as tx:
        found = tx.authority(authority)
    if found is None:
        raise NotPublished(Words("There is no such CA."))
    return found.der
