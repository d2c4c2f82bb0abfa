"""Other CAs that issue through HTTP and store in a database: what `issue_path` compares with. Nothing of them is here;
they are Debian's and the Go module proxy's, made once and kept in the user's cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.servers import PostgresServer, free_port, wait_until

from keystead_enroll.adapters.builtin_ca import ISSUING_CERTIFICATE, ISSUING_KEY, ROOT_CERTIFICATE, CaFolder
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.usecases.create_ca import CaNames, create_ca
from keystead_local.net import listens

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keystead" / "bench"
STEP_CA = "github.com/smallstep/certificates/cmd/step-ca@v0.30.2"
PROVISIONER = "bench"
_CFSSL_TABLES = """
CREATE TABLE certificates (
  serial_number bytea NOT NULL, authority_key_identifier bytea NOT NULL, ca_label bytea, status bytea NOT NULL,
  reason int, expiry timestamptz, revoked_at timestamptz, pem bytea NOT NULL,
  PRIMARY KEY (serial_number, authority_key_identifier));
CREATE TABLE ocsp_responses (
  serial_number bytea NOT NULL, authority_key_identifier bytea NOT NULL, body bytea NOT NULL, expiry timestamptz,
  PRIMARY KEY (serial_number, authority_key_identifier),
  FOREIGN KEY (serial_number, authority_key_identifier)
    REFERENCES certificates (serial_number, authority_key_identifier));
"""
"""What CFSSL's PostgreSQL store wants to find."""


class PeerMissing(Exception):
    """A peer cannot be had here; says why."""


@dataclass(frozen=True)
class Wanted:
    """A request: the host that it is for, and its CSR in PEM."""

    host: str
    csr: str


@dataclass(frozen=True)
class Server:
    """Where requests go, how one looks there, and what a good answer is."""

    name: str
    version: str
    url: str
    status: int
    bodies: Any
    """Wanted → the JSON body."""
    bearer: Path | None = None


def go_program(name: str, *build: str, cwd: Path | None = None) -> Path:
    """The program that `go build` or `go install` makes, made if it is not in the cache. Raises PeerMissing."""
    made = CACHE / name
    if made.exists() and cwd is None:
        return made
    go = shutil.which("go")
    if go is None:
        raise PeerMissing("there is no Go tool chain")
    CACHE.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GOBIN": str(CACHE), "CGO_ENABLED": "0"}
    done = subprocess.run([go, *build], cwd=cwd or CACHE, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PeerMissing(f"{name} cannot be built: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return made


def load_generator() -> Path:
    """`tests/load/posts`, built. Raises PeerMissing."""
    return go_program("posts", "build", "-o", str(CACHE / "posts"), ".", cwd=Path(__file__).parent / "posts")


@contextmanager
def cfssl(folder: Path, postgres: PostgresServer) -> Iterator[Server]:
    """CFSSL with PostgreSQL. Raises PeerMissing."""
    program = shutil.which("cfssl")
    if program is None:
        raise PeerMissing("cfssl is not installed (Debian: apt-get install golang-cfssl)")
    ca, port = _ca(folder), free_port()
    with postgres.database() as url:
        database = url.rsplit("/", 1)[1]
        with psycopg.connect(host="127.0.0.1", port=postgres.port, user="keystead", dbname=database) as connection:
            connection.execute(_CFSSL_TABLES.encode())
        source = f"postgres://keystead@127.0.0.1:{postgres.port}/{database}?sslmode=disable"
        (folder / "db.json").write_text(json.dumps({"driver": "postgres", "data_source": source}))
        usages = ["digital signature", "client auth"]
        signing = {"default": {"expiry": "8760h", "usages": usages}}
        (folder / "config.json").write_text(json.dumps({"signing": signing}))
        command = [
            program, "serve", "-address", "127.0.0.1", "-port", str(port), "-ca", str(ca / ISSUING_CERTIFICATE),
            "-ca-key", str(ca / ISSUING_KEY), "-config", str(folder / "config.json"),
            "-db-config", str(folder / "db.json"), "-loglevel", "3",
        ]  # fmt: skip
        version = subprocess.run([program, "version"], capture_output=True, text=True).stdout.split()
        with _running(command, folder, port):
            yield Server(
                "CFSSL + PostgreSQL",
                version[1] if len(version) > 1 else "",
                f"http://127.0.0.1:{port}/api/v1/cfssl/sign",
                200,
                lambda wanted: {"certificate_request": wanted.csr, "hosts": [wanted.host]},
            )


@contextmanager
def step_ca(folder: Path) -> Iterator[Server]:
    """step-ca with its own database (badger), TLS and one-time tokens, as it comes. Raises PeerMissing."""
    program = go_program("step-ca", "install", STEP_CA)
    ca, port = _ca(folder), free_port()
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    public |= {"kid": PROVISIONER, "use": "sig", "alg": "ES256"}
    audience = f"https://127.0.0.1:{port}/1.0/sign"
    configuration = {
        "root": str(ca / ROOT_CERTIFICATE), "crt": str(ca / ISSUING_CERTIFICATE), "key": str(ca / ISSUING_KEY),
        "address": f"127.0.0.1:{port}", "dnsNames": ["127.0.0.1"], "logger": {"format": "text"},
        "db": {"type": "badgerv2", "dataSource": str(folder / "badger")},
        "authority": {"provisioners": [{"type": "JWK", "name": PROVISIONER, "key": public,
                                        "claims": {"maxTLSCertDuration": "8760h"}}]},
    }  # fmt: skip
    (folder / "ca.json").write_text(json.dumps(configuration))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def body(wanted: Wanted) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": PROVISIONER, "aud": audience, "sub": wanted.host, "sans": [wanted.host], "iat": now,
            "nbf": now - 60, "exp": now + 3600, "jti": os.urandom(16).hex(),
        }  # fmt: skip
        return {"csr": wanted.csr, "ott": jwt.encode(claims, pem, "ES256", {"kid": PROVISIONER})}

    with _running([str(program), str(folder / "ca.json")], folder, port):
        yield Server("step-ca + badger", STEP_CA.rpartition("@")[2], audience, 201, body)


def _ca(folder: Path) -> Path:
    """A CA like ours: P-384 root, P-256 issuing key."""
    linter = PkilintLinter()
    create_ca(
        CaNames("Bench", "Bench Root CA", "Bench Issuing CA"),
        now=datetime.now(UTC) - timedelta(minutes=1),
        random_bytes=os.urandom,
        lint=linter.lint,
        store=CaFolder(folder / "ca"),
    )
    key = folder / "ca" / ISSUING_KEY
    converted = subprocess.run(["openssl", "ec", "-in", str(key)], capture_output=True, check=True).stdout
    key.write_bytes(converted)  # CFSSL of 2016 knows SEC 1 alone
    return folder / "ca"


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, command[0], seconds=30)
        if process.poll() is not None:
            raise PeerMissing(f"{Path(command[0]).name} does not start: {log.read_text()[-300:]}")
        yield
    finally:
        process.terminate()
        process.wait(20)
