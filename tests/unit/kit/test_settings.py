"""Settings: every mistake at once, secrets from files, never a value in a message."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from keystead_kit.ratelimit import RateLimit
from keystead_kit.setting_types import DevelopmentMailbox, RandomKey, WebAddress
from keystead_kit.settings import ServiceSettings, load_settings


class Sample(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_", extra="forbid", hide_input_in_errors=True)

    cookie_key: RandomKey
    other_key: RandomKey | None = None
    download_url: WebAddress | None = None
    mailbox_url: DevelopmentMailbox | None = None
    key_file: Path = Path("none")
    limit: RateLimit = "5/minute"


Env = Callable[..., None]
KEY = "8f1c0be4a7d259636eb07c1f5a2d94e8"
GOOD = {
    "PUBLIC_ORIGIN": "https://a.example",
    "DATABASE_URL": "sqlite:////x.db",
    "COOKIE_KEY": KEY,
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Env:
    for name in list(os.environ):
        if name.startswith("SAMPLE_"):
            monkeypatch.delenv(name)

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"SAMPLE_{name}", value)

    return put


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        load_settings(Sample)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_good_settings_load(env: Env) -> None:
    env(**GOOD)
    loaded = load_settings(Sample)
    assert (loaded.public_origin, loaded.secure, loaded.mode.value) == ("https://a.example", True, "production")


def test_every_mistake_is_told_at_once(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env(PUBLIC_ORIGIN="http://a.example", WEB_PORT="0", LOG_LEVEL="LOUD", COOKIE_KEY="short-secret", LIMIT="banana")
    told = refusal(capsys)
    assert told.splitlines()[:-1] == [
        "error: 1 setting is missing and 5 settings are wrong; nothing was started:",
        "  missing  SAMPLE_DATABASE_URL: sqlite:////path or postgresql+psycopg://…",
        "  wrong    SAMPLE_LOG_LEVEL: must be one of: DEBUG, INFO, WARNING, ERROR",
        "  wrong    SAMPLE_PUBLIC_ORIGIN: must begin with https:// in production mode",
        "  wrong    SAMPLE_WEB_PORT: must be 1 or more",
        "  wrong    SAMPLE_COOKIE_KEY: has 12 characters, and 32 are the least; make one: openssl rand -hex 32",
        "  wrong    SAMPLE_LIMIT: must be a number and a time, such as 20/15 minutes",
    ]
    assert told.splitlines()[-1].startswith("hint: ")
    assert "short-secret" not in told


def test_plain_http_is_for_development_only(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env(**GOOD | {"PUBLIC_ORIGIN": "http://a.example"})
    assert "SAMPLE_PUBLIC_ORIGIN: must begin with https:// in production mode" in refusal(capsys)
    env(MODE="development")
    assert not load_settings(Sample).secure


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://A.Example/", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_the_origin_is_as_browsers_write_it(env: Env, written: str, origin: str) -> None:
    env(**GOOD | {"PUBLIC_ORIGIN": written})
    assert load_settings(Sample).public_origin == origin


@pytest.mark.parametrize(
    "written",
    ["a.example", "ftp://a.example", "https://a.example/path", "https://u:p@a.example", "https://a?x", "https://a:x"],
)
def test_what_is_no_origin_is_refused(env: Env, capsys: pytest.CaptureFixture[str], written: str) -> None:
    env(**GOOD | {"PUBLIC_ORIGIN": written})
    assert "SAMPLE_PUBLIC_ORIGIN: " in refusal(capsys)


def test_a_secret_may_be_in_a_file(env: Env, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{GOOD['COOKIE_KEY']}\n")
    env(**{name: value for name, value in GOOD.items() if name != "COOKIE_KEY"})
    env(COOKIE_KEY_FILE=str(tmp_path / "key"))
    assert load_settings(Sample).cookie_key.get_secret_value() == GOOD["COOKIE_KEY"]


def test_the_environment_wins_over_a_secret_file_and_that_over_toml(env: Env, tmp_path: Path) -> None:
    (tmp_path / "origin").write_text("https://file.example")
    (tmp_path / "s.toml").write_text(
        f'public_origin = "https://toml.example"\ndatabase_url = "sqlite:////t.db"\ncookie_key = "{KEY}"\n'
    )
    env(SETTINGS=str(tmp_path / "s.toml"))
    assert load_settings(Sample).public_origin == "https://toml.example"
    env(PUBLIC_ORIGIN_FILE=str(tmp_path / "origin"))
    assert load_settings(Sample).public_origin == "https://file.example"
    env(PUBLIC_ORIGIN="https://env.example")
    assert load_settings(Sample).public_origin == "https://env.example"


def test_every_secret_file_that_cannot_be_read_is_told(
    env: Env, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin").write_bytes(b"hidden\xff")
    env(COOKIE_KEY_FILE=str(tmp_path / "none"), DATABASE_URL_FILE=str(tmp_path / "latin"))
    told = refusal(capsys)
    assert "SAMPLE_COOKIE_KEY_FILE: No such file or directory" in told
    assert "SAMPLE_DATABASE_URL_FILE: is not UTF-8 text" in told
    assert "hidden" not in told


def test_broken_toml_is_told_with_its_file(env: Env, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text('cookie_key = "tell-nobody\n')
    env(SETTINGS=str(tmp_path / "s.toml"))
    told = refusal(capsys)
    assert f"SAMPLE_SETTINGS: {tmp_path / 's.toml'}: " in told
    assert "tell-nobody" not in told


def test_a_toml_file_that_is_not_there_is_told(env: Env, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env(**GOOD, SETTINGS=str(tmp_path / "none.toml"))
    assert "SAMPLE_SETTINGS: " in refusal(capsys)


def test_mistakes_in_toml_are_told_at_once(env: Env, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text('surprise = "tell-nobody"\nweb_port = 70000\nheartbeat_seconds = 0\n')
    env(**GOOD, SETTINGS=str(tmp_path / "s.toml"))
    told = refusal(capsys)
    for name in ("SURPRISE", "WEB_PORT", "HEARTBEAT_SECONDS"):
        assert f"SAMPLE_{name}: " in told
    assert "tell-nobody" not in told


def test_a_setting_that_is_a_path_to_a_key_keeps_its_name(env: Env, tmp_path: Path) -> None:
    env(**GOOD, KEY_FILE=str(tmp_path / "never-read"))
    assert load_settings(Sample).key_file == tmp_path / "never-read"


def test_a_secret_does_not_show_in_a_representation(env: Env) -> None:
    env(**GOOD | {"DATABASE_URL": "postgresql+psycopg://u:tell-nobody@h/d"})
    assert "tell-nobody" not in repr(load_settings(Sample))


@pytest.mark.parametrize(
    "key",
    ["k" * 40, "0123456789abcdef" * 2, f"change-me-{KEY}", f"My-Secret-Key-{KEY}"],
)
def test_a_key_that_can_be_guessed_is_for_development_only(
    env: Env, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    env(**GOOD | {"COOKIE_KEY": key})
    told = refusal(capsys)
    assert "SAMPLE_COOKIE_KEY: can be guessed; make one: openssl rand -hex 32" in told
    assert key not in told
    env(MODE="development")
    load_settings(Sample)


def test_one_key_for_two_uses_is_for_development_only(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env(**GOOD, OTHER_KEY=GOOD["COOKIE_KEY"])
    assert "SAMPLE_OTHER_KEY: is the same as COOKIE_KEY" in refusal(capsys)
    env(MODE="development")
    load_settings(Sample)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "ftp://a.example/x", "//a.example", "a.example", "https://"]
)
@pytest.mark.parametrize("mode", ["development", "production"])
def test_what_is_no_web_address_is_refused(
    env: Env, capsys: pytest.CaptureFixture[str], mode: str, address: str
) -> None:
    env(**GOOD, MODE=mode, DOWNLOAD_URL=address)
    assert "SAMPLE_DOWNLOAD_URL: must be a whole address" in refusal(capsys)


def test_a_web_address_without_tls_is_for_development_only(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env(**GOOD, DOWNLOAD_URL="http://a.example/agent")
    assert "SAMPLE_DOWNLOAD_URL: must begin with https:// in production mode" in refusal(capsys)
    env(MODE="development")
    assert load_settings(Sample).download_url == "http://a.example/agent"


def test_the_development_mailbox_is_for_development_only(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env(**GOOD, MAILBOX_URL="https://a.example")
    assert "SAMPLE_MAILBOX_URL: names the development mailbox, which is refused in production mode" in refusal(capsys)


def test_a_mistyped_name_in_toml_is_told_with_what_was_meant(
    env: Env, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text("web_prt = 1\n")
    env(**GOOD, SETTINGS=str(tmp_path / "s.toml"))
    assert "SAMPLE_WEB_PRT: is not known; did you mean WEB_PORT?" in refusal(capsys)
