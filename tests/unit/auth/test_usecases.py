"""auth's use cases over ports in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from tests.unit.auth.fakes import (
    FORM,
    START,
    FakeAttempts,
    FakeClock,
    FakeDoorbell,
    FakeRandomness,
    FakeSigner,
    FakeTransactions,
)

from keystead_auth.domain.errors import (
    EmailMalformed,
    FormUnknown,
    LinkExpired,
    LinkUnknown,
    LinkUsed,
    MethodNotOffered,
    TooManyAttempts,
)
from keystead_auth.domain.sign_in import Decision, Form, Link, SignedIn
from keystead_auth.usecases.confirm_link import confirm_link
from keystead_auth.usecases.decide_requests import decide_requests
from keystead_auth.usecases.project_form import project_form
from keystead_auth.usecases.prune import prune
from keystead_auth.usecases.recognize_person import recognize_person
from keystead_auth.usecases.request_link import WantedLink, request_link
from keystead_auth.usecases.sign_out import sign_out
from keystead_auth.usecases.view_form import view_form
from keystead_auth.usecases.view_link import view_link
from keystead_contracts.base import CertificateType
from keystead_contracts.events import FormPublished, LoginRequested
from keystead_contracts.identity import IdentityClaims, SignInMethod
from keystead_kit.secrets import token_digest

TRACE = "a" * 32
PUBLISHED = FormPublished(
    form="staff", version=2, name="New name", organization="Northwind", certificate_type=CertificateType.CLIENT,
    methods=[SignInMethod.EMAIL], email_domains=["example.org"],
)  # fmt: skip


@dataclass
class World:
    transactions: FakeTransactions = field(default_factory=FakeTransactions)
    attempts: FakeAttempts = field(default_factory=FakeAttempts)
    doorbell: FakeDoorbell = field(default_factory=FakeDoorbell)
    randomness: FakeRandomness = field(default_factory=FakeRandomness)
    signer: FakeSigner = field(default_factory=FakeSigner)
    clock: FakeClock = field(default_factory=FakeClock)

    def ask(self, email: str = "ada@example.org", form: str = "staff") -> str:
        wanted = WantedLink(form, email, "192.0.2.1", TRACE)
        return request_link(self.transactions, self.attempts, self.doorbell, self.randomness, self.clock, wanted)

    def decide(self) -> list[Decision]:
        return decide_requests(
            self.transactions, self.randomness, self.clock,
            link_for=lambda token: f"https://x/auth/confirm/{token}", lifetime=timedelta(minutes=15),
        )  # fmt: skip

    def token(self, email: str = "ada@example.org") -> str:
        self.ask(email)
        assert self.decide() == [Decision.LINK_SENT]
        fact = self.facts()[-1]
        return fact.link.rsplit("/", 1)[1]

    def confirm(self, token: str, visit: str = "browser") -> SignedIn:
        return confirm_link(
            self.transactions, self.attempts, self.signer, self.randomness, self.clock,
            token=token, visit=visit, client="192.0.2.1", session_lifetime=timedelta(hours=8),
        )  # fmt: skip

    def recognize(self, session_token: str | None, uri: str = "staff") -> SignedIn | None:
        assert session_token is not None
        return recognize_person(
            self.transactions, self.signer, self.randomness, self.clock, uri=uri, session_token=session_token
        )

    def facts(self) -> list[LoginRequested]:
        return [fact for _, _, fact in self.transactions.store.outbox if isinstance(fact, LoginRequested)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_published_form_is_known(world: World) -> None:
    assert project_form(world.transactions.store.forms, PUBLISHED)
    assert view_form(world.transactions, "staff").name == "New name"


@pytest.mark.parametrize("version", [0, 1])
def test_an_older_or_equal_version_of_a_form_is_void(world: World, version: int) -> None:
    assert not project_form(world.transactions.store.forms, PUBLISHED.model_copy(update={"version": version}))
    assert view_form(world.transactions, "staff").name == FORM.name


def test_a_withdrawn_form_is_unknown_and_an_older_publication_does_not_revive_it(world: World) -> None:
    withdrawn = PUBLISHED.model_copy(update={"withdrawn": True, "version": 3})
    project_form(world.transactions.store.forms, withdrawn)
    project_form(world.transactions.store.forms, PUBLISHED)
    with pytest.raises(FormUnknown):
        view_form(world.transactions, "staff")


def test_asking_stores_a_request_and_rings(world: World) -> None:
    assert world.ask(" Ada@Example.ORG ") == "ada@example.org"
    [(request, decision)] = world.transactions.store.request_rows.values()
    assert (request.email, request.form, request.trace_id, decision) == ("ada@example.org", "staff", TRACE, None)
    assert world.doorbell.rung == 1


def test_asking_does_not_decide(world: World) -> None:
    world.ask("stranger@example.net")
    world.ask("ada@example.org")
    assert [decision for _, decision in world.transactions.store.request_rows.values()] == [None, None]
    assert not world.transactions.store.outbox


def test_a_malformed_address_is_refused_and_not_counted(world: World) -> None:
    with pytest.raises(EmailMalformed):
        world.ask("ada")
    assert not world.attempts.counted


def test_a_used_up_limit_stores_nothing(world: World) -> None:
    world.attempts.wait = 42
    with pytest.raises(TooManyAttempts) as refusal:
        world.ask()
    assert refusal.value.retry_after == 42
    assert not world.transactions.store.request_rows
    assert world.doorbell.rung == 0


def test_a_form_without_email_takes_no_request(world: World) -> None:
    world.transactions = FakeTransactions(replace(FORM, methods=(SignInMethod.IDP,)))
    with pytest.raises(MethodNotOffered):
        world.ask()


def test_an_unknown_form_takes_no_request(world: World) -> None:
    with pytest.raises(FormUnknown):
        world.ask(form="nothing")


def test_an_eligible_person_gets_a_link_of_which_only_the_digest_is_stored(world: World) -> None:
    token = world.token()
    [link] = world.transactions.store.link_rows.values()
    assert link.digest == token_digest(token)
    [(destination, trace_id, fact)] = world.transactions.store.outbox
    assert (destination, trace_id) == ("notify", TRACE)
    assert isinstance(fact, LoginRequested)
    assert fact.requested_from == "192.0.2.1"


def test_a_link_works_from_the_request_not_from_the_decision(world: World) -> None:
    world.ask()
    world.clock.pass_by(minutes=10)
    world.decide()
    assert world.facts()[0].expires_at == START + timedelta(minutes=15)


def test_a_request_that_waited_too_long_gets_no_link(world: World) -> None:
    world.ask()
    world.clock.pass_by(minutes=15)
    assert world.decide() == [Decision.TOO_LATE]
    assert not world.facts()


def test_a_stranger_gets_no_link_and_the_others_do(world: World) -> None:
    world.ask("stranger@example.net")
    world.ask("ada@example.org")
    assert world.decide() == [Decision.NOT_ELIGIBLE, Decision.LINK_SENT]
    assert [fact.email for fact in world.facts()] == ["ada@example.org"]
    assert world.decide() == []


def test_looking_at_a_link_uses_nothing_up(world: World) -> None:
    token = world.token()
    for _ in range(3):
        link, form = view_link(world.transactions, world.attempts, world.clock, token=token, client="c")
        assert (link.email, form.uri, link.used_at) == ("ada@example.org", "staff", None)


def test_confirming_starts_a_session_and_says_who_it_is(world: World) -> None:
    who = world.confirm(world.token())
    claims = IdentityClaims.model_validate(world.signer.signed[0])
    assert (claims.sub, claims.form, claims.method) == ("ada@example.org", "staff", SignInMethod.EMAIL)
    assert claims.exp - claims.iat == 120
    assert claims.iat == int(START.timestamp())
    [session] = world.transactions.store.session_rows.values()
    assert who.session_token and session.digest == token_digest(who.session_token)
    assert session.expires_at == START + timedelta(hours=8)
    assert who.trace_id == TRACE


def test_another_browser_cannot_use_a_link_again(world: World) -> None:
    token = world.token()
    world.confirm(token)
    with pytest.raises(LinkUsed):
        world.confirm(token, visit="another browser")
    assert len(world.transactions.store.session_rows) == 1


def test_the_same_browser_may_press_again(world: World) -> None:
    token = world.token()
    first = world.confirm(token)
    world.clock.pass_by(seconds=2)
    second = world.confirm(token)
    assert second.session_token != first.session_token
    assert {each.expires_at for each in world.transactions.store.session_rows.values()} == {START + timedelta(hours=8)}


def test_pressing_again_after_signing_out_does_not_sign_in(world: World) -> None:
    token = world.token()
    first = world.confirm(token)
    assert first.session_token
    sign_out(world.transactions, first.session_token)
    with pytest.raises(LinkUsed):
        world.confirm(token)


def test_pressing_again_after_the_link_expired_does_not_sign_in(world: World) -> None:
    token = world.token()
    world.confirm(token)
    world.clock.pass_by(minutes=15)
    with pytest.raises(LinkUsed):
        world.confirm(token)


def test_an_expired_link_signs_nobody_in(world: World) -> None:
    token = world.token()
    world.clock.pass_by(minutes=15)
    with pytest.raises(LinkExpired):
        world.confirm(token)
    assert not world.transactions.store.session_rows


def test_an_unknown_token_signs_nobody_in(world: World) -> None:
    with pytest.raises(LinkUnknown):
        world.confirm("made-up")


@pytest.mark.parametrize("change", [{"withdrawn": True}, {"email_domains": ("example.net",)}, {"methods": ()}])
def test_a_link_does_not_outlive_the_right_to_it(world: World, change: dict[str, object]) -> None:
    token = world.token()
    changed: Form = replace(FORM, **change)  # type: ignore[arg-type]
    world.transactions.store.form_rows["staff"] = changed
    with pytest.raises(LinkUnknown):
        world.confirm(token)
    [link] = world.transactions.store.link_rows.values()
    assert link.used_at is None
    assert not world.transactions.store.session_rows


def test_confirming_is_limited(world: World) -> None:
    token = world.token()
    world.attempts.wait = 7
    with pytest.raises(TooManyAttempts):
        world.confirm(token)
    with pytest.raises(TooManyAttempts):
        view_link(world.transactions, world.attempts, world.clock, token=token, client="c")


def test_a_session_is_recognized_with_a_fresh_single_use_token(world: World) -> None:
    who = world.confirm(world.token())
    again = world.recognize(who.session_token)
    assert again and again.email == "ada@example.org" and again.session_token is None
    assert world.signer.signed[0]["jti"] != world.signer.signed[1]["jti"]


def test_a_session_ends(world: World) -> None:
    who = world.confirm(world.token())
    world.clock.pass_by(hours=8)
    assert world.recognize(who.session_token) is None


def test_a_session_does_not_open_a_form_that_its_person_may_not_use(world: World) -> None:
    world.transactions.store.form_rows["other"] = replace(FORM, uri="other", email_domains=("example.net",))
    who = world.confirm(world.token())
    assert world.recognize(who.session_token, "other") is None
    assert world.recognize(who.session_token, "nothing") is None


def test_a_session_opens_another_form_that_its_person_may_use(world: World) -> None:
    world.transactions.store.form_rows["other"] = replace(FORM, uri="other")
    who = world.confirm(world.token())
    again = world.recognize(who.session_token, "other")
    assert again and again.form.uri == "other"
    assert world.signer.signed[-1]["form"] == "other"


def test_signing_out_ends_every_session_of_the_link(world: World) -> None:
    token = world.token()
    first, second = world.confirm(token), world.confirm(token)
    assert first.session_token
    sign_out(world.transactions, first.session_token)
    assert world.recognize(first.session_token) is None
    assert world.recognize(second.session_token) is None
    sign_out(world.transactions, first.session_token)


def test_what_is_over_is_forgotten_after_a_day(world: World) -> None:
    world.confirm(world.token())
    assert prune(world.transactions, world.clock) == 0
    world.clock.pass_by(hours=24, minutes=16)
    assert prune(world.transactions, world.clock) == 2
    assert isinstance(world.transactions.store.link_rows, dict) and not world.transactions.store.link_rows
    world.clock.pass_by(hours=8)
    assert prune(world.transactions, world.clock) == 1


def test_secrets_do_not_show_in_a_representation(world: World) -> None:
    who = world.confirm(world.token())
    assert who.identity_token not in repr(who)
    assert who.session_token and who.session_token not in repr(who)
    assert isinstance(next(iter(world.transactions.store.link_rows.values())), Link)
