"""The set-up, the keys and the settings of every test's enroll."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from keystead_enroll.adapters.builtin_ca import CaFolder
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.usecases.create_ca import CaNames, create_ca
from keystead_kit.secrets import write_signing_key
from keystead_kit.settings import Mode

ORIGIN = "http://enroll.test:7800"
ADA, BOB = "ada@example.org", "bob@example.org"
CODE = "RAD2026"
REGISTRATION_TOKEN = "0123456789abcdef"
LICENCE = "2026-11"
COOKIE_KEY, ACCESS_CODE_KEY = "8f1c0be4a7d259636eb07c1f5a2d94e8", "c7a1e05b3f9d48268b0c6e1d7f3a9254"
PAGE = {"accept": "text/html"}

SETUP = yaml.safe_load(
    """
organizations:
  - {name: Example Hospital, email_domains: [example.org], dns_domains: [example.org], departments: [Radiology]}
licence: {version: "2026-11", text: "Be good."}
profiles:
  - name: Person
    type: client
    key_algorithms: [ec-p256, rsa-2048]
    term_days: [365, 30]
    subject: "CN={name|email}, OU={department}, O={organization}"
    subject_alternative_names: ["email:{email}"]
    minimum_assurance: software
  - name: Person in TPM
    type: client
    key_algorithms: [ec-p256]
    term_days: [365]
    subject: "CN={name|email}, O={organization}"
    subject_alternative_names: ["email:{email}"]
  - name: Machine
    type: device
    key_algorithms: [ec-p256]
    term_days: [365]
    subject: "CN={device_name}, O={organization}"
    subject_alternative_names: ["dns:{fqdn}"]
    minimum_assurance: software
    device_name_pattern: "[a-z0-9.-]+"
  - name: Server
    type: ssl
    key_algorithms: [ec-p256]
    term_days: [90]
    subject: "CN={fqdn}"
    subject_alternative_names: ["dns:{fqdn}"]
    minimum_assurance: software
forms:
  - name: Staff
    type: client
    accounts:
      - {name: Staff, organization: Example Hospital, department: Radiology, profiles: [Person, Person in TPM]}
  - name: Coded
    type: client
    accounts:
      - name: Radiology staff
        organization: Example Hospital
        department: Radiology
        profiles: [Person]
        authorization: access_code
        access_code: RAD2026
  - name: Approved
    type: client
    accounts:
      - name: Careful
        organization: Example Hospital
        department: Radiology
        profiles: [Person]
        automatic_approval: false
  - name: Two doors
    type: client
    accounts:
      - {name: Front door, organization: Example Hospital, department: Radiology, profiles: [Person]}
      - {name: Back door, organization: Example Hospital, department: Radiology, profiles: [Person]}
  - {name: Machines, type: device, accounts: [{name: Machines, organization: Example Hospital, profiles: [Machine]}]}
  - {name: Servers, type: ssl, accounts: [{name: Servers, organization: Example Hospital, profiles: [Server]}]}
registration_tokens:
  - {name: staff machines, token: 0123456789abcdef, organization: Example Hospital, owner: ada@example.org}
"""
)


class ShiftedClock:
    """The system's clock plus what a test adds: bearer tokens stay valid while orders and links grow old."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        """The shifted time, aware, in UTC."""
        return datetime.now(UTC) + self.shift


@dataclass(frozen=True)
class Files:
    """Keys and the CA, made once a test process."""

    folder: tempfile.TemporaryDirectory[str]
    ca_folder: Path
    identity_key: Path
    identity_public: Path
    token_key: Path
    linter: PkilintLinter


@cache
def files() -> Files:
    """The keys and the CA of every enroll in this process."""
    folder = tempfile.TemporaryDirectory(prefix="keystead-enroll-")
    root = Path(folder.name)
    linter = PkilintLinter()
    linter.warm_up()
    create_ca(
        CaNames("Example", "Example Root CA", "Example Issuing CA"),
        now=datetime.now(UTC),
        random_bytes=os.urandom,
        lint=linter.lint,
        store=CaFolder(root / "ca"),
    )
    write_signing_key(root / "auth.pem", root / "auth.pub.pem")
    write_signing_key(root / "enroll.pem", root / "enroll.pub.pem")
    return Files(folder, root / "ca", root / "auth.pem", root / "auth.pub.pem", root / "enroll.pem", linter)


def settings(database_url: str, redis_url: str, **changes: Any) -> EnrollSettings:
    """Settings of an enroll on these servers."""
    made = files()
    values: dict[str, Any] = {
        "mode": Mode.DEVELOPMENT,
        "public_origin": ORIGIN,
        "database_url": database_url,
        "redis_url": redis_url,
        "identity_key_file": made.identity_public,
        "token_key_file": made.token_key,
        "cookie_key": COOKIE_KEY,
        "access_code_key": ACCESS_CODE_KEY,
        "ca_folder": made.ca_folder,
        "claim_limit_address": "1000/minute",
        "open_orders_limit": 1000,
    }
    return EnrollSettings(**(values | changes))
