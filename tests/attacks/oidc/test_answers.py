"""An OpenID provider, or somebody in its place, that answers what it should not: nobody is signed in."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.unit.auth.fakes import START, FakeAttempts, FakeClock, FakeRandomness, FakeTransactions

from keystead_auth.adapters.oidc import AuthlibMessages, JoseIdTokens, SecretFolder
from keystead_auth.domain import idp_errors as refusals
from keystead_auth.domain.oidc import OidcEntity
from keystead_auth.domain.providers import Arrival, Attempt, IdentityProvider, Purpose
from keystead_auth.domain.sign_in import Form
from keystead_auth.usecases.take_oidc_answer import BroughtCode, OidcTools, take_oidc_answer
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderKind
from keystead_contracts.refusals import Refusal
from keystead_kit.secrets import token_digest

ISSUER = "https://op.example"
KEY = RSAKey.generate_key(2048, {"kid": "k"})
ROTATED = RSAKey.generate_key(2048, {"kid": "rotated"})
STRANGER = RSAKey.generate_key(2048, {"kid": "k"})
STAMP = int(START.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER, "aud": "keystead", "sub": "1", "nonce": "the nonce", "iat": STAMP, "exp": STAMP + 300,
    "email": "ada@example.org", "email_verified": True,
}  # fmt: skip


def id_token(key: RSAKey = KEY, **changes: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key, algorithms=["RS256"])


def unsigned() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k"}').decode().rstrip("=")
    return f"{head}.{id_token().split('.')[1]}."


@dataclass
class Provider:
    """What the provider answers: to a code, and to who asks for more."""

    answers: dict[str, bytes | Refusal] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], str | None]] = field(default_factory=list)

    def get(self, url: str) -> bytes:
        return self.send("GET", url)

    def send(
        self, method: str, url: str, data: Mapping[str, str] | None = None, authorization: str | None = None
    ) -> bytes:
        self.asked.append((method, url, dict(data or {}), authorization))
        answer = self.answers.get(url, refusals.FetchFailed("The address answers 404.", 404))
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def gives(self, token: str) -> None:
        self.answers[f"{ISSUER}/token"] = json.dumps({"id_token": token, "access_token": "an access token"}).encode()

    def says(self, **claims: Any) -> None:
        self.answers[f"{ISSUER}/userinfo"] = json.dumps(claims).encode()


class Service:
    """auth, which has sent somebody to the provider."""

    def __init__(self) -> None:
        entity = OidcEntity(
            ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token", f"{ISSUER}/keys", f"{ISSUER}/userinfo", ("RS256",),
            (KEY.as_dict(private=False),), basic=True, names_itself=False,
        )  # fmt: skip
        self.provider = Provider()
        self.attempts = FakeAttempts()
        self.transactions = FakeTransactions(Form("staff", 1, "Staff", "Northwind", (SignInMethod.IDP,), ()))
        with self.transactions.write() as store:
            store.provider_rows["op"] = IdentityProvider(
                "op", 1, "Northwind", IdentityProviderKind.OIDC, issuer=ISSUER, client_id="keystead",
                material=entity.material(),
            )  # fmt: skip
            store.attempt_rows[token_digest("state")] = Attempt(
                id=token_digest("state"), provider="op", purpose=Purpose.FORM, form="staff",
                relay=token_digest("state"), browser=token_digest("visit"), created_at=START,
                expires_at=START + timedelta(minutes=15), trace_id="a" * 32,
                secrets={"nonce": "the nonce", "code_verifier": "the verifier"},
            )  # fmt: skip

    def take(self, **changes: Any) -> Arrival:
        values: dict[str, Any] = {
            "provider": "op", "state": "state", "code": "code", "error": None, "issuer": None, "visit": "visit",
            "client": "192.0.2.1",
        }  # fmt: skip
        tools = OidcTools(AuthlibMessages("https://enroll.example"), self.provider, JoseIdTokens(), SecretFolder(None))
        brought = BroughtCode(**values | changes)
        take_oidc_answer(self.transactions, self.attempts, tools, FakeRandomness(), FakeClock(), brought)
        [arrival] = self.transactions.store.arrival_rows.values()
        return arrival

    def refuses(self, refusal: type[Refusal], **changes: Any) -> None:
        with pytest.raises(Refusal) as caught:
            self.take(**changes)
        assert type(caught.value) is refusal, repr(caught.value)
        assert self.transactions.store.arrival_rows == {}


@pytest.fixture
def service() -> Service:
    return Service()


def test_a_good_answer_is_taken_and_its_code_comes_with_the_verifier(service: Service) -> None:
    service.provider.gives(id_token())
    assert service.take().person.email == "ada@example.org"
    [(method, url, fields, _)] = service.provider.asked
    assert (method, url, fields["code_verifier"]) == ("POST", f"{ISSUER}/token", "the verifier")
    assert fields["redirect_uri"] == "https://enroll.example/auth/oidc/op/callback"


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (unsigned, refusals.IdTokenWrong),
        (lambda: id_token(STRANGER), refusals.IdTokenWrong),
        (lambda: id_token(nonce="another"), refusals.RequestUnknown),
        (lambda: id_token(nonce=None), refusals.RequestUnknown),
        (lambda: id_token(aud="another"), refusals.AudienceWrong),
        (lambda: id_token(iss="https://evil.example"), refusals.IssuerWrong),
        (lambda: id_token(exp=STAMP - 300), refusals.TooLate),
        (lambda: id_token(email_verified=False), refusals.MailUnverified),
        (lambda: id_token(email="nobody"), refusals.MailMissing),
        (lambda: "", refusals.IdTokenWrong),
    ],
)
def test_a_token_that_proves_nothing_is_refused(
    service: Service, make: Callable[[], str], refusal: type[Refusal]
) -> None:
    service.provider.gives(make())
    service.refuses(refusal)
    assert service.attempts.counted == [("192.0.2.1", "refused")]


def test_what_is_said_of_another_subject_is_refused(service: Service) -> None:
    service.provider.gives(id_token(email=None))
    service.provider.says(sub="2", email="boss@example.org", email_verified=True)
    service.refuses(refusals.IdTokenWrong)


def test_more_is_asked_with_the_access_token_and_never_outweighs_the_id_token(service: Service) -> None:
    service.provider.gives(id_token(email=None, name="Ada"))
    service.provider.says(sub="1", email="ada@example.org", name="Mallory", iss="https://evil.example")
    assert service.take().person.name == "Ada"
    assert service.provider.asked[-1] == ("GET", f"{ISSUER}/userinfo", {}, "Bearer an access token")


def test_an_address_that_the_provider_doubts_elsewhere_is_refused(service: Service) -> None:
    service.provider.gives(id_token(email=None, email_verified=None))
    service.provider.says(sub="1", email="boss@example.org", email_verified=False)
    service.refuses(refusals.MailUnverified)


def test_a_rotated_key_is_looked_up_and_a_stranger_s_is_not_found_there(service: Service) -> None:
    keys = {"keys": [ROTATED.as_dict(private=False)]}
    service.provider.answers[f"{ISSUER}/keys"] = json.dumps(keys).encode()
    service.provider.gives(id_token(RSAKey.generate_key(2048, {"kid": "rotated"})))
    service.refuses(refusals.IdTokenWrong)
    fresh = Service()
    fresh.provider.answers = dict(service.provider.answers)
    fresh.provider.gives(id_token(ROTATED))
    assert fresh.take().person.email == "ada@example.org"


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (b"not json", refusals.IdTokenWrong),
        (b"[]", refusals.IdTokenWrong),
        (b"[" * 100_000, refusals.IdTokenWrong),
        (b"{}", refusals.IdTokenWrong),
        (refusals.FetchFailed("The address answers 400.", 400), refusals.CodeRefused),
        (refusals.FetchFailed("The address answers 500.", 500), refusals.ProviderNotReady),
        (refusals.FetchFailed("The address does not answer in time."), refusals.ProviderNotReady),
    ],
)
def test_an_answer_that_is_none_is_refused(service: Service, answer: bytes | Refusal, refusal: type[Refusal]) -> None:
    service.provider.answers[f"{ISSUER}/token"] = answer
    service.refuses(refusal)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"state": "another"}, refusals.RequestUnknown),
        ({"provider": "other"}, refusals.RequestUnknown),
        ({"visit": "another"}, refusals.BrowserWrong),
        ({"issuer": "https://evil.example"}, refusals.IssuerWrong),
        ({"error": "access_denied"}, refusals.StatusFailed),
        ({"code": None}, refusals.StatusFailed),
    ],
)
def test_a_code_is_not_even_shown_to_the_provider_when_it_is_not_this_browser_s(
    service: Service, changes: dict[str, Any], refusal: type[Refusal]
) -> None:
    service.provider.gives(id_token())
    service.refuses(refusal, **changes)
    assert service.provider.asked == []


def test_an_answer_works_once_whatever_became_of_it(service: Service) -> None:
    service.provider.gives(id_token(nonce="another"))
    service.refuses(refusals.RequestUnknown)
    service.provider.gives(id_token())
    service.refuses(refusals.AlreadyUsed)
