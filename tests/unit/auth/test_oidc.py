"""Which ID tokens sign somebody in, and which descriptions of a provider are taken: each rule alone."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from keystead_auth.adapters.oidc import AuthlibMessages, JoseIdTokens, SecretFolder
from keystead_auth.domain import idp_errors as refusals
from keystead_auth.domain.oidc import (
    OLDEST,
    SKEW,
    DiscoveryRefused,
    ExpectedToken,
    OidcEntity,
    check_source,
    judge_token,
    read_discovery,
    read_keys,
    sent_attributes,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
EXPECTED = ExpectedToken("https://op.example", "keystead", "nonce", NOW)
CLAIMS: dict[str, Any] = {
    "iss": "https://op.example", "aud": "keystead", "sub": "1", "nonce": "nonce", "iat": STAMP, "exp": STAMP + 300,
}  # fmt: skip
EARLY, LATE = STAMP - int(SKEW.total_seconds()), STAMP + int(SKEW.total_seconds())
RSA = RSAKey.generate_key(2048, {"kid": "r"})
EC = ECKey.generate_key("P-256", {"kid": "e"})
PUBLIC = [key.as_dict(private=False) for key in (RSA, EC)]
DISCOVERY: dict[str, Any] = {
    "issuer": "https://op.example",
    "authorization_endpoint": "https://op.example/authorize",
    "token_endpoint": "https://op.example/token",
    "jwks_uri": "https://op.example/keys",
    "response_types_supported": ["code", "id_token"],
    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
}


# --- the judge ------------------------------------------------------------------------------------------------------


def test_a_good_token_names_its_subject() -> None:
    assert judge_token(CLAIMS, EXPECTED) == "1"
    assert judge_token(CLAIMS | {"aud": ["other", "keystead"], "azp": "keystead"}, EXPECTED) == "1"
    assert judge_token(CLAIMS | {"exp": EARLY + 1, "nbf": LATE}, EXPECTED) == "1"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"iss": "https://evil.example"}, refusals.IssuerWrong),
        ({"iss": None}, refusals.IssuerWrong),
        ({"aud": "another"}, refusals.AudienceWrong),
        ({"aud": ["another"]}, refusals.AudienceWrong),
        ({"aud": {"keystead": 1}}, refusals.AudienceWrong),
        ({"aud": ["keystead", "another"]}, refusals.AudienceWrong),
        ({"azp": "another"}, refusals.AudienceWrong),
        ({"nonce": "another"}, refusals.RequestUnknown),
        ({"nonce": None}, refusals.RequestUnknown),
        ({"exp": EARLY}, refusals.TooLate),
        ({"exp": None}, refusals.IdTokenWrong),
        ({"exp": True}, refusals.IdTokenWrong),
        ({"exp": 1e300}, refusals.IdTokenWrong),
        ({"exp": "9999999999"}, refusals.IdTokenWrong),
        ({"iat": LATE + 1}, refusals.NotYetValid),
        ({"iat": STAMP - int(OLDEST.total_seconds()) - 1}, refusals.TooLate),
        ({"nbf": LATE + 1}, refusals.NotYetValid),
        ({"sub": ""}, refusals.IdTokenWrong),
        ({"sub": 1}, refusals.IdTokenWrong),
    ],
)
def test_a_token_that_breaks_one_rule_is_refused_for_it(
    changes: dict[str, Any], refusal: type[refusals.AnswerRefused]
) -> None:
    with pytest.raises(refusals.AnswerRefused) as caught:
        judge_token(CLAIMS | changes, EXPECTED)
    assert type(caught.value) is refusal


def test_an_address_counts_unless_the_provider_doubts_it() -> None:
    for verified in ({}, {"email_verified": True}, {"email_verified": "true"}):
        assert sent_attributes({"email": "a@b", "n": 1} | verified)[0].values == ("a@b",)
    for doubted in (False, "false", None, 0, "yes"):
        with pytest.raises(refusals.MailUnverified):
            sent_attributes({"email": "a@b", "email_verified": doubted})


# --- signatures -----------------------------------------------------------------------------------------------------


def token(key: Any, algorithm: str, **header: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid} | header, CLAIMS, key, algorithms=[algorithm])


def read(text: str, keys: list[Any] | None = None, algorithms: tuple[str, ...] = ("RS256", "ES256", "PS256")) -> Any:
    return JoseIdTokens().claims(text, PUBLIC if keys is None else keys, algorithms)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")])
def test_tokens_of_the_provider_s_keys_are_read(key: Any, algorithm: str) -> None:
    assert read(token(key, algorithm)) == CLAIMS


def test_a_key_without_an_id_is_tried() -> None:
    plain = [{name: value for name, value in each.items() if name != "kid"} for each in PUBLIC]
    assert read(jwt.encode({"alg": "RS256"}, CLAIMS, RSA, algorithms=["RS256"]), plain) == CLAIMS


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unsigned() -> str:
    _, body, _ = token(RSA, "RS256").split(".")

    none = encoded(b'{"alg":"none","kid":"r"}')
    return f"{none}.{body}."


def by_public_key() -> str:
    """HMAC with the provider's public key as its secret."""
    _, body, _ = token(RSA, "RS256").split(".")
    head = encoded(b'{"alg":"HS256","kid":"r"}')
    mark = hmac.digest(RSA.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{encoded(mark)}"


def changed() -> str:
    head, _, signature = token(RSA, "RS256").split(".")
    _, other, _ = jwt.encode({"alg": "RS256"}, CLAIMS | {"sub": "2"}, RSA, algorithms=["RS256"]).split(".")
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        unsigned,
        by_public_key,
        changed,
        lambda: token(RSA, "RS384"),
        lambda: token(RSAKey.generate_key(2048, {"kid": "r"}), "RS256"),
        lambda: token(RSAKey.generate_key(2048, {"kid": "r"}), "RS256", jwk=PUBLIC[0]),
        lambda: "",
        lambda: "a.b.c",
        lambda: "x" * 100_000,
    ],
)
def test_a_token_that_no_key_of_the_provider_signed_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(refusals.IdTokenWrong):
        read(make())


