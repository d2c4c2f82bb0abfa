"""The command answers on Windows."""

from __future__ import annotations

import subprocess
import sys

from keystead_agent import __version__


def test_the_command_says_its_version() -> None:
    command = [sys.executable, "-c", "from keystead_agent.cli import main; main()", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said.strip() == f"keystead-agent, version {__version__}"
