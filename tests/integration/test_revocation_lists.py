"""What relying parties read in revocation lists, and how the lists come about."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID
from sqlalchemy import select
from tests.integration.api.test_certificates import installed
from tests.support.administrators import master
from tests.support.enroll_app import EnrollApp, enroll_app, migrate
from tests.support.status import access, distribution_point, openssl, refused_list

from keystead_enroll.adapters import status_tables as s
from keystead_enroll.domain.errors import ListNotSignable
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.status import ALL, partition_of, partitions
from keystead_enroll.usecases.publish_lists import LEASE, publish_lists
from keystead_kit.migrations import Migrations

LIFE = timedelta(hours=48)


def certificate_of(app: EnrollApp, certificate_id: str) -> x509.Certificate:
    [row] = [row for row in app.certificates() if row.id == certificate_id]
    return x509.load_der_x509_certificate(row.der)


def revoke(app: EnrollApp, certificate_id: str, reason: str = "superseded") -> None:
    done = master(app)("POST", f"/certificates/{certificate_id}/revocation", json={"reason": reason})
    assert done.status_code == 200, done.text


def address(app: EnrollApp, partition: str) -> str:
    return app.enroll.status_addresses(app.ca).revocation_list(partition)


def listed(app: EnrollApp, url: str) -> x509.CertificateRevocationList:
    response = app.client().get(url)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/pkix-crl")
    return x509.load_der_x509_crl(response.content)


def number(revocations: x509.CertificateRevocationList) -> int:
    return revocations.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def serials(revocations: x509.CertificateRevocationList) -> list[int]:
    return [each.serial_number for each in revocations]


def test_a_certificate_names_a_list_that_is_there_before_it_is_revoked_and_tells_it_afterwards(app: EnrollApp) -> None:
    app.publish()
    made = installed(app)
    certificate = certificate_of(app, made)
    url = distribution_point(certificate)
    assert serials(listed(app, url)) == []
    revoke(app, made, "key_compromise")
    assert app.publish() == 2, "the list of its month, and the one of all"
    for each in (url, address(app, ALL)):
        [entry] = listed(app, each)
        assert entry.serial_number == certificate.serial_number
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        assert reason is x509.ReasonFlags.key_compromise
    assert app.publish() == 0


def test_openssl_and_pkilint_agree(lite: EnrollApp, tmp_path: Path) -> None:
    lite.publish()
    good, bad = installed(lite), installed(lite)
    revoke(lite, bad)
    lite.publish()
    url = distribution_point(certificate_of(lite, bad))
    der = lite.client().get(url).content
    assert refused_list(der) == []
    assert refused_list(lite.client().get(address(lite, ALL)).content) == []
    files = {"root.pem": lite.ca.root, "issuing.pem": lite.ca.chain[0]}
    for name, made in (("good.pem", good), ("bad.pem", bad)):
        files[name] = certificate_of(lite, made).public_bytes(Encoding.PEM).decode()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "list.crl").write_bytes(der)
    said = openssl("crl", "-inform", "DER", "-in", tmp_path / "list.crl", "-CAfile", tmp_path / "issuing.pem", "-text")
    assert "verify OK" in said and "Superseded" in said and url in said
    checked = [
        openssl(
            "verify",
            "-crl_check",
            "-CAfile",
            tmp_path / "root.pem",
            "-untrusted",
            tmp_path / "issuing.pem",
            "-CRLfile",
            tmp_path / "list.crl",
            tmp_path / name,
        )
        for name in ("good.pem", "bad.pem")
    ]
    assert "good.pem: OK" in checked[0]
    assert "certificate revoked" in checked[1]


def test_a_certificate_says_where_its_ca_s_certificate_is(lite: EnrollApp) -> None:
    lite.publish()
    url = access(certificate_of(lite, installed(lite)), AuthorityInformationAccessOID.CA_ISSUERS)
    response = lite.client().get(url)
    assert response.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(response.content) == lite.ca.issuer_certificate


def test_addresses_are_where_the_operator_says_or_nowhere(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, status_origin="http://pki.example.org/") as app:
        certificate = certificate_of(app, installed(app))
        assert distribution_point(certificate).startswith("http://pki.example.org/pki/")
    silent: list[dict[str, Any]] = [{"status_in_certificates": False}, {"status_origin": "http://localhost:8080"}]
    for person, settings in zip(("bob@example.org", "eve@example.org"), silent, strict=True):
        with enroll_app(sqlite_url, redis_url, **settings) as app:
            made = certificate_of(app, installed(app, person))
            names = {extension.oid for extension in made.extensions}
            assert not names & {x509.CRLDistributionPoints.oid, x509.AuthorityInformationAccess.oid}


def test_lists_are_cached_for_minutes_and_known_again(lite: EnrollApp) -> None:
    lite.publish()
    url, client = address(lite, ALL), lite.client()
    first = client.get(url)
    assert first.headers["cache-control"] == "public, max-age=300"
    assert "set-cookie" not in first.headers
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for headers in ({"if-none-match": f'"x", {tag}'}, {"if-none-match": "*"}, {"if-modified-since": date}):
        again = client.get(url, headers=headers)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for headers in ({"if-none-match": '"x"', "if-modified-since": date}, {"if-modified-since": "yesterday"}):
        assert client.get(url, headers=headers).status_code == 200
    lite.clock.shift += LIFE - timedelta(seconds=30)
    assert int(client.get(url).headers["cache-control"].rpartition("=")[2]) <= 30
    assert client.head(url).status_code == 200


@pytest.mark.parametrize(
    "path", ["all.crl", "0000000000000000/all.crl", "%00/all.crl", "0000000000000000.cer", "x.cer"]
)
def test_what_was_never_published_is_not_there(lite: EnrollApp, path: str) -> None:
    lite.publish()
    assert lite.client().get(f"/pki/{path}").status_code == 404
    assert lite.client().post(address(lite, ALL)).status_code == 405


def test_a_list_is_signed_anew_when_half_of_its_life_is_over(lite: EnrollApp) -> None:
    count = lite.publish()
    assert count == len(partitions(lite.clock.now(), LIFE, lite.ca.issuer_certificate.not_valid_after_utc))
    before = listed(lite, address(lite, ALL))
    assert before.next_update_utc == before.last_update_utc + LIFE
    lite.clock.shift += LIFE / 2 - timedelta(minutes=1)
    assert lite.publish() == 0
    lite.clock.shift += timedelta(minutes=2)
    assert lite.publish() == count
    assert number(listed(lite, address(lite, ALL))) > number(before)


def test_numbers_grow_within_one_second(lite: EnrollApp) -> None:
    numbers = []
    for _ in range(3):
        lite.publish()
        numbers.append(number(listed(lite, address(lite, ALL))))
        revoke(lite, installed(lite))
    assert numbers == sorted(set(numbers))


def test_two_workers_sign_each_list_once(app: EnrollApp) -> None:
    with ThreadPoolExecutor(4) as workers:
        signed = list(workers.map(lambda _: app.publish(), range(4)))
    assert sorted(signed)[:3] == [0, 0, 0] and signed != [0, 0, 0, 0]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """The CA, until its n-th list."""

    def __init__(self, real: Any, after: int) -> None:
        self._real, self._left = real, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sign_list(self, builder: Any) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return self._real.sign_list(builder)


def test_a_worker_that_is_killed_while_it_signs_loses_nothing(app: EnrollApp) -> None:
    app.publish()
    made = installed(app)
    revoke(app, made)
    addresses = app.enroll.status_addresses(app.ca)
    with pytest.raises(Killed):
        publish_lists(app.enroll.transactions, app.clock, Dying(app.ca, 1), addresses, LIFE)
    assert serials(listed(app, address(app, ALL))) == [], "half of what was signed is not published"
    assert app.publish() == 0, "its lease is not over"
    app.clock.shift += LEASE + timedelta(seconds=1)
    assert app.publish() == 2
    assert serials(listed(app, address(app, ALL))) == [certificate_of(app, made).serial_number]


def test_a_worker_that_was_thought_dead_publishes_nothing_old(app: EnrollApp) -> None:
    app.publish()
    made = installed(app)
    revoke(app, made)

    class Slow(Dying):
        def sign_list(self, builder: Any) -> bytes:
            if self._left == 9:
                app.clock.shift += LEASE + timedelta(seconds=1)
                assert app.publish() == 2  # another worker, meanwhile
            return super().sign_list(builder)

    before = number(listed(app, address(app, ALL)))
    addresses = app.enroll.status_addresses(app.ca)
    assert publish_lists(app.enroll.transactions, app.clock, Slow(app.ca, 9), addresses, LIFE) == 0
    assert number(listed(app, address(app, ALL))) > before
    assert app.publish() == 0


def test_what_ended_stays_listed_for_the_life_of_a_list(lite: EnrollApp) -> None:
    made = installed(lite)
    revoke(lite, made)
    ends = certificate_of(lite, made).not_valid_after_utc
    with lite.enroll.transactions.read() as tx:
        authority = lite.enroll.status_addresses(lite.ca).authority
        for partition in (ALL, partition_of(ends)):
            assert len(tx.revoked_certificates(authority, partition, ends)) == 1
            assert not tx.revoked_certificates(authority, partition, ends + timedelta(seconds=1))


def test_a_month_s_list_goes_when_its_certificates_are_over(lite: EnrollApp) -> None:
    lite.publish()
    month = partition_of(lite.clock.now())
    assert lite.client().get(address(lite, month)).status_code == 200
    lite.clock.shift += timedelta(days=35)
    lite.publish()
    assert lite.client().get(address(lite, month)).status_code == 404


def test_no_list_is_signed_for_another_ca(lite: EnrollApp) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another")])
    now = lite.clock.now()
    with pytest.raises(ListNotSignable):
        lite.ca.sign_list(x509.CertificateRevocationListBuilder(name, now, now + LIFE))


def test_whatever_revokes_a_certificate_makes_its_lists_old(lite: EnrollApp) -> None:
    installed(lite)
    with lite.enroll.database.read() as session:
        assert session.execute(select(s.status_changes)).all() == []
    with lite.enroll.transactions.write() as tx:
        [row] = lite.certificates()
        certificate = tx.certificate(row.id, lock=True)
        assert certificate is not None
        certificate.revoke(RevocationReason.SUPERSEDED, lite.clock.now())
    with lite.enroll.database.read() as session:
        assert [change.partition for change in session.execute(select(s.status_changes))] == [
            partition_of(row.not_after)
        ]


def test_certificates_of_before_learn_which_ca_issued_them(app: EnrollApp) -> None:
    made = installed(app)
    revoke(app, made)
    migrate(app, Migrations.downgrade, "0018")
    migrate(app, Migrations.upgrade, "head")
    app.publish()
    assert serials(listed(app, address(app, ALL))) == [certificate_of(app, made).serial_number]
