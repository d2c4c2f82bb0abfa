"""The agent's settings and policy: an administrator's TOML file, then `KEYSTEAD_AGENT_…` variables. The one home of
`os.environ`.

A policy that a file sets (the fields of `Policy`) can only be made stricter by a variable. That of the default file
holds even if `KEYSTEAD_AGENT_CONFIG` names another file for everything else, and so does that which Windows distributes
to its computers in the registry.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from keystead_agent.errors import PolicyRefused, SettingsInvalid
from keystead_agent.system import system

PREFIX = "KEYSTEAD_AGENT_"
POLICY = ("servers", "allow_software_key", "trust_root", "users_may_enroll_machine", "remove_superseded")
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
Checked = TypeVar("Checked", bound=BaseModel)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class NotEncrypted(ValueError):
    """The address is http and not this machine's own."""


def origin_of(server: str) -> str:
    """`server` as a plain origin (RFC 6454): scheme, host, port if it is not the scheme's own. Raises ValueError,
    of the kind NotEncrypted for http to another machine."""
    parts = urlsplit(server.strip())
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{server!r} is not a server's address such as https://enroll.example.org")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{server!r} has more in it than a scheme, a host and a port")
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise NotEncrypted(f"{server} is not encrypted, and http is only for this computer itself")
    host = f"[{_ipv6(parts.hostname)}]" if ":" in parts.hostname else _a_labels(parts.hostname)
    port = parts.port
    standard = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, standard) else "")


def _ipv6(host: str) -> str:
    """The address in its one spelling (RFC 5952). Raises ValueError; a zone is none of a server's business."""
    address = IPv6Address(host)
    if address.scope_id is not None:
        raise ValueError(f"{host!r} names a network interface of this computer")
    return address.compressed


def _a_labels(host: str) -> str:
    """The host name in A-labels (RFC 5890): what looks like another name shows that it is not. Raises ValueError."""
    name = host
    if not host.isascii():
        import idna

        try:
            name = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"{host!r} is not a host name: {error}") from error
    if not HOST_NAME.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return name


