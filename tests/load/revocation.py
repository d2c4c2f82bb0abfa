"""What telling relying parties costs: the revocation lists of 100,000 certificates, 5 % of them revoked, and OCSP
answers a second of one core, beside `openssl ocsp` with the same certificates in the same run.

Run with `python -m tests.load.revocation [--certificates N] [--seconds S] [--postgres]`; part of `make bench`.
Answers of one core are answers by the server's CPU time, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from sqlalchemy import select, text
from tests.load.rows import Row
from tests.load.streams import WebProcess, an_enroll
from tests.load.watch import cpu_seconds
from tests.support.enroll_app import EnrollApp, issued
from tests.support.enroll_setup import settings
from tests.support.servers import HOST, end_process, free_port, wait_until

from keystead_enroll.adapters import tables as t
from keystead_enroll.bootstrap import build
from keystead_enroll.domain.ocsp import issuer_hashes

REVOKED_OF = 20
"""One certificate of this many is revoked."""
CONNECTIONS = 32
_MEASURE = "--lists-of"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    certificates: int = 100_000
    seconds: float = 5.0


def revocation(size: Size, *, sqlite: bool = True) -> Iterator[Row]:
    """Lists, then answers."""
    with an_enroll(sqlite=sqlite) as app:
        fill(app, size.certificates)
        where = "SQLite" if sqlite else "PostgreSQL"
        yield from _lists(app, size, where)
        questions = [_question(app, serial) for serial in _serials(app, 2000)]
        with TemporaryDirectory(prefix="keystead-ocsp-") as folder:
            web = WebProcess(app, Path(folder) / "web.log")
            web.start()
            try:
                wait_until(web.answers, "the web process", 60)
                yield from _answers("ours", app.origin, "/ocsp", web.pid, questions, size.seconds, where)
            finally:
                web.stop()
            with openssl_responder(app, Path(folder)) as (origin, pid):
                yield from _answers("openssl ocsp", origin, "/", pid, questions, size.seconds, "index.txt")


def fill(app: EnrollApp, count: int) -> None:
    """Makes as many certificates of one, and their requests; every twentieth is revoked."""
    issued(app)
    for table, changed in (
        (t.orders, {"id": "{id}", "spki_sha256": "NULL", "request_digest": "NULL"}),
        (t.certificates, {"id": "{id}", "order_id": "{id}", "serial": "{serial}", "revoked_at": "{revoked}",
                          "revocation_reason": "{reason}"}),
    ):  # fmt: skip
        _multiply(app, table.name, [column.name for column in table.c], changed, count)


def _multiply(app: EnrollApp, table: str, columns: list[str], changed: dict[str, str], count: int) -> None:
    sqlite = app.enroll.database.is_sqlite
    number = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')"
    revoked = f"n % {REVOKED_OF} = 0"
    written = {
        "{id}": number, "{serial}": f"'01' || {number}", "{revoked}": f"CASE WHEN {revoked} THEN issued_at END",
        "{reason}": f"CASE WHEN {revoked} THEN 'superseded' END",
    }  # fmt: skip
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(written.get(changed.get(c, ""), changed.get(c, f'"{c}"')) for c in columns)
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"  # noqa: S608
    one = f"(SELECT * FROM {table} LIMIT 1) AS one"  # noqa: S608 names of ours
    chosen = f"{numbers} SELECT {values} FROM {one} CROSS JOIN numbers"  # noqa: S608 the same
    with app.enroll.database.write() as session:
        session.execute(text(f"INSERT INTO {table} ({names}) {chosen}"))


def _serials(app: EnrollApp, count: int) -> list[int]:
    with app.enroll.database.read() as session:
        return [int(serial, 16) for serial in session.scalars(select(t.certificates.c.serial).limit(count))]


def _lists(app: EnrollApp, size: Size, where: str) -> Iterator[Row]:
    """In a process of their own, whose memory nothing else has used."""
    chosen = app.enroll.settings
    urls = chosen.database_url.get_secret_value(), chosen.redis_url.get_secret_value()
    measured = subprocess.run(
        [sys.executable, "-m", "tests.load.revocation", _MEASURE, *urls],
        capture_output=True, text=True, check=True, env={**os.environ, "KEYSTEAD_CA": str(chosen.ca_folder)},
    )  # fmt: skip
    wall, cpu, lists, mebibytes = map(float, measured.stdout.split()[-4:])
    detail = {"certificates": size.certificates, "revoked": size.certificates // REVOKED_OF, "lists": int(lists),
              "database": where}  # fmt: skip
    yield Row("crl", "all revocation lists signed and published, from nothing", round(wall, 2), "s", "under 5", detail)
    yield Row("crl", "the same, CPU", round(cpu, 2), "s")
    yield Row("crl", "memory that it took beyond that of the idle worker", round(mebibytes, 1), "MiB", "under 200")


def _question(app: EnrollApp, serial: int) -> bytes:
    issuer = issuer_hashes(app.ca.issuer_certificate)[0]
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(issuer.name, issuer.key, serial, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def _with_nonce(raw: bytes) -> bytes:
    request = ocsp.load_der_ocsp_request(raw)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        request.issuer_name_hash, request.issuer_key_hash, request.serial_number, request.hash_algorithm
    )
    return builder.add_extension(x509.OCSPNonce(os.urandom(32)), critical=False).build().public_bytes(Encoding.DER)


def _answers(
    whose: str, origin: str, path: str, pid: int, questions: list[bytes], seconds: float, where: str
) -> Iterator[Row]:
    nonced = [_with_nonce(each) for each in questions]
    plans = [("with a nonce, a connection each", nonced, False)]
    if whose == "ours":
        plans += [
            ("with a nonce, connections kept", nonced, True),
            ("without one (signed before), connections kept", questions, True),
        ]
    for what, asked, kept in plans:
        port = int(origin.rpartition(":")[2])
        asyncio.run(_load(port, path, asked, 0.5, kept))
        before, started = cpu_seconds(pid), time.perf_counter()
        count = asyncio.run(_load(port, path, asked, seconds, kept))
        wall, cpu = time.perf_counter() - started, cpu_seconds(pid) - before
        detail = {"answers": count, "a second of the clock": round(count / wall), "knows": where}
        aim = "over 2000" if whose == "ours" else ""
        yield Row("ocsp", f"{whose}: answers a second of one core, {what}", round(count / cpu), "1/s", aim, detail)


async def _load(port: int, path: str, questions: list[bytes], seconds: float, kept: bool) -> int:
    """Asks with `CONNECTIONS` at once; how many were answered well."""
    ends = time.perf_counter() + seconds
    head = (
        "POST %s HTTP/1.%d\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
    )
    requests = [(head % (path, kept, len(each))).encode() + each for each in questions]

    async def one(number: int) -> int:
        done, writer = 0, None
        while time.perf_counter() < ends:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(HOST, port)
                writer.write(requests[(number + done * CONNECTIONS) % len(requests)])
                answer = await _framed(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer = None  # more came than `openssl ocsp` has room for in its queue
                continue
            if b"application/ocsp-response" not in answer or b" 200" not in answer[:16]:
                raise RuntimeError(f"no OCSP answer: {answer[:200]!r}")
            done += 1
            if not kept:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()
        return done

    return sum(await asyncio.gather(*(one(number) for number in range(CONNECTIONS))))


async def _framed(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head + await reader.readexactly(int(length.split(b":")[1]))


@contextmanager
def openssl_responder(app: EnrollApp, folder: Path) -> Iterator[tuple[str, int]]:
    """`openssl ocsp` that answers for the same certificates with a key of the same kind; its origin and process id."""
    ca = app.enroll.settings.ca_folder
    with app.enroll.database.read() as session:
        rows = session.execute(select(t.certificates.c.serial, t.certificates.c.not_after, t.certificates.c.revoked_at))
        lines = []
        for serial, ends, revoked in rows:
            at = f"{revoked:%y%m%d%H%M%SZ},superseded" if revoked else ""
            state = "R" if revoked else "V"
            lines.append(f"{state}\t{ends:%y%m%d%H%M%SZ}\t{at}\t{serial.upper()}\tunknown\t/CN={serial}")
    (folder / "index.txt").write_text("\n".join(lines) + "\n")
    port = free_port()
    process = subprocess.Popen(
        ["openssl", "ocsp", "-index", str(folder / "index.txt"), "-port", str(port), "-CA", str(ca / "issuing.pem"),
         "-rsigner", str(ca / "issuing.pem"), "-rkey", str(ca / "issuing.key"), "-ndays", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline().startswith(b"ACCEPT")
        yield f"http://{HOST}:{port}", process.pid
    finally:
        end_process(process)


def _measure_lists(database_url: str, redis_url: str) -> None:
    """Prints wall and CPU seconds, how many lists, and MiB at most beyond those before."""
    enroll = build(settings(database_url, redis_url, ca_folder=os.environ["KEYSTEAD_CA"]))
    ca = enroll.open_ca()
    enroll.linter.warm_up()
    enroll.renew_responder(ca, enroll.linter)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    lists = enroll.publish_lists(ca)
    assert lists, "nothing was signed"
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(wall, cpu, lists, (after.ru_maxrss - before.ru_maxrss) / 1024)


def main() -> None:
    """Measures and prints."""
    if _MEASURE in sys.argv:
        _measure_lists(*sys.argv[-2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=Size.certificates)
    parser.add_argument("--seconds", type=float, default=Size.seconds)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    for row in revocation(Size(arguments.certificates, arguments.seconds), sqlite=not arguments.postgres):
        print(f"{row.what:<82} {row.value:>9g} {row.unit:<4} {row.aim:<9} {row.detail or ''}", flush=True)


if __name__ == "__main__":
    main()
