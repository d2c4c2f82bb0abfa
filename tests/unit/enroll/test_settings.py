"""enroll starts with whole settings or not at all; the CA is made with its own alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from keystead_enroll.settings import CaSettings, EnrollSettings, EnrollWorkerSettings
from keystead_kit.secrets import write_signing_key

KEY, OTHER_KEY = "8f1c0be4a7d259636eb07c1f5a2d94e8", "c7a1e05b3f9d48268b0c6e1d7f3a9254"


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:
    for service in ("auth", "enroll"):
        write_signing_key(tmp_path / f"{service}.pem", tmp_path / f"{service}.pub.pem")
    return {
        "public_origin": "https://enroll.example.org",
        "database_url": "sqlite:////tmp/x.db",
        "identity_key_file": tmp_path / "auth.pub.pem",
        "token_key_file": tmp_path / "enroll.pem",
        "cookie_key": KEY,
        "access_code_key": OTHER_KEY,
        "ca_folder": tmp_path / "ca",
    }


def test_whole_settings_are_taken(good: dict[str, Any]) -> None:
    assert EnrollSettings(**good).public_origin == "https://enroll.example.org"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("public_origin", "http://enroll.example.org", "must begin with https://"),
        ("cookie_key", "c" * 40, "can be guessed"),
        ("access_code_key", "short", "has 5 characters"),
        ("access_code_key", KEY, "is the same as COOKIE_KEY"),
        ("cookie_key", "one secret for two uses 8b0c6e1d7f3a92", "can be guessed"),
        ("ca_key_passphrase", "short", "has 5 octets"),
        ("agent_download_url", "javascript:alert(1)", "must be a whole address"),
        ("agent_download_url", "http://example.org/agent", "must begin with https://"),
        ("mailbox_url", "http://localhost:8025", "refused in production"),
        ("identity_key_file", "/does/not/exist", "file"),
        ("identity_key_file", __file__, "no P-256 public key"),
        ("token_key_file", __file__, "no P-256 private key"),
        ("level_policies", {"vendor": "1.40.1"}, "is no object identifier"),
        ("claim_limit_address", "often", "must be a number and a time"),
    ],
)
def test_what_is_wrong_in_production_refuses_to_start(good: dict[str, Any], name: str, value: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told) as refused:
        EnrollSettings(**good | {name: value})
    assert len(refused.value.errors()) == 1


def test_auth_s_own_key_is_refused_for_enroll_s_tokens(good: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="is auth's"):
        EnrollSettings(**good | {"token_key_file": tmp_path / "auth.pem"})


def test_who_holds_the_ca_s_key_needs_its_passphrase_in_production(good: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="kept encrypted"):
        CaSettings(ca_folder=good["ca_folder"])
    with pytest.raises(ValidationError, match="kept encrypted"):
        EnrollWorkerSettings(**good)
    EnrollWorkerSettings(**good | {"ca_key_passphrase": "correct horse battery"})
    EnrollWorkerSettings(**good | {"mode": "development"})
    EnrollSettings(**good)
