"""The issue path: a signing request in, a certificate out that is stored for good, beside other CAs in the same run.

python -m tests.load.issue_path [--runs 3] [--only ours] [--profile FOLDER] [--count 2000]

Every server gets the same requests (P-256, a fresh key each, made before) from the same load generator, at 1, 8 and 32
in flight; the others do not run meanwhile. Ours is its web process, its worker, Redis and PostgreSQL with fsync; the
answer is there when the certificate is committed. What is sent to warm up is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from tests.load.peers import PeerMissing, Server, Wanted, cfssl, load_generator, step_ca
from tests.load.profile import profiling, summary
from tests.load.rows import Row, quantile
from tests.load.watch import Watch
from tests.support.servers import PostgresServer, postgres_server

from keystead_contracts.people import AdministratorMethod
from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.domain.administration import Administrator, ApiToken, Grant, Role
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.usecases.admin.tokens import PREFIX
from keystead_kit.secrets import new_id, new_token, token_digest
from keystead_local.stack import Stack

SET_UP = Path(__file__).with_suffix(".yaml")
IN_FLIGHT: Mapping[int, float] = {1: 0.2, 8: 0.6, 32: 1.0}
"""How many requests at a time → which share of the count a run sends."""
WARM_UP = 200
OURS = "Keystead + PostgreSQL"


@dataclass(frozen=True)
class Run:
    """One run against one server."""

    server: str
    in_flight: int
    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float]
    """Process → milliseconds of CPU for each certificate."""


def requests(count: int) -> list[Wanted]:
    """So many requests, each with a key of its own."""
    found = []
    for number in range(count):
        host = f"host-{number}.example.org"
        builder = x509.CertificateSigningRequestBuilder()
        builder = builder.subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)]))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
        found.append(Wanted(host, signed.public_bytes(Encoding.PEM).decode()))
    return found


@contextmanager
def ours(folder: Path, postgres: PostgresServer) -> Iterator[tuple[Server, Mapping[str, int]]]:
    """Keystead; and its processes."""
    with (
        postgres.database() as url,
        Stack(folder / "stack", seed=SET_UP, databases={"enroll": url}) as stack,
        patch.dict(os.environ, stack.environment("enroll")),
        closing(build(EnrollSettings())) as enroll,  # type: ignore[call-arg]
    ):
        token = folder / "token"
        token.write_text(_token(enroll))
        with enroll.transactions.read() as tx:
            place, profile = tx.organizations()[0].id, tx.profiles()[0].id

        def body(wanted: Wanted) -> dict[str, Any]:
            return {"organization_id": place, "profile_id": profile, "csr": wanted.csr, "device_name": wanted.host}

        address = f"http://127.0.0.1:{stack.ports['enroll-web']}/api/v1/certificates"
        pids = {name: stack.pid(name) or 0 for name in ("enroll-web", "enroll-worker", "redis")}
        yield Server(OURS, version("keystead-enroll"), address, 201, body, token), pids


def _token(enroll: Enroll) -> str:
    secret, now = f"{PREFIX}{new_token()}", enroll.clock.now()
    grants = [Grant(Role.MRAO).to_plain()]
    owner = Administrator(
        id=new_id(), email="bench@example.org", name="Bench", methods=[AdministratorMethod.PASSWORD], grants=grants
    )
    token = ApiToken(new_id(), "bench", token_digest(secret), owner.id, grants, now, now + timedelta(days=1))
    with enroll.transactions.write() as tx:
        tx.add(owner)
        tx.flush()
        tx.add(token)
    return secret


class Sender:
    """The load generator."""

    def __init__(self, folder: Path) -> None:
        self._program, self._file = load_generator(), folder / "bodies"

    def send(self, server: Server, wanted: Sequence[Wanted], in_flight: int) -> tuple[float, list[float]]:
        """Seconds for all, and of each. Raises SystemExit if an answer is not a certificate."""
        lines = (json.dumps(server.bodies(each)) for each in wanted)
        self._file.write_text("".join(f"{line}\n" for line in lines))
        command = [
            str(self._program), "-url", server.url, "-bodies", str(self._file), "-in-flight", str(in_flight),
            "-status", str(server.status), *(["-bearer-file", str(server.bearer)] if server.bearer else []),
        ]  # fmt: skip
        told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        if told["wrong"]:
            raise SystemExit(f"{server.name} answers {told['statuses']}: {told['wrong'][:500]}")
        return told["seconds"], told["latencies"]


def measure(
    sender: Sender, server: Server, wanted: Iterator[Wanted], count: int, pids: Mapping[str, int]
) -> Iterator[Run]:
    """One run at each number in flight."""
    for in_flight, share in IN_FLIGHT.items():
        some = [next(wanted) for _ in range(int(count * share))]
        watch = Watch(pids)
        seconds, latencies = sender.send(server, some, in_flight)
        used = {name: 1000 * each / len(some) for name, each in watch.cpu().items()}
        millis = [1000 * each for each in latencies]
        yield Run(server.name, in_flight, len(some) / seconds, statistics.median(millis), quantile(millis, 0.99), used)


def run_all(runs: int, count: int, only: str, profile: Path | None) -> Iterator[Run | str]:
    """Every run of every server; a text for a peer that is not there."""
    folder = Path(tempfile.mkdtemp(prefix="keystead-issue-"))
    folder.chmod(0o755)
    each = WARM_UP + runs * sum(int(count * share) for share in IN_FLIGHT.values())
    try:
        pool = requests(each)
        sender = Sender(folder)
        with postgres_server(durable=True) as postgres:
            contestants: dict[str, AbstractContextManager[Any]] = {"ours": ours(_in(folder, "ours"), postgres)}
            contestants["cfssl"] = cfssl(_in(folder, "cfssl"), postgres)
            contestants["step-ca"] = step_ca(_in(folder, "step-ca"))
            for name, contestant in contestants.items():
                if only and name != only:
                    continue
                try:
                    with contestant as started:
                        server, pids = started if isinstance(started, tuple) else (started, {})
                        wanted = iter(pool)
                        sender.send(server, [next(wanted) for _ in range(WARM_UP)], 8)
                        spying = profiling(pids, profile) if profile and pids else nullcontext()
                        with spying:
                            for _ in range(runs):
                                yield from measure(sender, server, wanted, count, pids)
                except PeerMissing as missing:
                    yield f"{name} is left out: {missing}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def rows(runs: Sequence[Run]) -> Iterator[Row]:
    """Medians, and how ours compare."""
    rates: dict[tuple[str, int], float] = {}
    for key in dict.fromkeys((run.server, run.in_flight) for run in runs):
        same = [run for run in runs if (run.server, run.in_flight) == key]
        rates[key] = statistics.median(run.rate for run in same)
        cpu = {name: round(statistics.median(run.cpu[name] for run in same), 3) for name in same[0].cpu}
        detail = {
            "runs": [round(run.rate) for run in same],
            "p50 ms": round(statistics.median(run.p50 for run in same), 2),
            "p99 ms": round(statistics.median(run.p99 for run in same), 2),
            **({"CPU ms each": cpu} if cpu else {}),
        }
        yield Row("issue", f"{key[0]}, {key[1]} in flight", round(rates[key]), "/s", "", detail)
    for (server, in_flight), rate in rates.items():
        mine = rates.get((OURS, in_flight))
        if server != OURS and mine:
            aim = "at least 1" if server.startswith("CFSSL") and in_flight > 1 else ""
            yield Row("issue", f"ours to {server}, {in_flight} in flight", round(mine / rate, 2), "×", aim)


def issue_path(runs: int = 3, count: int = 2000) -> Iterator[Row]:
    """The rows of `make bench`."""
    found = []
    for each in run_all(runs, count, "", None):
        if isinstance(each, str):
            print(each, file=sys.stderr)
        else:
            found.append(each)
    yield from rows(found)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000, help="certificates in a run with 32 in flight")
    parser.add_argument("--only", choices=["ours", "cfssl", "step-ca"], default="")
    parser.add_argument("--profile", type=Path, help="where to put what py-spy sees of our processes")
    given = parser.parse_args()
    found = []
    for each in run_all(given.runs, given.count, given.only, given.profile):
        print(each, flush=True)
        if isinstance(each, Run):
            found.append(each)
    for row in rows(found):
        print(f"{row.what:<44} {row.value:>8g} {row.unit:<3} {row.detail}")
    for raw in sorted(given.profile.glob("*.raw")) if given.profile else ():
        raw.with_suffix(".txt").write_text(summary(raw.read_text()))
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
