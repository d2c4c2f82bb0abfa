"""nginx as the one origin in front of the services: its configuration from the template, and its program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "nginx.conf.template"


def render(values: Mapping[str, str]) -> str:
    """The configuration with every @NAME@ replaced. Raises KeyError for a name without a value."""
    return re.sub(r"@([A-Z]+)@", lambda found: values[found.group(1)], TEMPLATE.read_text())


def write_configuration(folder: Path, listen: Sequence[str], auth: str, enroll: str) -> Path:
    """Writes `nginx.conf` into `folder`, which nginx uses for its own files too. `listen` are addresses with ports;
    `auth` and `enroll` the services' (host:port). One process: a master that is killed would leave workers behind."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(
        render(
            {
                "PROCESSES": "master_process off;",
                "CONNECTIONS": "4096",
                "RUN": str(folder),
                "LOG": "/dev/stdout",
                "RESOLVER": "",
                "LISTEN": "\n        ".join(f"listen {address};" for address in listen),
                "SCHEME": "http",
                "AUTH": auth,
                "ENROLL": enroll,
            }
        )
    )
    return path


def command(configuration: Path) -> list[str]:
    """The command line that runs nginx with this configuration."""
    return ["nginx", "-e", "/dev/stdout", "-p", str(configuration.parent), "-c", str(configuration)]
