"""Getting what certificates name of their manufacturers: missing authorities (RFC 5280 section 4.2.2.1) and revocation
lists (section 4.2.1.13). Only an operator's command does this, never the service: an address in a certificate is the
word of whoever made it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from keystead_contracts.networks import may_connect
from keystead_enroll.adapters.ek_files import certificates_in, lists_in
from keystead_enroll.adapters.ek_roots import is_root, signer_of
from keystead_enroll.adapters.ek_sources import Source
from keystead_enroll.domain import lenient_der as der
from keystead_enroll.domain.endorsement_certificate import Certificate
from keystead_enroll.domain.lenient_der import DerMalformed, Element

HOSTS = (
    "ftpm.amd.com", "pki.infineon.com", "secure.globalsign.com", "crl.globalsign.com", "sw-center.st.com",
    "tsci.intel.com", "trustedservices.intel.com", "www.nuvoton.com",
)  # fmt: skip
"""Where manufacturers publish."""
SECONDS, MOST_SECONDS = 10.0, 60.0
"""For the next part of an answer, and for the whole of it."""
MOST_CERTIFICATE, MOST_LIST = 64 * 1024, 32 * 1024 * 1024
MOST_ADDRESSES = 500
MOST_ROUNDS = 5
_ISSUERS, _POINTS = "1.3.6.1.5.5.7.1.1", "2.5.29.31"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"
_URI = 0x86
_PORTS = {"http": 80, "https": 443}
Resolve = Callable[[str, int], Sequence[str]]


class NotFetched(Exception):
    """Why an address was not asked, or its answer not taken."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the operating system finds them. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass
