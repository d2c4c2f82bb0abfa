"""Builds and tests the agent for Windows on Linux."""

from __future__ import annotations

import argparse
import sys

from keystead_windows import places, runtime
from keystead_windows.build import build
from keystead_windows.wine import opened


def main() -> int:
    """The exit code of what was asked."""
    parser = argparse.ArgumentParser(prog="keystead_windows", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="CPython for Windows, its wheels, and the Wine prefix")
    commands.add_parser("build", help="the programs, the MSI, the bill of materials")
    test = commands.add_parser("test", help="run the tests of tests/windows")
    test.add_argument("pytest", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    with opened(places.PREFIX) as wine:
        python = runtime.prepare()
        if arguments.command == "build":
            build(wine)
        if arguments.command == "test":
            tests = places.ROOT / "tests/windows"
            chosen = arguments.pytest or [tests]
            command = [python, "-m", "pytest", "-c", tests / "pytest.ini", *chosen]
            return wine.show(command, {"PYTHONPATH": runtime.python_path()})
    return 0


sys.exit(main())
