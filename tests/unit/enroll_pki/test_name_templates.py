import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.errors import NameNotAllowed, TemplateInvalid
from keystead_enroll.domain.name_templates import VARIABLES, NameTemplate, build_names

CLIENT, DEVICE, SSL = CertificateType.CLIENT, CertificateType.DEVICE, CertificateType.SSL
PERSON = NameTemplate.parse(
    CLIENT, "CN={name|email}, E={email}, OU={department}, O={organization}", ["email:{email}", "upn:{upn}"]
)
FACTS = {"name": "Ada Lovelace", "email": "ada@example.org", "organization": "Example, Ltd.", "department": "R+D"}


def test_a_template_gives_the_names_of_a_person() -> None:
    names = build_names(PERSON, FACTS | {"upn": "ada@corp.example.org"})
    assert names.subject == (("O", "Example, Ltd."), ("OU", "R+D"), ("E", "ada@example.org"), ("CN", "Ada Lovelace"))
    assert names.emails == ("ada@example.org",)
    assert names.upn == "ada@corp.example.org"


def test_what_needs_an_empty_fact_is_left_out() -> None:
    names = build_names(PERSON, {"email": "ada@example.org", "department": "  ", "organization": "Example"})
    assert names.subject == (("O", "Example"), ("E", "ada@example.org"), ("CN", "ada@example.org"))
    assert names.upn is None


def test_fixed_text_and_variables_may_be_mixed_and_escaped() -> None:
    template = NameTemplate.parse(
        DEVICE, r"CN=pump \{{device_name}\}, OU=Plant\, North, O=A \+ B", ["dns:{device_name}.example.org"]
    )
    names = build_names(template, {"device_name": "p1"})
    assert names.subject == (("O", "A + B"), ("OU", "Plant, North"), ("CN", "pump {p1}"))
    assert names.dns_names == ("p1.example.org",)


def test_a_server_may_have_further_host_names() -> None:
    template = NameTemplate.parse(SSL, "CN={fqdn}", ["dns:{fqdn}"])
    names = build_names(template, {"fqdn": "www.example.org"}, ["example.org", "www.example.org"])
    assert names.dns_names == ("www.example.org", "example.org")


def test_a_wildcard_needs_the_profile_s_leave() -> None:
    facts = {"fqdn": "*.example.org"}
    for subject, sans in (("CN={fqdn}", []), ("O={organization}", ["dns:{fqdn}"])):
        with pytest.raises(NameNotAllowed, match="wildcard"):
            build_names(NameTemplate.parse(SSL, subject, sans), facts)
        allowed = NameTemplate.parse(SSL, subject, sans, allow_wildcard=True)
        assert build_names(allowed, facts).display_name == "*.example.org"


@pytest.mark.parametrize(
    "name", ["*", "www.*.example.org", "*.*.example.org", "*.org", "w*.example.org", "*.", "* .a.org"]
)
@pytest.mark.parametrize(("certificate_type", "variable"), [(SSL, "fqdn"), (DEVICE, "device_name")])
def test_a_wildcard_stands_as_the_left_most_label_or_nowhere(
    certificate_type: CertificateType, variable: str, name: str
) -> None:
    for allowed in (True, False):
        template = NameTemplate.parse(certificate_type, f"CN={{{variable}}}", [], allow_wildcard=allowed)
        with pytest.raises(NameNotAllowed):
            build_names(template, {variable: name})


def test_a_person_may_have_an_asterisk_in_the_name() -> None:
    assert build_names(PERSON, {"name": "Ada * Lovelace"}).common_name == "Ada * Lovelace"


def test_a_template_with_no_name_left_is_refused() -> None:
    with pytest.raises(NameNotAllowed, match="nobody"):
        build_names(PERSON, {})


@pytest.mark.parametrize(
    ("subject", "sans"),
    [
        ("", []), ("CN", []), ("=x", []), ("CN=", []), ("CN={name},", []), ("XX={name}", []), ("CN={fqdn}", []),
        ("CN={name", []), ("CN={}", []), ("CN={Name}", []), ("CN={name|}", []), ("CN=}", []), ("CN={name}+OU=x", []),
        ("CN=a\\", []), ("CN=\\q", []), ('CN="x"', []), ("CN=<x>", []), ("C=DEU", []), ("CN=" + "x" * 65, []),
        ("CN={name}", ["{email}"]), ("CN={name}", ["ip:192.0.2.1"]), ("CN={name}", ["email:"]),
        ("CN={name}", ["email:{fqdn}"]),
        ("CN={name.__class__}", []), ("CN={0}", []), ("CN={name}", ["upn:{upn}", "upn:{email}"]),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_refused_when_it_is_loaded(subject: str, sans: list[str]) -> None:
    with pytest.raises(TemplateInvalid):
        NameTemplate.parse(CLIENT, subject, sans)


def test_a_template_knows_its_variables() -> None:
    assert PERSON.variables == {"name", "email", "department", "organization", "upn"}
    assert PERSON.variables <= VARIABLES[CLIENT]


_FACT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["x,CN=admin", "x+OU=root", "{organization}", "\\", "a\\,CN=b", "x\x00", '"', "#0c01", "*.example.org"]
    ),
)


@given(name=_FACT, department=_FACT, organization=_FACT)
def test_no_value_breaks_out_of_its_rdn(name: str, department: str, organization: str) -> None:
    facts = {"name": name, "department": department, "organization": organization, "email": "ada@example.org"}
    try:
        names = build_names(PERSON, facts)
    except NameNotAllowed:
        return
    wanted = {"O": organization.strip(), "OU": department.strip(), "CN": name.strip() or "ada@example.org"}
    kinds = [kind for kind in ("O", "OU", "E", "CN") if kind == "E" or wanted[kind]]
    rdns = list(names.x509_name().rdns)
    assert [short_name for short_name, _ in names.subject] == kinds
    assert len(rdns) == len(kinds)
    assert all(len(list(rdn)) == 1 for rdn in rdns)
    assert names.emails == ("ada@example.org",)
    assert not names.dns_names


@given(st.text(max_size=60), st.text(max_size=30))
def test_no_template_raises_anything_but_a_refusal(subject: str, san: str) -> None:
    try:
        NameTemplate.parse(CLIENT, subject, [san])
    except TemplateInvalid:
        return
