"""What telling relying parties about certificates needs; see `ports`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from cryptography import x509

from keystead_enroll.domain.ocsp import OcspResponder, Standing
from keystead_enroll.domain.status import Authority, ListHead, PublishedList, RevokedCertificate, StatusChange


class StatusTransaction(Protocol):
    """The part of a transaction that is about certificates' status."""

    def authority(self, authority_id: str) -> Authority | None: ...
    def authorities(self) -> Sequence[Authority]: ...

    def lease_authority(self, authority_id: str, now: datetime, until: datetime) -> bool:
        """This worker alone signs the CA's lists `until` then; False if another one does, or there is no such CA."""
        ...

    def end_lease(self, authority_id: str, now: datetime) -> None:
        """Others may sign the CA's lists from now on."""
        ...

    def status_changes(self, authority_id: str, limit: int) -> Sequence[StatusChange]:
        """What no list has yet. Whatever this finds, `revoked_certificates` sees if it is asked later."""
        ...

    def forget_status_changes(self, changes: Iterable[StatusChange]) -> None:
        """They are on the lists now."""
        ...

    def list_heads(self, authority_id: str) -> Sequence[ListHead]:
        """The newest list of each partition."""
        ...

    def revoked_certificates(self, authority_id: str, partition: str, since: datetime) -> Sequence[RevokedCertificate]:
        """The partition's revoked certificates that end `since` then or later, by serial number."""
        ...

    def store_list(self, published: PublishedList, before: ListHead | None) -> bool:
        """Takes the place of the list `before`; False, and nothing changes, if that is not the newest."""
        ...

    def drop_lists(self, authority_id: str, kept: Iterable[str]) -> None:
        """Deletes the lists of all other partitions."""
        ...

    def published_list(self, authority_id: str, partition: str) -> PublishedList | None: ...

    def newest_responder(self, authority_id: str) -> OcspResponder | None:
        """The CA's last OCSP responder, whether its certificate has ended or not."""
        ...

    def responders(self, now: datetime) -> Sequence[OcspResponder]:
        """Those whose certificate is valid, the newest of a CA last."""
        ...

    def drop_responders(self, authority_id: str, before: datetime) -> None:
        """Deletes those whose certificate ended before, but for the newest."""
        ...

    def standings(self, authority_id: str, serials: Collection[str]) -> Mapping[str, Standing]:
        """What is known of those certificates with these serial numbers that the CA issued."""
        ...


class ListSigner(Protocol):
    """A CA that signs revocation lists."""

    @property
    def issuer_certificate(self) -> x509.Certificate:
        """The issuing CA's certificate."""
        ...

    @property
    def signs_lists(self) -> bool:
        """Whether its certificate allows it (keyUsage cRLSign)."""
        ...

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> bytes:
        """The list in DER, signed by the CA. Raises ListNotSignable."""
        ...


class KeyBox(Protocol):
    """Encrypts private keys that the database keeps."""

    def seal(self, content: bytes, context: str) -> bytes:
        """`content`, encrypted; it opens in the same `context` only."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises SealBroken."""
        ...