class Fetcher:
    """Gets files from `hosts` alone, at the usual ports of http and https, bounded in time and size, never from an
    address inside, wherever a name points: the address that was judged is the one that is connected to. Redirects are
    not followed. `own_machine` is for tests: the own machine, at any port."""

    hosts: Collection[str] = HOSTS
    resolver: Resolve = resolve
    own_machine: bool = False
    asked: set[str] = field(default_factory=set)

    def get(self, url: str, most: int) -> bytes:
        """The body of a good answer. Raises NotFetched."""
        target, host, authority = self._target(url)
        self.asked.add(url)
        if len(self.asked) > MOST_ADDRESSES:
            raise NotFetched(f"more than {MOST_ADDRESSES} addresses were asked")
        headers = {"host": authority, "accept": "*/*", "accept-encoding": "identity"}
        try:
            with (
                httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as answer,
            ):
                if answer.status_code != 200:
                    raise NotFetched(f"the address answers {answer.status_code}")
                return _bounded(answer, most)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotFetched("the address does not answer, or its certificate is not trusted") from error

    def _target(self, url: str) -> tuple[httpx.URL, str, str]:
        """The address with the host's checked network address in it, the host, and what is asked for as Host."""
        try:
            parts, wanted = urlsplit(url), httpx.URL(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        except (ValueError, httpx.InvalidURL) as error:
            raise NotFetched("it is no web address") from error
        if parts.scheme not in _PORTS or parts.username or parts.password:
            raise NotFetched("it is no plain http or https address")
        if host not in self.hosts:
            raise NotFetched(f"the host {host} is not one that may be asked")
        if port != _PORTS[parts.scheme] and not self.own_machine:
            raise NotFetched(f"the port {port} is not the usual one")
        try:
            addresses = self.resolver(host, port)
        except OSError as error:
            raise NotFetched("the host is not known") from error
        if not addresses or not all(self._may_connect(each) for each in addresses):
            raise NotFetched("the host is inside a private network")
        return wanted.copy_with(host=addresses[0]), host, wanted.netloc.decode()

    def _may_connect(self, address: str) -> bool:
        plain = ip_address(address.partition("%")[0])
        return may_connect(plain) or (self.own_machine and plain.is_loopback)


def fetch_into(source: Source, samples: Iterable[Certificate], fetcher: Fetcher) -> dict[str, str]:
    """Adds the authorities that are missing above those of `source` and above `samples`, and the revocation lists that
    all of them name and that one of them signed. Answers what could not be had: address → reason."""
    wanted = [*samples]
    vendors = {each.raw: vendor for each, vendor in source.certificates.values()}
    failed: dict[str, str] = {}
    for _ in range(MOST_ROUNDS):
        everybody = [*(each for each, _ in source.certificates.values()), *wanted]
        before = len(source.certificates)
        for each in everybody:
            if is_root(each) or any(each.is_signed_by(other) for other in _named(source, each.issuer)):
                continue
            for url in _fresh(issuer_addresses(each), fetcher):
                failed |= _fetched(url, lambda: _take_issuers(source, url, each, vendors, fetcher))  # noqa: B023
        if len(source.certificates) == before:
            break
    authorities = [each for each, _ in source.certificates.values()]
    for each in (*authorities, *wanted):
        for url in _fresh(list_addresses(each), fetcher):
            failed |= _fetched(url, lambda: _take_lists(source, url, authorities, fetcher))  # noqa: B023
    return failed


def issuer_addresses(certificate: Certificate) -> list[str]:
    """Where its issuer's certificate is to be had (authority information access)."""
    found: list[str] = []
    for access in _sequence(certificate, _ISSUERS):
        kind, place = der.listed(access.content, 2)[:2]
        if der.oid(kind) == _CA_ISSUERS and place.tag == _URI:
            found.append(place.content.decode("ascii", "replace"))
    return found


def list_addresses(certificate: Certificate) -> list[str]:
    """Where the lists are on which it would stand (CRL distribution points), of its own issuer."""
    found: list[str] = []
    for point in _sequence(certificate, _POINTS):
        for part in der.elements(point.content):
            if part.tag == 0xA0:  # distributionPoint
                for name in der.elements(part.content):
                    found += [
                        each.content.decode("ascii", "replace")
                        for each in der.elements(name.content)
                        if name.tag == 0xA0 and each.tag == _URI
                    ]
    return found


def _sequence(certificate: Certificate, oid: str) -> Iterator[Element]:
    if oid in certificate.extensions:
        try:
            yield from der.elements(der.first(certificate.extensions[oid][1], der.SEQUENCE).content)
        except DerMalformed:
            return


def _named(source: Source, name: bytes) -> list[Certificate]:
    return [each for each, _ in source.certificates.values() if each.subject == name]


def _fresh(urls: Iterable[str], fetcher: Fetcher) -> list[str]:
    return [url for url in urls if url not in fetcher.asked]


def _fetched(url: str, take: Callable[[], None]) -> dict[str, str]:
    try:
        take()
    except (NotFetched, DerMalformed) as error:
        return {url: str(error)}
    return {}


def _take_issuers(source: Source, url: str, child: Certificate, vendors: dict[bytes, str], fetcher: Fetcher) -> None:
    fetched = certificates_in(fetcher.get(url, MOST_CERTIFICATE))
    good = [each for each in fetched if each.subject == child.issuer and child.is_signed_by(each)]
    if not any(source.add(each, vendors.get(child.raw, "fetched")) for each in good if not is_root(each)):
        raise NotFetched("what is there is not the missing authority, or it is a root, which only the source may bring")


def _take_lists(source: Source, url: str, authorities: Sequence[Certificate], fetcher: Fetcher) -> None:
    for each in lists_in(fetcher.get(url, MOST_LIST)):
        if signer_of(each, authorities) is None:
            raise NotFetched("none of the authorities signed the list that is there")
        source.lists[each.raw] = each


def _bounded(answer: httpx.Response, most: int) -> bytes:
    body = bytearray()
    ends = time.monotonic() + MOST_SECONDS
    for part in answer.iter_raw():  # as it came: what unpacks could be of any size
        body += part
        if time.monotonic() > ends:
            raise NotFetched("the address does not answer in time")
        if len(body) > most:
            raise NotFetched(f"the answer has more than {most // 1024} KiB")
    return bytes(body)
