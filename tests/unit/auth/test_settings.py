"""auth starts with whole settings or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from keystead_auth.adapters.saml_keys import write_saml_key
from keystead_auth.cli import main
from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_kit.secrets import write_signing_key
from keystead_kit.settings import load_settings

KEY = "8f1c0be4a7d259636eb07c1f5a2d94e8"


@pytest.fixture
def good(tmp_path: Path) -> dict[str, object]:
    key = tmp_path / "token.pem"
    write_signing_key(key, tmp_path / "token.pub.pem")
    return {
        "public_origin": "https://enroll.example.org",
        "database_url": "sqlite:////tmp/x.db",
        "token_key_file": key,
        "cookie_key": KEY,
        "totp_key": KEY[::-1],
    }


def test_whole_settings_are_taken(good: dict[str, object]) -> None:
    settings = AuthWebSettings(**good)  # type: ignore[arg-type]
    assert settings.link_lifetime.total_seconds() == 900
    assert settings.session_lifetime.total_seconds() == 8 * 3600


def test_a_saml_key_comes_with_its_certificate_and_a_next_one_after_it(good: dict[str, object], tmp_path: Path) -> None:
    key, certificate, other = tmp_path / "key.pem", tmp_path / "crt.pem", tmp_path / "other.pem"
    write_saml_key(key, certificate, "enroll.example.org")
    write_saml_key(tmp_path / "other.key.pem", other, "enroll.example.org")
    pair = {"saml_key_file": key, "saml_certificate_file": certificate}
    assert len(AuthWebSettings(**good | pair).saml_keys) == 1  # type: ignore[arg-type]
    for wrong, words in (
        ({"saml_key_file": key}, "together"),
        ({"saml_certificate_file": certificate}, "together"),
        ({"saml_next_key_file": key, "saml_next_certificate_file": certificate}, "missing"),
        (pair | {"saml_certificate_file": other}, "no certificate of the key"),
        (pair | {"saml_key_file": certificate}, "could not|deserialize|PEM"),
    ):
        with pytest.raises(ValidationError, match=words):
            AuthWebSettings(**good | wrong)  # type: ignore[arg-type]


def test_a_saml_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key, certificate = tmp_path / "new" / "key.pem", tmp_path / "new" / "crt.pem"
    arguments = ["saml-key", "--key", str(key), "--certificate", str(certificate), "--host", "enroll.example.org"]
    assert CliRunner().invoke(main, arguments).output == f"made {key}\n"
    made = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(main, arguments).output == f"kept {key}\n"
    assert key.read_bytes() == made


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"--host": "https://enroll.example.org"}, "--host: 'https://enroll.example.org' is no host's name"),
        ({"--host": ""}, "--host: "),
        ({"--host": "a" * 65}, "--host: "),
        ({"--certificate": "key.pem"}, "--certificate: is the key's file"),
        ({"--certificate": "."}, "--certificate: . is a folder"),
        ({"--key": "file/key.pem"}, "--key: file is no folder"),
        ({"--certificate": "there.pem"}, "--certificate: there.pem is there, and no key"),
        ({"--key": "there.pem"}, "--certificate: crt.pem is not there, and its key there.pem is"),
        ({"--key": "there.pem", "--certificate": "file"}, "--key: the pair that is there cannot be used"),
    ],
)
def test_a_wrong_argument_of_saml_key_is_named_and_nothing_is_written(
    wrong: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file", "there.pem"):
        (tmp_path / name).write_text("no key")
    options = {"--key": "key.pem", "--certificate": "crt.pem", "--host": "enroll.example.org"} | wrong
    done = CliRunner().invoke(main, ["saml-key", *(part for option in options.items() for part in option)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"error: {said}" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there.pem"]


def test_the_worker_needs_no_keys(good: dict[str, object]) -> None:
    del good["token_key_file"], good["cookie_key"], good["totp_key"]
    AuthSettings(**good)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cookie_key", "too short"),
        ("cookie_key", "x" * 40),
        ("totp_key", "x" * 40),
        ("totp_key", KEY),
        ("administrator_second_factor", "optional"),
        ("token_key_file", "/does/not/exist"),
        ("token_key_file", __file__),
        ("link_minutes", 0),
        ("limit_sign_in_per_email", "often"),
        ("mailbox_url", "http://localhost:8025"),
        ("idp_networks", "10.0.0.0/8, the intranet"),
        ("limit_idp_per_client", "often"),
        ("public_origin", "http://enroll.example.org"),
    ],
)
def test_what_is_wrong_in_production_refuses_to_start(good: dict[str, object], name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        AuthWebSettings(**good | {name: value})  # type: ignore[arg-type]


def test_a_missing_secret_refuses_to_start_and_every_mistake_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEYSTEAD_AUTH_PUBLIC_ORIGIN", "https://enroll.example.org")
    with pytest.raises(SystemExit) as end:
        load_settings(AuthWebSettings)
    assert end.value.code == 2
    told = capsys.readouterr().err
    for name in ("DATABASE_URL", "TOKEN_KEY_FILE", "COOKIE_KEY", "TOTP_KEY"):
        assert f"KEYSTEAD_AUTH_{name}" in told


def test_secrets_do_not_show(good: dict[str, object]) -> None:
    assert KEY not in repr(AuthWebSettings(**good))  # type: ignore[arg-type]
