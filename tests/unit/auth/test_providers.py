"""Identity providers: who is offered, what their metadata and their attributes mean, where they may be."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.auth.fakes import START, FakeClock, FakeRandomness, FakeTransactions

from keystead_auth.adapters.fetch import HttpFetcher
from keystead_auth.adapters.oidc import SecretFolder
from keystead_auth.domain.attributes import LONGEST_NAME, MOST_OCTETS, Sent, canonical, fitting, person
from keystead_auth.domain.errors import MethodNotOffered
from keystead_auth.domain.idp_errors import FetchFailed, MailMissing, ProviderNotReady, ProviderUnknown
from keystead_auth.domain.providers import IdentityProvider, Purpose, offered, usable
from keystead_auth.domain.saml.metadata import MetadataRefused, SamlEntity, read_metadata
from keystead_auth.domain.sign_in import Form
from keystead_auth.usecases.check_provider import Sources, check_provider
from keystead_auth.usecases.mint_identity import mint_identity
from keystead_contracts.identity import ATTRIBUTES, IDENTITY_AUDIENCE, IDENTITY_ISSUER, SignInMethod
from keystead_contracts.networks import may_connect
from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_contracts.words import Words, from_plain
from keystead_kit.i18n import languages
from keystead_kit.secrets import TokenSigner

SAML = IdentityProviderKind.SAML
FORM = Form("staff", 1, "Staff", "Northwind", (SignInMethod.IDP,), (), organization_ids=("a", "b"))
PROVIDER = IdentityProvider("idp", 1, "Northwind", SAML, material={"entity_id": "x"})


def certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, ends: datetime) -> str:
    name = x509.Name([])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(START - timedelta(days=900)).not_valid_after(ends).sign(key, hashes.SHA256())
    )  # fmt: skip
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


GOOD = certificate(ec.generate_private_key(ec.SECP256R1()), START + timedelta(days=99))
OLD = certificate(ec.generate_private_key(ec.SECP256R1()), START - timedelta(days=1))
WEAK = certificate(rsa.generate_private_key(65537, 1024), START + timedelta(days=99))  # noqa: S505 it is refused


def metadata(
    *, attributes: str = "", keys: tuple[str, ...] = (GOOD,), use: str = ' use="signing"', services: str | None = None
) -> bytes:
    described = "".join(
        f"<md:KeyDescriptor{use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{key}</ds:X509Certificate></ds:X509Data>"
        "</ds:KeyInfo></md:KeyDescriptor>"
        for key in keys
    )
    if services is None:
        services = service("Redirect")
    return (
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
        f'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://idp.example/" {attributes}>'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"{described}{services}</md:IDPSSODescriptor></md:EntityDescriptor>"
    ).encode()


def service(binding: str, location: str = "https://idp.example/sso") -> str:
    urn = f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}"
    return f'<md:SingleSignOnService Binding="{urn}" Location="{location}"/>'


# --- who is offered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "form", "speaks"),
    [
        (PROVIDER, FORM, True),
        (replace(PROVIDER, organization_ids=("b", "c")), FORM, True),
        (replace(PROVIDER, organization_ids=("c",)), FORM, False),
        (replace(PROVIDER, organization_ids=("c",)), replace(FORM, organization_ids=()), True),
        (replace(PROVIDER, withdrawn=True), FORM, False),
        (replace(PROVIDER, for_persons=False), FORM, False),
        (PROVIDER, replace(FORM, methods=(SignInMethod.EMAIL,)), False),
        (PROVIDER, replace(FORM, withdrawn=True), False),
    ],
)
def test_a_provider_speaks_for_the_people_of_its_organizations(
    provider: IdentityProvider, form: Form, speaks: bool
) -> None:
    assert provider.speaks_for(form) is speaks


def test_only_providers_that_work_now_are_offered_by_name() -> None:
    others = [
        replace(PROVIDER, id="z", name="apple"),
        replace(PROVIDER, id="unread", material=None),
        replace(PROVIDER, id="over", usable_until=START),
        replace(PROVIDER, id="later", usable_until=START + timedelta(1), name="Zebra"),
    ]
    assert [each.id for each in offered([PROVIDER, *others], FORM, START)] == ["z", "idp", "later"]


def test_a_provider_serves_what_it_is_for() -> None:
    assert usable(PROVIDER, SAML, Purpose.FORM, FORM, START) is PROVIDER
    for refusal, provider, purpose, form in (
        (ProviderUnknown, None, Purpose.FORM, FORM),
        (ProviderUnknown, PROVIDER, Purpose.ADMINISTRATOR, None),
        (ProviderUnknown, replace(PROVIDER, kind=IdentityProviderKind.OIDC), Purpose.FORM, FORM),
        (ProviderUnknown, replace(PROVIDER, withdrawn=True), Purpose.FORM, FORM),
        (ProviderUnknown, replace(PROVIDER, for_persons=False), Purpose.FORM, FORM),
        (MethodNotOffered, PROVIDER, Purpose.FORM, replace(FORM, methods=())),
        (ProviderNotReady, replace(PROVIDER, material=None), Purpose.FORM, FORM),
    ):
        with pytest.raises(refusal):
            usable(provider, SAML, purpose, form, START)
    administrators = replace(PROVIDER, for_administrators=True, for_persons=False)
    assert usable(administrators, SAML, Purpose.ADMINISTRATOR, None, START) is administrators


# --- metadata -------------------------------------------------------------------------------------------------------


def test_metadata_tells_where_to_go_and_which_keys_sign() -> None:
    services = service("Redirect") + service("POST", "https://idp.example/post")
    read = read_metadata(metadata(services=services, keys=(GOOD, OLD)), START, secure=True)
    assert read.entity == SamlEntity(
        "https://idp.example/", "https://idp.example/sso", "https://idp.example/post", (GOOD, OLD)
    )
    assert SamlEntity.of(read.entity.material()) == read.entity
    assert (read.usable_until, read.look_again) == (None, timedelta(days=1))
    assert read.certificate_ends == START - timedelta(days=1)


def test_a_key_without_a_use_signs_too_and_one_for_encryption_does_not() -> None:
    assert read_metadata(metadata(use=""), START, secure=True).entity.certificates == (GOOD,)
    with pytest.raises(MetadataRefused, match="no signing certificate"):
        read_metadata(metadata(use=' use="encryption"'), START, secure=True)


@pytest.mark.parametrize(
    ("cache", "again"),
    [
        ("PT6H", timedelta(hours=6)),
        ("P30D", timedelta(days=1)),
        ("PT1S", timedelta(minutes=15)),
        ("P1Y", timedelta(days=1)),
        ("rubbish", timedelta(days=1)),
    ],
)
def test_metadata_says_when_to_look_again_within_bounds(cache: str, again: timedelta) -> None:
    document = metadata(attributes=f'cacheDuration="{cache}"')
    assert read_metadata(document, START, secure=True).look_again == again


def test_metadata_says_until_when_it_holds() -> None:
    document = metadata(attributes='validUntil="2026-11-24T00:00:00Z"')
    assert read_metadata(document, START, secure=True).usable_until == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (metadata(attributes='validUntil="2026-11-23T12:00:00Z"'), "has expired"),
        (metadata(attributes='validUntil="soon"'), "is no time"),
        (metadata(keys=()), "no signing certificate"),
        (metadata(keys=(WEAK,)), "too weak"),
        (metadata(keys=("AAAA",)), "cannot be read"),
        (metadata(services=""), "no sign-in address"),
        (metadata(services=service("Redirect", "http://idp.example/")), "no https address"),
        (metadata(services=service("Redirect", "javascript:alert(1)")), "no https address"),
        (metadata(services=service("POST", "https://idp.example/; script-src *")), "no https address"),
        (metadata().replace(b"SAML:2.0:protocol", b"SAML:1.1:protocol"), "does not describe"),
        (b"<html/>", "no SAML metadata"),
        (b"<!DOCTYPE x>" + metadata(), "cannot be read (doctype)"),
        (b"not xml", "cannot be read (not well formed)"),
        (b" " * 2_000_000, "cannot be read (too large)"),
        (b'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">' + metadata() + metadata() +
         b"</md:EntitiesDescriptor>", "several identity providers"),
    ],
)  # fmt: skip
def test_metadata_with_which_nobody_could_sign_in_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(MetadataRefused) as caught:
        read_metadata(document, START, secure=True)
    assert words in caught.value.detail


def test_one_provider_among_several_entities_is_found() -> None:
    document = b'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">' + metadata()
    assert read_metadata(document + b"</md:EntitiesDescriptor>", START, secure=True).entity.entity_id


# --- attributes -----------------------------------------------------------------------------------------------------


def test_names_of_every_kind_mean_the_same() -> None:
    for name in (
        "mail", "MAIL", "email", "urn:oid:0.9.2342.19200300.100.1.3", "urn:mace:dir:attribute-def:mail",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    ):  # fmt: skip
        assert canonical([Sent(name, ("a@b",))], {}) == {"mail": ["a@b"]}


def test_a_provider_s_own_name_comes_before_the_usual_ones() -> None:
    sent = [Sent("mail", ("wrong@example.org",)), Sent("contactAddress", ("right@example.org",))]
    assert canonical(sent, {"mail": "contactaddress"}) == {"mail": ["right@example.org"]}


def test_unknown_attributes_and_empty_or_invisible_values_are_left_out() -> None:
    sent = [Sent("salary", ("1",)), Sent("cn", ("", "  ", "a\x00b", "a\u202eb")), Sent("sn", (" L ", "L"))]
    assert canonical(sent, {}) == {"sn": ["L"]}


def test_a_person_has_the_first_address_that_is_one_in_lower_case() -> None:
    who = person({"mail": ["nobody", "Ada@Example.ORG", "other@example.org"]})
    assert (who.email, who.attributes["mail"]) == ("ada@example.org", ["ada@example.org"])
    assert person({}, "ada@example.org").email == "ada@example.org"
    with pytest.raises(MailMissing):
        person({"mail": ["ada"]})


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"displayname": ["D"], "cn": ["C"]}, "D"),
        ({"givenname": ["G"], "sn": ["S"], "cn": ["C"]}, "G S"),
        ({"givenname": ["G"], "cn": ["C"]}, "C"),
        ({}, None),
    ],
)
def test_a_person_is_called_by_the_best_name_there_is(attributes: dict[str, list[str]], name: str | None) -> None:
    assert person(attributes | {"mail": ["a@b.example"]}).name == name


def test_more_attributes_than_fit_are_cut_where_there_are_most_and_it_is_said_where() -> None:
    groups = [f"group-{n:04}" * 3 for n in range(200)]
    who = person({"mail": ["a@b.example"], "groups": groups, "sn": ["S"]})
    assert who.cut and who.attributes["groups"] == groups
    kept, cut = fitting(who.attributes)
    assert (kept["sn"], cut) == (["S"], ["groups"])
    assert 0 < len(kept["groups"]) < 200
    assert sum(len(value) for values in kept.values() for value in values) <= MOST_OCTETS
    assert not person({"mail": ["a@b.example"]}).cut


def test_a_value_that_is_too_long_to_tell_is_not_lost_silently() -> None:
    attributes = canonical([Sent("entitlement", ("urn:" + "x" * MOST_OCTETS,)), Sent("mail", ("a@b.example",))], {})
    assert fitting(person(attributes).attributes) == ({"mail": ["a@b.example"]}, ["entitlement"])


@pytest.mark.parametrize("letter", ["a", "é", "\N{GRINNING FACE}", '"'])
def test_whatever_a_provider_sends_a_browser_keeps_who_that_is(letter: str) -> None:
    speaks_for = tuple(f"{n:032x}" for n in range(40))
    many = [name for name in ATTRIBUTES if name != "mail"]
    sent = dict.fromkeys(many, [letter * 250] * 9)
    signer = TokenSigner(ec.generate_private_key(ec.SECP256R1()))
    token = mint_identity(
        signer, FakeRandomness(), email=f"{'a' * 64}@{'b' * 184}.test", form="f" * 58, method=SignInMethod.IDP,
        now=datetime.now(UTC), name=letter * LONGEST_NAME, attributes={"mail": ["a@b.test"], **sent},
        provider=replace(PROVIDER, organization_ids=speaks_for), persons=["a" * 32],
    )  # fmt: skip
    assert len(f"__Host-keystead_identity={token}") <= 4096
    claims = signer.verifier().verify(token, issuer=IDENTITY_ISSUER, audience=IDENTITY_AUDIENCE)
    assert claims["identity_provider_organizations"] == list(speaks_for)
    assert set(claims["attributes"]) | set(claims["attributes_cut"]) >= set(many)
    assert claims["name"] and claims["attributes"]["mail"] == ["a@b.test"]


# --- where they may be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 it is refused
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_a_provider_is_on_the_public_internet(address: str, may: bool) -> None:
    assert may_connect(ip_address(address)) is may


def test_or_in_a_network_that_the_operator_named() -> None:
    assert may_connect(ip_address("10.1.2.3"), [ip_network("fd00::/8"), ip_network("10.1.0.0/16")])
    assert not may_connect(ip_address("10.2.2.3"), [ip_network("10.1.0.0/16")])


@pytest.mark.parametrize(
    "url",
    ["http://idp.example/", "https://me:secret@idp.example/", "file:///etc/passwd", "https://", "https://[::", ""],
)
def test_in_production_documents_come_by_https_alone(url: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with pytest.raises(FetchFailed):
        HttpFetcher(development=False, resolver=resolve).get(url)
    assert asked == []


def test_a_name_that_points_inside_even_once_is_not_asked() -> None:
    fetcher = HttpFetcher(development=False, resolver=lambda host, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(FetchFailed, match="KEYSTEAD_AUTH_IDP_NETWORKS"):
        fetcher.get("https://idp.example/metadata")


# --- reading them ---------------------------------------------------------------------------------------------------


class Documents:
    def __init__(self, document: bytes | None) -> None:
        self.document = document

    def get(self, url: str) -> bytes:
        if self.document is None:
            raise FetchFailed(Words("The address answers {status}.", status=500))
        return self.document

    def send(
        self, method: str, url: str, data: Mapping[str, str] | None = None, authorization: str | None = None
    ) -> bytes:
        raise NotImplementedError


def check(transactions: FakeTransactions, document: bytes | None, clock: FakeClock, **unsupported: str) -> object:
    reasons = {IdentityProviderKind(kind): why for kind, why in unsupported.items()}
    return check_provider(
        transactions,
        Sources(Documents(document), SecretFolder(None)),
        FakeRandomness(),
        clock,
        secure=True,
        unsupported=reasons,
        trace_id="a" * 32,
    )


@pytest.fixture
def transactions() -> FakeTransactions:
    made = FakeTransactions(FORM)
    with made.write() as tx:
        tx.providers.put(replace(PROVIDER, material=None, metadata_url="https://idp.example/metadata"), START)
    return made


def test_nothing_is_read_while_nothing_is_due(transactions: FakeTransactions) -> None:
    clock = FakeClock()
    assert check(transactions, metadata(), clock) is not None
    assert check(transactions, metadata(), clock) is None


def test_enroll_is_told_once(transactions: FakeTransactions) -> None:
    for _ in range(2):
        transactions.store.due.append("idp")
        check(transactions, metadata(), FakeClock())
    [(destination, _, fact)] = transactions.store.outbox
    assert destination == "enroll"
    assert (fact.state, fact.entity_id) == (IdentityProviderState.READY, "https://idp.example/")  # type: ignore[attr-defined]
    assert fact.valid_until == START + timedelta(days=99)  # type: ignore[attr-defined]


def test_what_was_read_is_kept_when_the_provider_fails_until_it_ends(transactions: FakeTransactions) -> None:
    clock = FakeClock()
    check(transactions, metadata(attributes='validUntil="2026-11-25T00:00:00Z"'), clock)
    states = []
    for days in (1, 1):
        clock.pass_by(days=days)
        transactions.store.due.append("idp")
        states.append(check(transactions, None, clock).state)  # type: ignore[attr-defined]
    assert states == [IdentityProviderState.READY, IdentityProviderState.FAILED]
    assert transactions.store.provider_rows["idp"].material is not None


def test_what_was_found_can_be_said_in_another_language(transactions: FakeTransactions) -> None:
    clock = FakeClock()
    check(transactions, metadata(), clock)
    clock.pass_by(days=1)
    transactions.store.due.append("idp")
    told = check(transactions, None, clock)
    found = from_plain(told.detail_words)  # type: ignore[attr-defined]
    assert found == told.detail  # type: ignore[attr-defined]
    assert found.told(languages()["de"].catalogue) == (
        "Was früher gelesen wurde, gilt weiter. Die Adresse antwortet mit 500."
    )


def test_a_kind_that_this_server_lacks_is_told_as_failed(transactions: FakeTransactions) -> None:
    told = check(transactions, metadata(), FakeClock(), saml="No key.")
    assert (told.state, told.detail) == (IdentityProviderState.FAILED, "No key.")  # type: ignore[attr-defined]


def test_an_expired_signing_certificate_is_told(transactions: FakeTransactions) -> None:
    told = check(transactions, metadata(keys=(OLD,)), FakeClock())
    assert told.state is IdentityProviderState.READY and "expired" in told.detail  # type: ignore[attr-defined]
