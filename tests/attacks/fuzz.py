"""Sends the API what its OpenAPI document allows and forbids, and holds every answer against the document.

`make fuzz` runs this for ten minutes: a whole enroll on 127.0.0.1 with one of everything in it, a master's token, and
schemathesis, which begins with every operation's edges and goes on with what it makes up. The seed is printed; with
`--seed` the same comes again.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import structlog
from tests.support.administrators import administrator, api_token
from tests.support.enroll_app import served
from tests.support.servers import redis_server
from tests.support.tenants import Tenant, tenant

from keystead_enroll.web.api.app import PREFIX

LEFT_OUT = {
    "positive_data_acceptance": "rules that no schema can say (a name that is taken) refuse bodies of the right form",
    "use_after_free": "stateful",
    "ensure_resource_availability": "stateful",
    "object_level_authorization": "stateful; test_other_tenants.py does it with real things",
}
"""Checks of schemathesis that do not fit, and why."""
_REFUSED = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
"""
"""What may answer to what the document forbids; a body longer than a field allows may be longer than any."""
_OPERATION = """
[[operations]]
include-path = "{path}"
parameters = {{ "path.id" = "{id}" }}
"""


def fuzz(origin: str, token: str, things: Tenant | None, folder: Path, seed: int, *options: str) -> int:
    """Runs schemathesis against `origin`; its exit code. Every address leads to one of `things`, or is made up."""
    config = folder / "schemathesis.toml"
    config.write_text(
        _REFUSED
        + "".join(
            _OPERATION.format(path=f"{PREFIX}/{kind}/{{id}}{verb}", id=thing)
            for kind, thing in (things.ids.items() if things else ())
            for verb in VERBS.get(kind, ("",))
        )
    )
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{origin}/api/openapi.json", "--url", origin, "--warnings", "off"),
        *("--seed", str(seed), "--generation-database", "none", "--header", f"Authorization: Bearer {token}"),
        *("--checks", "all", "--exclude-checks", ",".join(LEFT_OUT), "--suppress-health-check", "all", *options),
    ]
    return subprocess.run(command, cwd=folder, check=False).returncode


VERBS = {
    "certificates": ("", "/file", "/revocation"),
    "requests": ("", "/approval", "/rejection", "/cancellation"),
    "persons": ("", "/secret-id", "/invitations"),
    "forms": ("", "/uri-extension"),
    "administrators": ("", "/invitations"),
}
"""Kind of thing → what follows its address."""


def main() -> int:
    """Everything on this machine, for `--seconds`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"fuzz: seed {asked.seed}", flush=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with (
        redis_server() as redis,
        tempfile.TemporaryDirectory(prefix="keystead-fuzz-") as name,
        served(f"sqlite:///{name}/fuzz.db", redis.url, token_limit_address="1000000/minute") as app,
    ):
        things, token = tenant(app, "Aldebaran"), api_token(app, administrator(app))
        options = ("--phases", "coverage,fuzzing", "--max-time", str(asked.seconds // 2), "--continue-on-failure")
        ends = [fuzz(app.origin, token, known, Path(name), asked.seed, *options) for known in (things, None)]
        return max(ends)


if __name__ == "__main__":
    sys.exit(main())