def test_an_algorithm_that_the_provider_does_not_name_is_refused() -> None:
    with pytest.raises(refusals.IdTokenWrong):
        read(token(RSA, "PS256"), algorithms=("RS256",))


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_a_weak_key_is_no_key() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "w"})
    with pytest.raises(refusals.IdTokenWrong):
        read(token(weak, "RS256"), [weak.as_dict(private=False)])


def test_a_new_key_is_told_from_a_wrong_one() -> None:
    with pytest.raises(refusals.KeyUnknown):
        read(token(RSAKey.generate_key(2048, {"kid": "new"}), "RS256"))


# --- descriptions ---------------------------------------------------------------------------------------------------


def described(**changes: Any) -> bytes:
    return json.dumps(DISCOVERY | changes).encode()


def test_a_provider_describes_itself() -> None:
    entity = read_discovery(
        described(authorization_response_iss_parameter_supported=True), DISCOVERY["issuer"], secure=True
    )
    assert entity.algorithms == ("RS256",) and entity.basic and entity.names_itself
    assert OidcEntity.of(json.loads(json.dumps(entity.material()))) == entity


@pytest.mark.parametrize(
    "document",
    [
        described(issuer="https://evil.example"),
        described(id_token_signing_alg_values_supported=["HS256", "none"]),
        described(response_types_supported=["id_token"]),
        described(code_challenge_methods_supported=["plain"]),
        described(token_endpoint="http://op.example/token"),
        described(jwks_uri="file:///etc/passwd"),
        described(authorization_endpoint=None),
        described(userinfo_endpoint="javascript:alert(1)"),
        b"[]",
        b"no json",
        b"[" * 100_000,
    ],
)
def test_a_description_with_which_nobody_could_sign_in_is_refused(document: bytes) -> None:
    with pytest.raises(DiscoveryRefused):
        read_discovery(document, "https://op.example", secure=True)


def test_only_public_signing_keys_are_kept() -> None:
    private = RSA.as_dict(private=True)
    found = read_keys(
        json.dumps({"keys": [private, {"kty": "oct", "k": "AAAA"}, 1, PUBLIC[1] | {"use": "enc"}]}).encode()
    )
    assert [set(key) for key in found] == [{"kty", "n", "e", "kid"}]
    for document in (b'{"keys": []}', b'{"keys": 1}', b"{}"):
        with pytest.raises(DiscoveryRefused):
            read_keys(document)


def test_an_answer_names_the_provider_that_was_asked() -> None:
    entity = read_discovery(described(), "https://op.example", secure=True)
    strict = read_discovery(
        described(authorization_response_iss_parameter_supported=True), "https://op.example", secure=True
    )
    for each, named in ((entity, None), (entity, "https://op.example"), (strict, "https://op.example")):
        check_source(each, named)
    for each, named in ((entity, "https://evil.example"), (strict, None), (strict, "https://evil.example")):
        with pytest.raises(refusals.IssuerWrong):
            check_source(each, named)


# --- what we write --------------------------------------------------------------------------------------------------


def test_our_secret_goes_where_the_provider_wants_it() -> None:
    messages = AuthlibMessages("https://enroll.example")
    basic = read_discovery(described(), "https://op.example", secure=True)
    post = read_discovery(
        described(token_endpoint_auth_methods_supported=["client_secret_post"]), "https://op.example", secure=True
    )
    given = {"redirect_uri": "https://r", "code": "c", "code_verifier": "v"}
    fields, authorization = messages.token_request(basic, "id", "s:%", **given)
    assert authorization == "Basic aWQ6cyUzQSUyNQ==" and "client_secret" not in fields
    fields, authorization = messages.token_request(post, "id", "s", **given)
    assert (fields["client_secret"], authorization) == ("s", None)
    fields, authorization = messages.token_request(basic, "id", None, **given)
    assert (fields["client_id"], authorization) == ("id", None)


def test_a_secret_comes_from_its_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "good").write_text("secret\n")
    (folder / "empty").write_text("\n")
    (tmp_path / "outside").write_text("secret")
    assert SecretFolder(folder).get("good") == "secret"
    for name in ("empty", "missing", "../outside", "..", "", ".", f"{tmp_path}/outside", "good/", "good\n", "a\0b"):
        with pytest.raises(refusals.SecretMissing):
            SecretFolder(folder).get(name)
    with pytest.raises(refusals.SecretMissing):
        SecretFolder(None).get("good")
