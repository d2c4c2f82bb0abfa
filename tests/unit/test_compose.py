"""docker-compose.yml and secrets.sh: every service gets whole settings, and no secret of another's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_enroll.settings import EnrollSettings, EnrollWorkerSettings
from keystead_kit.settings import ServiceSettings, load_settings
from keystead_notify.settings import NotifySettings, NotifyWorkerSettings

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "auth-web": AuthWebSettings,
    "auth-worker": AuthSettings,
    "auth-migrate": AuthSettings,
    "enroll-web": EnrollSettings,
    "enroll-worker": EnrollWorkerSettings,
    "enroll-migrate": EnrollSettings,
    "notify-web": NotifySettings,
    "notify-worker": NotifyWorkerSettings,
    "notify-migrate": NotifySettings,
}
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, with the variables' defaults."""
    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(r"\1", (ROOT / "docker-compose.yml").read_text()))
    return loaded


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What secrets.sh makes."""
    root = tmp_path_factory.mktemp("compose")
    script = root / "deploy/docker/secrets.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/docker/secrets.sh", script)
    subprocess.run(["bash", str(script)], check=True, capture_output=True)
    return root / "var/compose/secrets"


@pytest.mark.parametrize("service", SETTINGS)
def test_the_service_takes_its_settings_in_production(
    monkeypatch: pytest.MonkeyPatch, compose: dict[str, Any], secrets: Path, service: str
) -> None:
    described = compose["services"][service]
    for name, value in described["environment"].items():
        plain, file = str(value), str(value).removeprefix("/run/secrets/")
        assert file == plain or file in described["secrets"]
        monkeypatch.setenv(name, plain.replace("/run/secrets", str(secrets)))
    assert load_settings(SETTINGS[service]).mode == "production"


def test_every_secret_is_made_and_used(compose: dict[str, Any], secrets: Path) -> None:
    used = {secret for service in compose["services"].values() for secret in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./var/compose/secrets/{name}"}
        assert (secrets / name).read_bytes().strip()


def test_no_secret_is_made_twice(secrets: Path) -> None:
    kept = {file: file.read_bytes() for file in secrets.iterdir()}
    subprocess.run(["bash", str(secrets.parents[2] / "deploy/docker/secrets.sh")], check=True, capture_output=True)
    assert {file: file.read_bytes() for file in secrets.iterdir()} == kept


def test_auths_keys_are_auths_alone(compose: dict[str, Any]) -> None:
    private = {"auth-token.pem", "auth-cookie-key", "auth-totp-key", "auth-saml.key.pem"}
    for name, service in compose["services"].items():
        assert name.startswith("auth-") or not private & set(service.get("secrets", [])), name


def test_auth_can_check_signatures_of_identity_providers() -> None:
    assert "xmlsec1" in (ROOT / "deploy/docker/auth/Dockerfile").read_text().split()
