import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enroll_pki.samples import ADA, PUMP

from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.names import (
    CertificateNames,
    check_attribute,
    check_dns_name,
    check_email,
    check_upn,
    check_uri,
    domain_is_delegated,
    plain_host,
    short_name_of,
    subject_set,
)


def test_the_subject_is_written_most_specific_first_and_read_back_the_same() -> None:
    assert ADA.rfc4514() == "CN=Ada Lovelace,1.2.840.113549.1.9.1=ada@example.org,O=Example Ltd"
    assert x509.Name.from_rfc4514_string(ADA.rfc4514()) == ADA.x509_name()


def test_names_survive_being_stored() -> None:
    for names in (ADA, PUMP, CertificateNames(subject=(), uris=("urn:serial:42",))):
        assert CertificateNames.from_plain(names.to_plain()) == names


def test_what_a_name_is_shown_as() -> None:
    assert ADA.display_name == ADA.common_name == "Ada Lovelace"
    assert PUMP.serial_number == "SN-0042"
    assert CertificateNames(subject=(("O", "Example"),), emails=("a@example.org",)).display_name == "a@example.org"
    assert CertificateNames(subject=(("O", "Example"),)).display_name == "Example"
    assert CertificateNames(subject=(), uris=("urn:x:1",)).display_name == "urn:x:1"


def test_a_upn_is_a_utf8_string_of_any_length() -> None:
    for user in ("a", "a" * 130, "ü" * 200):
        names = CertificateNames(subject=(), upn=f"{user}@corp.example.org")
        other = names.general_names()[0]
        assert isinstance(other, x509.OtherName)
        content = f"{user}@corp.example.org".encode()
        length = {18: b"\x12", 147: b"\x81\x93", 417: b"\x82\x01\xa1"}[len(content)]
        assert other.value == b"\x0c" + length + content


@pytest.mark.parametrize(
    ("short_name", "value"),
    [
        ("CN", ""), ("CN", "   "), ("CN", "x" * 65), ("CN", "ü" * 33), ("O", "x" * 65), ("C", "DEU"), ("C", "de"),
        ("C", "D1"), ("SERIALNUMBER", "SN_1"), ("SERIALNUMBER", "é"), ("E", "not an address"), ("DC", "a.b"),
        ("CN", "line\nbreak"), ("CN", "nul\x00byte"), ("CN", "\u202egro.elpmaxe"), ("CN", "a\u2028b"), ("CN", "\ud800"),
        ("XX", "x"), ("2.5.4.3", "x"), ("CN", "a\u200bb"), ("CN", "a\ufeffb"), ("CN", "a\u00adb"),
        ("CN", "a\U000e0041b"), ("CN", "a\ue000b"), ("CN", "a\u2066b"), ("O", "a\u200db"), ("CN", "a\u0378b"),
        ("CN", "Ada\ufffd"),
    ],
)  # fmt: skip
def test_a_value_that_an_attribute_cannot_hold_is_refused(short_name: str, value: str) -> None:
    with pytest.raises(NameNotAllowed):
        CertificateNames(subject=((short_name, value),))


def test_values_are_trimmed_and_normalized() -> None:
    assert check_attribute("CN", " Zoe\u0308 ") == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("WWW.Example.ORG", "www.example.org"),
        ("*.example.org", "*.example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a.b", "a.b"),
        ("host", "host"),
        ("3com.example", "3com.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_host_names(name: str, normal: str) -> None:
    assert check_dns_name(name) == normal


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a_b.example", "a b.example", "a" * 64 + ".example",
        ".".join(["a" * 60] * 5), "bücher.example", "*", "*.org", "*.*.example.org", "w*.example.org",
        "a.*.example.org",
        "192.0.2.1", "::1", "example.123", "xn--.example", "xn--a.example", "xn--\x00.example", "ab--c.example",
        "xn--a-0.example", "xn--www-.example", "example.org\n", "example.org\x00.evil.example", "example.org,CN=x",
    ],
)  # fmt: skip
def test_what_is_not_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(NameNotAllowed):
        check_dns_name(name)


@pytest.mark.parametrize(
    "email",
    ["", "a", "@example.org", "a@", "a@b@example.org", ".a@example.org", "a..b@example.org", '"a b"@example.org',
     "jürgen@example.org", "a@bücher.example", "a@*.example.org", "a@192.0.2.1", "a" * 65 + "@example.org",
     "a\n@example.org", "a@example.org\n", "a@" + "b." * 130 + "example"],
)  # fmt: skip
def test_what_is_not_an_address_is_refused(email: str) -> None:
    with pytest.raises(NameNotAllowed):
        check_email(email)


