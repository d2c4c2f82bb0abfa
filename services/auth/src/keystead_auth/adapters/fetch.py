"""Getting public documents from identity providers, whose addresses administrators type in."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx

from keystead_auth.domain.idp_errors import FetchFailed
from keystead_auth.domain.saml.xml import METADATA
from keystead_contracts.networks import may_connect
from keystead_contracts.words import Words

SECONDS, MOST_SECONDS = 10.0, 30.0
"""For the next part of an answer, and for the whole of it."""
MOST_OCTETS = METADATA.octets
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the operating system finds them. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HttpFetcher:
    """`ports.Fetcher`: https alone (`development`: http and the own machine too), bounded in time and size, and never
    to an address inside, wherever a name points: the address that was judged is the one that is connected to.
    Redirects are not followed. `networks`: those inside where identity providers may be. `tls`: whom to trust, by
    default whom the operating system trusts."""

    def __init__(
        self,
        *,
        development: bool,
        networks: tuple[Network, ...] = (),
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._development, self._networks, self._resolve = development, networks, resolver
        self._tls = tls or ssl.create_default_context()

    def get(self, url: str) -> bytes:
        """See the port."""
        return self.send("GET", url)

    def send(
        self, method: str, url: str, data: Mapping[str, str] | None = None, authorization: str | None = None
    ) -> bytes:
        """The body of a good answer. Raises FetchFailed."""
        target, headers, host = self._target(url)
        if authorization is not None:
            headers["authorization"] = authorization
        try:
            with (
                httpx.Client(verify=self._tls, timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream(method, target, headers=headers, data=data, extensions={"sni_hostname": host}) as answer,
            ):
                if answer.is_redirect:
                    raise FetchFailed(Words("The address leads on to another one. Give the one where it ends."))
                if answer.status_code != 200:
                    raise FetchFailed(
                        Words("The address answers {status}.", status=answer.status_code), answer.status_code
                    )
                return _bounded(answer)
        except httpx.TimeoutException as error:
            raise FetchFailed(Words("The address does not answer in time.")) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchFailed(Words("The address cannot be reached, or its certificate is not trusted.")) from error

    def _target(self, url: str) -> tuple[httpx.URL, dict[str, str], str]:
        """The address with the host's checked network address in it, the headers for it, and the host's name."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
            host = parts.hostname or ""
            wanted = httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise FetchFailed(Words("That is no web address.")) from error
        schemes = ("https", "http") if self._development else ("https",)
        if parts.scheme not in schemes or not host or parts.username or parts.password:
            raise FetchFailed(Words("The address must begin with https:// and have no password in it."))
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise FetchFailed(Words("The address's host name is not known.")) from error
        good = [
            each
            for each in addresses
            if self._development or may_connect(ip_address(each.partition("%")[0]), self._networks)
        ]
        if not good or len(good) != len(addresses):
            raise FetchFailed(
                Words("The address is inside a private network. Its network must be in KEYSTEAD_AUTH_IDP_NETWORKS.")
            )
        return (
            wanted.copy_with(host=good[0]),
            {"host": wanted.netloc.decode(), "accept": "*/*", "accept-encoding": "identity"},
            host,
        )


def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    ends = time.monotonic() + MOST_SECONDS
    for part in answer.iter_raw():  # as it came: what unpacks could be of any size
        body += part
        if time.monotonic() > ends:
            raise FetchFailed(Words("The address does not answer in time."))
        if len(body) > MOST_OCTETS:
            raise FetchFailed(Words("The document has more than {most} KiB.", most=MOST_OCTETS // 1024))
    return bytes(body)