def _split(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _readable(path: Path) -> Path:
    path = _absolute(path)
    if not path.is_file():
        raise ValueError("names no file")
    return path


class Policy(BaseModel):
    """What an administrator allows. `servers` lists the origins that may use this machine; empty means any, after
    asking. `allow_software_key` lets a server ask for a key in a file where there is no TPM. `trust_root` has Windows
    trust the roots of `servers`. `users_may_enroll_machine` lets who is logged in, not only administrators, open links
    for certificates of the whole computer. `remove_superseded` lets a certificate go, with its key, once the one that
    takes its place is proved to work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: Annotated[tuple[Annotated[str, AfterValidator(origin_of)], ...], BeforeValidator(_split)] = ()
    allow_software_key: bool = False
    trust_root: bool = False
    users_may_enroll_machine: bool = False
    remove_superseded: bool = True

    def looser(self, than: Policy) -> Iterator[str]:
        """The names of what this policy allows and `than`, where it says something, does not."""
        if than.servers and not (self.servers and set(self.servers) <= set(than.servers)):
            yield "servers"
        for field in ("allow_software_key", "trust_root", "users_may_enroll_machine", "remove_superseded"):
            if field in than.model_fields_set and getattr(self, field) > getattr(than, field):
                yield field


class Settings(Policy):
    """What the agent runs with, besides the policy: `tcti` is a tpm2-tss TCTI ("device:/dev/tpmrm0",
    "swtpm:host=…,port=…"), `ca_file` holds further TLS roots (PEM), `socket` is where Linux's service listens."""

    state_dir: Annotated[Path, AfterValidator(_absolute)]
    tcti: Annotated[str, Field(pattern=r"^[a-z-]+(:.*)?$")] = "device:/dev/tpmrm0"
    ca_file: Annotated[Path, AfterValidator(_readable)] | None = None
    socket: Annotated[Path, AfterValidator(_absolute)] = Path("/run/keystead/agent.sock")

    def require_allowed(self, origin: str) -> None:
        """Raises PolicyRefused unless policy lets the server at `origin` use this machine."""
        if self.servers and origin not in self.servers:
            raise PolicyRefused(
                f"{origin} is not a server that this computer's policy allows",
                f"Allowed: {', '.join(self.servers)}. An administrator can add it to the setting servers.",
            )

    def trusts_root_of(self, origin: str) -> bool:
        """Whether policy has the machine trust the root of the server at `origin`; it must name the server, too."""
        return self.trust_root and origin in self.servers


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    for_computer: bool | None = None,
    default_file: Path = system.SETTINGS_FILE,
    distributed: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from `environ` (the process's own by default), the file that it names, `default_file` and the
    `distributed` policy (this computer's by default); the policy of the last two always holds. `for_computer` is
    whether the work is for the whole computer, by default what the account says. Raises SettingsInvalid with every
    mistake in one list."""
    environ = os.environ if environ is None else environ
    for_computer = system.works_for_computer() if for_computer is None else for_computer
    distributed = system.policy() if distributed is None else distributed
    mistakes: list[str] = []
    named = environ.get(f"{PREFIX}CONFIG")
    files: dict[Path | str, dict[str, Any]] = {default_file: _read_default(default_file, mistakes)}
    if named is not None and Path(named) != default_file:
        files = {default_file: _policy_of(files[default_file]), named: _read_file(Path(named), True, mistakes)}
    if distributed:
        files[system.POLICY_SOURCE] = dict(distributed)
    values: dict[str, Any] = {"state_dir": system.computer_state() if for_computer else system.account_state(environ)}
    sources: dict[str, str] = {"state_dir": f"{PREFIX}STATE_DIR"}
    for file, content in files.items():
        values |= content
        sources |= {field: f"{file}: {field}" for field in content}
    for name, field in _variables(environ, mistakes):
        values[field], sources[field] = environ[name], name
    settings = _validated(Settings, values, sources, mistakes)
    for file, content in files.items():
        stated = _validated(Policy, _policy_of(content), {field: f"{file}: {field}" for field in POLICY}, mistakes)
        if settings and stated:
            mistakes += [f"{sources[field]}: looser than the policy in {file}" for field in settings.looser(stated)]
    if settings is None or mistakes:
        raise SettingsInvalid(
            "the settings cannot be used:\n" + "\n".join(f"  {mistake}" for mistake in dict.fromkeys(mistakes)),
            f"Settings are {', '.join(sorted(Settings.model_fields))}; keystead-agent --help says where they are set.",
        )
    return settings


def _policy_of(content: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in content.items() if field in POLICY}


def _variables(environ: Mapping[str, str], mistakes: list[str]) -> Iterator[tuple[str, str]]:
    """The agent's variables, each with its setting."""
    for name in sorted(environ):
        field = name.removeprefix(PREFIX).lower()
        if not name.startswith(PREFIX) or field == "config":
            continue
        if field in Settings.model_fields:
            yield name, field
        else:
            mistakes.append(f"{name}: there is no such setting")


def _validated(
    kind: type[Checked], values: dict[str, Any], sources: dict[str, str], mistakes: list[str]
) -> Checked | None:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            where = sources[str(item["loc"][0])]
            mistakes.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
        return None


def silence_tss_log() -> None:
    """Keeps libtss2 from writing its own lines to stderr; the agent says the same in words. A value that is set
    already wins."""
    os.environ.setdefault("TSS2_LOG", "all+NONE")


def _read_default(file: Path, mistakes: list[str]) -> dict[str, Any]:
    """The file whose policy holds, unless another hand than an administrator's could have written it."""
    for place in (file.parent, file):  # in a folder that is an administrator's nobody else makes a file meanwhile
        try:
            other = system.foreign_hand(place)
        except FileNotFoundError:
            continue
        except OSError as error:
            mistakes.append(f"{file}: who can write {place} cannot be told: {error.strerror or error}")
            return {}
        if other:
            mistakes.append(f"{file}: {other}, who is no administrator, can write there")
            return {}
    return _read_file(file, False, mistakes)


def _read_file(file: Path, named: bool, mistakes: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            mistakes.append(f"{file}: no such file")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.append(f"{file}: {error}")
    return {}
