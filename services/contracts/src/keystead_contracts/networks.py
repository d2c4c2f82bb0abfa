"""Which network addresses a server may ask when somebody else gave it the name."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


def may_connect(address: IPv4Address | IPv6Address, inside: Iterable[IPv4Network | IPv6Network] = ()) -> bool:
    """Whether this server may ask there: on the public Internet, or in a network `inside` that the operator named."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour):
        return may_connect(address.ipv4_mapped or address.sixtofour or IPv4Address(0), inside)
    if any(address.version == network.version and address in network for network in inside):
        return True
    return address.is_global and not address.is_multicast
