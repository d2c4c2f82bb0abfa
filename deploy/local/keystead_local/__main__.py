"""`python -m keystead_local demo|up`."""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).parents[3]


def main() -> None:
    """Reads the command line and runs it."""
    parser = argparse.ArgumentParser(prog="keystead_local", description="Keystead on this machine, nothing to set up.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="start everything, enroll once as a person would, stop")
    demo.add_argument("--folder", type=Path, default=ROOT / "var/demo")
    up = commands.add_parser("up", help="start everything and keep it running until Ctrl-C")
    up.add_argument("--folder", type=Path, default=ROOT / "var/up")
    up.add_argument("--port", default="8080")
    up.add_argument("--agent", action=argparse.BooleanOptionalAction, default=True, help="also run a registered agent")
    arguments = parser.parse_args()
    if arguments.command == "demo":
        from keystead_local.demo import main as run_demo

        run_demo(arguments.folder)
    else:
        from keystead_local.up import main as run_up

        run_up(arguments.folder, arguments.port, arguments.agent)


if __name__ == "__main__":
    main()
