"""The whole product on one machine: redis, nginx, a mailbox and every service's web and worker, each a process.

`with Stack(folder) as stack:` makes what the folder lacks (secrets, keys, CA, databases), starts everything at once,
and is ready inside the block. State stays in the folder; processes do not outlive the block, nor this process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, Signals
from types import TracebackType
from typing import Self

from sqlalchemy import text

from keystead_kit.db import Database
from keystead_local import proxy
from keystead_local.chores import Chores
from keystead_local.material import make_secrets, write_secret
from keystead_local.net import LOOPBACK, answers, free_ports, has_ipv6, is_free, listens, status_of
from keystead_local.once import Once
from keystead_local.processes import POLL_SECONDS, Program, StartFailed, Supervisor
from keystead_local.tpm_maker import make_tpm, roots_folder

SEED = Path(__file__).parent.parent / "seed.yaml"
SERVICES = ("auth", "enroll", "notify")
CA_NAME = "Example Hospital"
PUBLISHED_SECONDS = 20.0
TIERS = {"redis": 0, "mailbox": 0, "tpm": 0, "web": 1, "worker": 1, "nginx": 2}


class Stack:
    """One installation in `folder`.

    `port` and `mailbox_port` are the public ones (0: a free one), `host` is their name in addresses. `databases` maps
    a service to its SQLAlchemy URL (SQLite files by default), `heartbeat` is in seconds, `environment` adds variables
    to every service's own, `seed` is a file for `keystead apply`, applied to new data and when it has changed since
    (`forms` has the addresses of all active forms then), `tpm` adds a software TPM, whose manufacturer enroll trusts,
    `grace_seconds` is how long a process may take to end.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        mailbox_port: int = 0,
        host: str = "localhost",
        databases: Mapping[str, str] | None = None,
        heartbeat: float = 2.0,
        environment: Mapping[str, str] | None = None,
        seed: Path | None = None,
        tpm: bool = False,
        grace_seconds: float = 8.0,
    ) -> None:
        self.folder = folder.resolve()
        self.forms: dict[str, str] = {}
        self.seed_applied = False
        self.seconds_to_ready = 0.0
        self._databases, self._heartbeat = dict(databases or {}), heartbeat
        self._extra, self._seed, self._tpm, self._grace = dict(environment or {}), seed, tpm, grace_seconds
        names = ["redis", "smtp", "mailbox", *(f"{s}-{part}" for s in SERVICES for part in ("web", "worker"))]
        self.ports = dict(zip([*names, "nginx"], free_ports(len(names) + 1), strict=True))
        self.ports |= {name: given for name, given in (("nginx", port), ("mailbox", mailbox_port)) if given}
        self.tpm_port = _free_pair() if tpm else 0
        self.origin = f"http://{host}:{self.ports['nginx']}"
        self.mailbox_url = f"http://{host}:{self.ports['mailbox']}"
        self._supervisor: Supervisor | None = None
        self._chores: Chores | None = None

    # -- life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start_all(self) -> None:
        """Prepares the folder and starts every process. Raises ChoreFailed, StartFailed; nothing runs then."""
        started = time.perf_counter()
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise
        self.seconds_to_ready = time.perf_counter() - started

    def close(self) -> None:
        """Ends every process."""
        if self._supervisor:
            self._supervisor.close()

    def _start_all(self) -> None:
        for name in ("keys", "data", "redis", "mailbox", "tpm"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        make_secrets(self.folder / "secrets")
        password = (self.folder / "secrets/redis-password").read_text()
        write_secret(self.folder / "secrets/redis-url", f"redis://:{password}@{LOOPBACK}:{self.ports['redis']}/0")
        if self._tpm:
            make_tpm(self.folder / "tpm-maker", self.folder / "tpm", base_environment())
        self._supervisor = Supervisor(self.folder / "log", self._grace)
        self._supervisor.add(*self._infrastructure())
        with self.one_interpreter():
            for service in ("notify", "auth", "enroll"):
                self._prepare(service)
                self.run(f"keystead-{service}", "migrate")
                self._supervisor.add(*(self._service(service, part) for part in ("web", "worker")))
            if self._seed:
                self._apply_once(self._seed)
                self.forms = self._active_forms()
        self._supervisor.wait_ready()
        if self.seed_applied:
            for address in self.forms.values():
                self._wait_until_published(address.rsplit("/", 1)[-1])

    def _apply_once(self, seed: Path) -> None:
        """What somebody changed since in the console stays as it is."""
        once = Once(self.folder / "data/seed.applied", seed)
        if once.is_due:
            self.apply(seed)
            self.seed_applied = True
            once.done()

    def _active_forms(self) -> dict[str, str]:
        """Form name → address, as the database has them now."""
        database = Database(self.database_url("enroll"))
        with database.read() as session:
            rows = session.execute(text("SELECT name, uri_extension FROM enrollment_forms WHERE active ORDER BY name"))
            forms = {name: f"{self.origin}/e/{uri}" for name, uri in rows}
        database.close()
        return forms

    def _wait_until_published(self, uri: str) -> None:
        """auth knows a form once it has taken in the fact that it was published; whether anybody can sign in there yet
        is another matter: an identity provider may be away, or is still to be set up."""
        deadline = time.monotonic() + PUBLISHED_SECONDS
        while status_of(self.ports["auth-web"], f"/auth/sign-in/{uri}") in (None, 404):
            if time.monotonic() > deadline:
                raise StartFailed("auth-worker", self.logs("auth-worker", 25))
            time.sleep(POLL_SECONDS)

    def _prepare(self, service: str) -> None:
        keys = self.folder / "keys"
        if service == "auth" and not (keys / "auth-token.pem").exists():
            self.run(
                "keystead-auth", "keys", "--private", str(keys / "auth-token.pem"),
                "--public", str(keys / "auth-token.pub.pem"),
            )  # fmt: skip
        if service == "auth" and not (keys / "auth-saml.key.pem").exists():
            self.run(
                "keystead-auth", "saml-key", "--key", str(keys / "auth-saml.key.pem"),
                "--certificate", str(keys / "auth-saml.crt.pem"), "--host", LOOPBACK,
            )  # fmt: skip
        if service == "enroll" and not (keys / "enroll-token.pem").exists():
            self.run("keystead-enroll", "keys")
        if service == "enroll" and not (self.folder / "ca/issuing.pem").exists():
            self.run(
                "keystead", "ca", "init", "--organization", CA_NAME, "--root-folder", str(self.folder / "ca-root"),
                "--root-passphrase-file", str(self.folder / "secrets/enroll-ca-root-passphrase"),
            )  # fmt: skip

    # -- processes -----------------------------------------------------------------------------------------------

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor. Raises RuntimeError before `start_all`."""
        if self._supervisor is None:
            raise RuntimeError("the stack was not started")
        return self._supervisor

    def pid(self, name: str) -> int | None:
        """The process id of redis, nginx, mailbox, tpm or <service>-web/-worker; None while it is down."""
        return self.supervisor.pid(name)

    def kill(self, name: str, number: Signals = SIGKILL) -> int:
        """Kills a process, which is then restarted, and answers its process id."""
        return self.supervisor.kill(name, number)

    def stop(self, *names: str) -> None:
        """Ends processes and keeps them down until `start`."""
        self.supervisor.stop(*names)

    def start(self, *names: str) -> None:
        """Starts stopped processes and waits until they are ready."""
        self.supervisor.start(*names)
        self.supervisor.wait_ready(names)

    def restart(self, *names: str) -> None:
        """Ends processes as an operator would, starts them again and waits until they are ready."""
        self.stop(*names)
        self.start(*names)

    def wait_ready(self, *names: str, timeout: float = 30.0) -> None:
        """Waits until the named processes (all by default) are ready. Raises StartFailed."""
        self.supervisor.wait_ready(names or None, timeout)

    def logs(self, name: str, lines: int = 1_000_000) -> str:
        """The end of a process's log, over all its restarts."""
        return self.supervisor.log(name, lines)

    def apply(self, file: Path) -> dict[str, str]:
        """Applies a set-up file: form name → address. Raises ChoreFailed."""
        answer = json.loads(self.run("keystead", "apply", "-f", str(file), "--json").splitlines()[-1])
        return {str(name): str(address) for name, address in answer["forms"].items()}

    def run(self, *command: str) -> str:
        """Runs one of the product's commands with its service's settings; its output. Raises ChoreFailed."""
        service = command[0].removeprefix("keystead-") if command[0] != "keystead" else "enroll"
        if self._chores:
            return self._chores.run(self.environment(service), command)
        with Chores(base_environment()) as chores:
            return chores.run(self.environment(service), command)

    @contextmanager
    def one_interpreter(self) -> Iterator[None]:
        """The block's commands run in one interpreter: each after the first takes no second to start."""
        if self._chores:
            yield
            return
        with Chores(base_environment()) as self._chores:
            try:
                yield
            finally:
                self._chores = None

    # -- what each process gets ----------------------------------------------------------------------------------

    @property
    def redis_url(self) -> str:
        """The private Redis, with its password."""
        return (self.folder / "secrets/redis-url").read_text()

    def database_url(self, service: str) -> str:
        """The service's database."""
        return self._databases.get(service, f"sqlite:///{self.folder}/data/{service}.db")

    @property
    def tcti(self) -> str:
        """The software TPM, as tpm2-tss names it."""
        return f"swtpm:host={LOOPBACK},port={self.tpm_port}"

    def agent_environment(self, state: Path) -> dict[str, str]:
        """The environment of an agent whose machine has this stack's TPM and keeps its state in `state`."""
        return {
            **base_environment(),
            "KEYSTEAD_AGENT_TCTI": self.tcti,
            "KEYSTEAD_AGENT_STATE_DIR": str(state),
        }

    def environment(self, service: str) -> dict[str, str]:
        """The whole environment of `service`'s processes and commands."""
        secrets, keys = self.folder / "secrets", self.folder / "keys"
        values = {
            "MODE": "development",
            "PUBLIC_ORIGIN": self.origin,
            "DATABASE_URL": self.database_url(service),
            "REDIS_URL_FILE": str(secrets / "redis-url"),
            "WEB_HOST": LOOPBACK,
            "WEB_PORT": str(self.ports[f"{service}-web"]),
            "WORKER_METRICS_PORT": str(self.ports[f"{service}-worker"]),
            "HEARTBEAT_SECONDS": str(self._heartbeat),
        }
        if service == "auth":
            values |= {
                "TOKEN_KEY_FILE": str(keys / "auth-token.pem"),
                "COOKIE_KEY_FILE": str(secrets / "auth-cookie-key"),
                "TOTP_KEY_FILE": str(secrets / "auth-totp-key"),
                "ADMINISTRATOR_SECOND_FACTOR": "optional",
                "SAML_KEY_FILE": str(keys / "auth-saml.key.pem"),
                "SAML_CERTIFICATE_FILE": str(keys / "auth-saml.crt.pem"),
                "MAILBOX_URL": self.mailbox_url,
            }
        elif service == "enroll":
            values |= {
                "IDENTITY_KEY_FILE": str(keys / "auth-token.pub.pem"),
                "TOKEN_KEY_FILE": str(keys / "enroll-token.pem"),
                "COOKIE_KEY_FILE": str(secrets / "enroll-cookie-key"),
                "ACCESS_CODE_KEY_FILE": str(secrets / "enroll-access-code-key"),
                "CA_FOLDER": str(self.folder / "ca"),
                "CA_KEY_PASSPHRASE_FILE": str(secrets / "enroll-ca-key-passphrase"),
                "MAILBOX_URL": self.mailbox_url,
                "STATUS_ORIGIN": f"http://{LOOPBACK}:{self.ports['nginx']}",
            }
            if self._tpm:
                values["EK_ROOTS_FOLDER"] = str(roots_folder(self.folder / "tpm-maker"))
        else:
            values |= {
                "SMTP_HOST": LOOPBACK,
                "SMTP_PORT": str(self.ports["smtp"]),
                "SMTP_SECURITY": "none",
                "SMTP_FROM": "Example Hospital <certificates@example.org>",
            }
        return {
            **base_environment(),
            **{f"KEYSTEAD_{service.upper()}_{name}": value for name, value in values.items()},
            **self._extra,
        }

    def _service(self, service: str, part: str) -> Program:
        port, path = self.ports[f"{service}-{part}"], "/health/ready" if part == "web" else "/metrics"
        command = [executable(f"keystead-{service}"), part]
        return Program(
            f"{service}-{part}", command, self.environment(service), lambda: answers(port, path), TIERS[part]
        )

    def _infrastructure(self) -> Sequence[Program]:
        ports, plain = self.ports, base_environment()
        listen = [f"{LOOPBACK}:{ports['nginx']}"] + ([f"[::1]:{ports['nginx']}"] if has_ipv6() else [])
        upstreams = {name: f"{LOOPBACK}:{ports[f'{name}-web']}" for name in ("auth", "enroll")}
        nginx = proxy.write_configuration(self.folder / "nginx", listen, **upstreams)

        def program(name: str, command: Sequence[str], ready: Callable[[], bool]) -> Program:
            environment = {**plain, "KEYSTEAD_NOTIFY_MODE": "development"} if name == "mailbox" else plain
            return Program(name, command, environment, ready, TIERS[name])

        mailbox = [
            executable("keystead-notify"), "mailbox", "--smtp-port", str(ports["smtp"]),
            "--web-port", str(ports["mailbox"]), "--folder", str(self.folder / "mailbox"),
        ]  # fmt: skip
        programs = [
            program("redis", ["redis-server", str(self._redis_configuration())], lambda: listens(ports["redis"])),
            program("mailbox", mailbox, lambda: listens(ports["smtp"]) and listens(ports["mailbox"])),
            program("nginx", proxy.command(nginx), lambda: answers(ports["nginx"], "/proxy/alive")),
        ]
        if self._tpm:
            programs.append(program("tpm", self._tpm_command(), lambda: listens(self.tpm_port + 1)))
        return programs

    def _redis_configuration(self) -> Path:
        password = (self.folder / "secrets/redis-password").read_text()
        path = self.folder / "secrets/redis.conf"
        write_secret(
            path,
            f"bind {LOOPBACK}\nport {self.ports['redis']}\nrequirepass {password}\ndir {self.folder}/redis\n"
            'save ""\nappendonly yes\nappendfsync everysec\nauto-aof-rewrite-percentage 0\n',
        )
        return path

    def _tpm_command(self) -> list[str]:
        return [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'tpm'}",
            "--server", f"type=tcp,port={self.tpm_port},bindaddr={LOOPBACK}",
            "--ctrl", f"type=tcp,port={self.tpm_port + 1},bindaddr={LOOPBACK}",
            "--flags", "not-need-init,startup-clear",
        ]  # fmt: skip


def executable(name: str) -> str:
    """The product's command `name`, from the virtualenv that runs this."""
    return str(Path(sys.executable).parent / name)


def base_environment() -> dict[str, str]:
    """What every process gets of this one's environment: nothing that could change its settings."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return {"PATH": "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/bin", **kept}


def _free_pair() -> int:
    """A free port whose successor is free too: the TCTI expects the control channel there. Raises OSError."""
    for port in free_ports(50):
        if is_free(port + 1):
            return port
    raise OSError("no two neighbouring free ports")