def test_an_address_keeps_its_local_part_and_lowers_its_domain() -> None:
    assert check_email("Ada.Lovelace+x@Example.ORG") == "Ada.Lovelace+x@example.org"


@pytest.mark.parametrize("upn", ["", "a", "@r", "a@", "a@b@c", "a b@c", "a\x00@c", "a@" + "b" * 1024])
def test_what_is_not_a_user_principal_name_is_refused(upn: str) -> None:
    with pytest.raises(NameNotAllowed):
        check_upn(upn)


def test_uris() -> None:
    for uri in ("urn:ek:sha256:abc=", "https://www.example.org/a?b#c", "spiffe://example.org/pump/42"):
        assert check_uri(uri) == uri
    for bad in (
        "",
        "x",
        "/path",
        "https://",
        "https:///x",
        "http://a b",
        "http://exa_mple/",
        "urn:ü",
        "urn:%zz",
        "http://[::1/",
    ):
        with pytest.raises(NameNotAllowed):
            check_uri(bad)


def test_a_certificate_must_name_something_and_not_too_much() -> None:
    with pytest.raises(NameNotAllowed, match="nobody"):
        CertificateNames(subject=())
    with pytest.raises(NameNotAllowed, match="101"):
        CertificateNames(subject=(), dns_names=tuple(f"h{n}.example.org" for n in range(101)))


def test_a_name_given_twice_stands_once() -> None:
    names = CertificateNames(subject=(), dns_names=("a.example.org", "A.example.org", "b.example.org"))
    assert names.dns_names == ("a.example.org", "b.example.org")


@pytest.mark.parametrize(
    ("name", "delegated"),
    [
        ("example.org", True), ("www.example.org", True), ("*.example.org", True), ("Ada@Example.ORG", True),
        ("ada@mail.example.org", True), ("notexample.org", False), ("example.org.evil.example", False),
        ("example.com", False), ("ada@evil.example", False), ("example.org@evil.example", False), ("", False),
        ("ada@", False), ("www\uff0eexample\u3002org", True), ("\uff45xample.org", True),
        ("www\uff0egoogle\uff0ecom", False), ("ada\uff20evil\uff61example", False), ("\uff0aevil.example", False),
    ],
)  # fmt: skip
def test_a_name_is_delegated_by_whole_labels(name: str, delegated: bool) -> None:
    assert domain_is_delegated(name, ["other.example", "Example.org"]) is delegated


def test_no_domain_delegates_nothing() -> None:
    assert not domain_is_delegated("example.org", [])
    assert not domain_is_delegated("example.org", [""])


def test_oids_are_shown_by_name_where_there_is_one() -> None:
    assert short_name_of(x509.NameOID.EMAIL_ADDRESS) == "E"
    assert short_name_of(x509.ObjectIdentifier("1.2.3")) == "1.2.3"


@given(st.text(max_size=70))
def test_a_common_name_reads_back_exactly_from_rfc4514_text(text: str) -> None:
    try:
        names = CertificateNames(subject=(("O", "Example Ltd"), ("CN", text)))
    except NameNotAllowed:
        return
    read = x509.Name.from_rfc4514_string(names.rfc4514())
    assert read == names.x509_name()
    assert subject_set(read) == {("2.5.4.10", "Example Ltd"), ("2.5.4.3", names.common_name)}


@given(st.text(max_size=80))
def test_no_text_makes_a_check_raise_anything_but_a_refusal(text: str) -> None:
    for check in (check_dns_name, check_email, check_upn, check_uri):
        try:
            assert check(text)
        except NameNotAllowed as refusal:
            assert refusal.detail.isprintable()


@given(
    st.sampled_from(["CN", "O", "UID"]),
    st.text(max_size=20),
    st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]),
    st.text(max_size=20),
)
def test_no_name_holds_what_cannot_be_seen(short_name: str, before: str, hidden: str, after: str) -> None:
    for name in (f"a{before}{hidden}{after}b", f"{hidden}{before}"):
        with pytest.raises(NameNotAllowed):
            CertificateNames(subject=((short_name, name),))
        with pytest.raises(NameNotAllowed):
            check_upn(f"{name}@example.org")


@given(st.text(alphabet=[chr(code) for code in range(0xFF01, 0xFF5F)] + list("\u3002\uff61ab."), max_size=30))
def test_a_full_width_name_is_delegated_as_its_plain_form_is(name: str) -> None:
    plain = plain_host(name)
    assert plain.isascii()
    assert domain_is_delegated(name, ["a.b", "ab"]) is domain_is_delegated(plain, ["a.b", "ab"])
