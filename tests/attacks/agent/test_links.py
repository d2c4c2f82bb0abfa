"""Whoever can make a browser open a `keystead://` link is not thereby believed."""

from __future__ import annotations

import pytest

from keystead_agent.cli_open import the_link
from keystead_agent.errors import LinkMalformed, PolicyRefused
from keystead_agent.link import read_link
from keystead_contracts.agent import EnrollLink

CLAIM = "c" * 43
GOOD = f"keystead://enroll?server=https%3A%2F%2Fenroll.example.org&claim={CLAIM}"


def link_to(server: str) -> str:
    return f"keystead://enroll?server={server}&claim={CLAIM}"


def test_a_link_as_servers_make_it_is_read() -> None:
    assert read_link(GOOD) == EnrollLink(server="https://enroll.example.org", claim=CLAIM)
    assert read_link(f" {GOOD}&scope=machine\n").scope == "machine"


def test_a_browser_may_put_a_slash_after_enroll() -> None:
    assert read_link(GOOD.replace("enroll?", "enroll/?")) == read_link(GOOD)


def test_a_parameter_of_a_newer_server_does_not_matter() -> None:
    assert read_link(f"{GOOD}&colour=blue") == read_link(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "--yes",
        "https://enroll.example.org",
        "javascript:alert(1)",
        "file:///etc/passwd",
        GOOD.replace("keystead://enroll", "keystead://steal"),
        GOOD.replace("enroll?", "enroll/../run?"),
        GOOD.replace("keystead://enroll", "keystead://enroll:443"),
        GOOD.replace("keystead://enroll", "keystead://user@enroll"),
        GOOD + "#fragment",
        GOOD + "x" * 2048,
        GOOD.replace(CLAIM, "c" * 15),
        GOOD.replace(CLAIM, "c" * 129),
        GOOD.replace(CLAIM, "--yes-to-everything-please/../../etc"),
        GOOD.replace(CLAIM, ""),
        GOOD + "&claim=" + "d" * 43,
        GOOD + "&server=https://evil.example",
        GOOD + "&server",
        GOOD + "&scope=everything",
        GOOD + "&&",
        GOOD + "".join(f"&p{number}=1" for number in range(20)),
    ],
)
def test_what_is_not_spelled_as_a_link_is_refused_whole(text: str) -> None:
    with pytest.raises(LinkMalformed):
        read_link(text)


@pytest.mark.parametrize(
    "extra",
    [
        "%00", "%0a", "%0D%0A", "%1b[2J", "%7F", "\x00", "\n&x=1", "\t", " --yes", '"', '" --yes "', "'", "`id`",
        "$(id)", "|calc", "&calc^", ";calc", "<x", ">x", "\\..\\", "{x}", "\u202e", "\u200b", "\u0430", "%ff",
    ],
)  # fmt: skip
def test_characters_that_mean_something_to_others_are_refused(extra: str) -> None:
    with pytest.raises(LinkMalformed):
        read_link(f"{GOOD}{extra}0")
    with pytest.raises(LinkMalformed):
        read_link(link_to(f"https://enroll.example.org{extra}0"))


@pytest.mark.parametrize(
    "server",
    [
        "https://enroll.example.org@evil.example",
        "https://enroll.example.org%40evil.example",
        "https://enroll.example.org:x@evil.example",
        "https://enroll.example.org%5C@evil.example",
        "https://enroll.example.org%5C.evil.example",
        "https://enroll.example.org%252eevil.example",
        "https://enroll.example.org:99999",
        "https://enroll.example.org:-1",
        "https://enroll.example.org:443:444",
        "https://enroll.example.org%09.evil.example",
        "https://enroll.example.org%0A.evil.example",
        "https://enroll.example.org%20.evil.example",
        "https://enroll.example.org/..//evil.example",
        "https://enroll.example.org?@evil.example",
        "https://enroll.example.org%23@evil.example",
        "https:enroll.example.org",
        "https://",
        "https://[::1",
        "https://[::1%25eth0]",
        "//enroll.example.org",
        "ftp://enroll.example.org",
        "file:///etc",
        "https://enroll%E2%80%AEgro.elpmaxe",
    ],
)
def test_a_server_that_is_not_a_plain_origin_is_refused(server: str) -> None:
    with pytest.raises(LinkMalformed):
        read_link(link_to(server))


def test_http_is_refused_but_for_this_computer_itself() -> None:
    for server in ("http://enroll.example.org", "http://127.0.0.1.evil.example", "http://localhost.evil.example"):
        with pytest.raises(PolicyRefused):
            read_link(link_to(server))
    assert read_link(link_to("http://127.0.0.1:8080")).server == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("https://enroll.ex%D0%B0mple.org", "https://enroll.xn--exmple-4nf.org"),
        ("https://ENROLL.Example.org:443", "https://enroll.example.org"),
        ("https://enroll.example.org:8443", "https://enroll.example.org:8443"),
        ("https://%EF%BD%85nroll.example.org", "https://enroll.example.org"),
        ("https://enroll.example.org%E3%80%82evil.example", "https://enroll.example.org.evil.example"),
    ],
)
def test_a_name_that_looks_like_another_shows_what_it_is(server: str, shown: str) -> None:
    assert read_link(link_to(server)).server == shown


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (GOOD, "--yes"),
        ("--yes", GOOD),
        ('keystead://enroll?server=x"', "--yes", "enroll", "keystead://enroll?…"),
        (GOOD, GOOD),
        ("--help",),
        ("-",),
        ("-c", "calc"),
    ],
)
def test_a_link_that_became_several_arguments_or_an_option_is_none(arguments: tuple[str, ...]) -> None:
    with pytest.raises(LinkMalformed):
        the_link(arguments)
