"""Where relying parties learn what certificates are worth, and the revocation lists (RFC 5280 section 5).

A CA has one list of all its certificates and one for each month in which certificates end (a *partition*). A
certificate names its partition's list alone, which stays small however many certificates there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509

from keystead_enroll.domain.certificates import CertificatePlan, authority_key_identifier
from keystead_enroll.domain.errors import CaUnusable
from keystead_enroll.domain.revocation import RevocationReason

ALL = "all"
"""The partition that has every certificate."""
LISTS, CA_CERTIFICATES = "/pki/{authority}/{partition}.crl", "/pki/{authority}.cer"
OCSP = "/ocsp"
"""Where a CA's lists and its certificate are, and who answers for it, below the origin."""
_REASONS = {
    RevocationReason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    RevocationReason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    RevocationReason.SUPERSEDED: x509.ReasonFlags.superseded,
    RevocationReason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    RevocationReason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
    RevocationReason.CERTIFICATE_HOLD: x509.ReasonFlags.certificate_hold,
}


@dataclass(frozen=True)
class StatusAddresses:
    """The addresses that a CA's certificates carry. `origin` is the scheme, host and port that serve them."""

    origin: str
    authority: str

    @property
    def resolvable(self) -> bool:
        """Whether the host is an address or has a domain: a single label means something else to everybody, and
        linters refuse it in certificates."""
        host = urlsplit(self.origin).hostname or ""
        return "." in host.rstrip(".") or ":" in host

    def revocation_list(self, partition: str) -> str:
        """Of a partition's list, for CRL distribution points (RFC 5280 section 4.2.1.13)."""
        return self.origin + LISTS.format(authority=self.authority, partition=partition)

    @property
    def ca_certificate(self) -> str:
        """Of the CA's own certificate, for authority information access (RFC 5280 section 4.2.2.1)."""
        return self.origin + CA_CERTIFICATES.format(authority=self.authority)

    def written_into(self, plan: CertificatePlan) -> CertificatePlan:
        """The plan of a certificate that says where relying parties learn what it is worth."""
        partition = partition_of(plan.not_after)
        return replace(
            plan,
            crl_url=self.revocation_list(partition),
            ca_issuers_url=self.ca_certificate,
            ocsp_url=self.origin + OCSP,
        )


@dataclass(eq=False)
class Authority:
    """An issuing CA as relying parties know it. `leased_until`: until then one worker signs its lists."""

    id: str
    der: bytes
    leased_until: datetime


@dataclass(frozen=True)
class ListHead:
    """What is known of a list without reading it. `number`: RFC 5280 section 5.2.3."""

    partition: str
    number: int
    this_update: datetime
    next_update: datetime

    def due(self, now: datetime) -> bool:
        """Whether half of its life is over, so that another takes its place long before it ends."""
        return now >= self.this_update + (self.next_update - self.this_update) / 2


@dataclass(frozen=True)
class PublishedList:
    """A signed list in DER, as it is served."""

    authority: str
    head: ListHead
    der: bytes


@dataclass(frozen=True)
class StatusChange:
    """A certificate in this partition is worth something else than the lists say that were signed before."""

    id: str
    partition: str


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """A line of a list; `serial` in hex."""

    serial: str
    revoked_at: datetime
    reason: str | None


def authority_id(issuing: x509.Certificate) -> str:
    """What a CA is called in addresses and in the database: the first 16 hex digits of its subject key identifier.
    Raises CaUnusable if it has none."""
    identifier = authority_key_identifier(issuing).key_identifier
    if identifier is None:
        raise CaUnusable("the CA certificate has an empty subject key identifier")
    return identifier.hex()[:16]


def partition_of(not_after: datetime) -> str:
    """The partition of a certificate that ends then: year and month in UTC, such as 2027-03."""
    return f"{not_after.astimezone(UTC):%Y-%m}"


def partition_span(partition: str) -> tuple[datetime, datetime]:
    """From when and until when (excluded) the certificates of a month's partition end."""
    year, month = (int(part) for part in partition.split("-"))
    return datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def partitions(now: datetime, life: timedelta, ends: datetime) -> list[str]:
    """Those that a CA whose certificate `ends` then has lists of: all months in which a certificate may end, whether
    there is one or not, so that a certificate never names a list that is not there; and those whose certificates ended
    within the last `life` of a list (see `listed_since`)."""
    found, month = [ALL], partition_of(now - life)
    while month <= partition_of(ends):
        found.append(month)
        month = partition_of(partition_span(month)[1])
    return found


def listed_since(now: datetime, life: timedelta) -> datetime:
    """Certificates that ended before this are not listed any more. Every other one was on a list that was signed, for
    no other reason than the time, after the certificate's end (RFC 5280 section 3.3)."""
    return now - life


def next_head(partition: str, before: ListHead | None, now: datetime, life: timedelta) -> ListHead:
    """The head of the list that follows `before`. Its number is greater, and never less than the second in which it is
    signed: so it does not go back where a database was restored from yesterday's copy."""
    number = max(int(now.timestamp()), before.number + 1 if before else 0)
    return ListHead(partition, number, now, now + life)


def list_builder(
    issuer: x509.Certificate, head: ListHead, revoked: Iterable[RevokedCertificate], address: str
) -> x509.CertificateRevocationListBuilder:
    """The list of `issuer`, ready to be signed. A partition's says where it is, by the very `address` that its
    certificates name (issuingDistributionPoint, RFC 5280 section 5.2.5)."""
    # all entries at once: `add_revoked_certificate` copies those before, each time
    builder = x509.CertificateRevocationListBuilder(
        issuer.subject, head.this_update, head.next_update, revoked_certificates=[_entry(each) for each in revoked]
    )
    builder = builder.add_extension(authority_key_identifier(issuer), critical=False)
    builder = builder.add_extension(x509.CRLNumber(head.number), critical=False)
    if head.partition != ALL:
        builder = builder.add_extension(
            x509.IssuingDistributionPoint(
                full_name=[x509.UniformResourceIdentifier(address)], relative_name=None, only_contains_user_certs=False,
                only_contains_ca_certs=False, only_some_reasons=None, indirect_crl=False,
                only_contains_attribute_certs=False,
            ),
            critical=True,
        )  # fmt: skip
    return builder


def _entry(revoked: RevokedCertificate) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(int(revoked.serial, 16), revoked.revoked_at.replace(tzinfo=None))
    reason = reason_flag(revoked.reason)
    return builder.add_extension(x509.CRLReason(reason), critical=False).build() if reason else builder.build()


def reason_flag(reason: str | None) -> x509.ReasonFlags | None:
    """The reason code (RFC 5280 section 5.3.1) of a stored reason; None for no particular one, which is left out."""
    return _REASONS.get(RevocationReason(reason or RevocationReason.UNSPECIFIED))
