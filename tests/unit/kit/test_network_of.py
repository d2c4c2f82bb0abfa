"""Who counts as one client."""

from __future__ import annotations

import pytest

from keystead_kit.ratelimit import network_of


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_subscriber_counts_as_one_client(client: str, network: str) -> None:
    assert network_of(client) == network
