"""Which addresses are worth writing into certificates."""

import pytest

from keystead_enroll.domain.status import StatusAddresses


@pytest.mark.parametrize(
    ("origin", "resolvable"),
    [
        ("http://pki.example.org", True),
        ("http://127.0.0.1:8080", True),
        ("http://[2001:db8::1]", True),
        ("http://localhost:8080", False),
        ("http://pki.", False),
    ],
    ids=["name", "IPv4", "IPv6", "localhost", "one label"],
)
def test_a_host_has_a_domain_or_is_an_address(origin: str, resolvable: bool) -> None:
    assert StatusAddresses(origin, "0" * 16).resolvable is resolvable
