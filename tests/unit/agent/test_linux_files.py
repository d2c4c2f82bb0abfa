"""The files with which Linux starts the agent say what the agent expects."""

from __future__ import annotations

import configparser
from pathlib import Path

from keystead_agent.cli import main
from keystead_agent.doctor_linux import DESKTOP_FILE, UNIT
from keystead_agent.settings import Settings
from keystead_contracts.agent import URL_SCHEME

LINUX = Path(__file__).parents[3] / "deploy/linux"


def read(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(LINUX / name)
    return parser


def test_links_are_opened_with_one_argument_and_nothing_else() -> None:
    entry = read(DESKTOP_FILE)["Desktop Entry"]
    assert entry["Exec"] == "keystead-agent open %u"
    assert entry["MimeType"] == f"x-scheme-handler/{URL_SCHEME};"
    assert entry["Terminal"] == "true"
    assert "open" in main.commands


def test_the_service_listens_where_users_look_for_it() -> None:
    unit = read(UNIT[0].name)["Service"]
    assert unit["ExecStart"] == "/usr/bin/keystead-agent service"
    assert Path("/run") / unit["RuntimeDirectory"] == Settings(state_dir=Path("/x")).socket.parent
    assert Path("/var/lib") / unit["StateDirectory"] == Path("/var/lib/keystead")
    assert "service" in main.commands
