"""The `keystead-agent` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from keystead_agent import __version__
from keystead_agent.cli_setup import setup

if TYPE_CHECKING:
    from keystead_agent.enroll import Enrolled
    from keystead_agent.machine import Machine
    from keystead_agent.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS, STATE = (
    (r"%ProgramData%\Keystead\agent.toml", r"%ProgramData%\Keystead\state (service), %LOCALAPPDATA%\Keystead")
    if sys.platform == "win32"
    else ("/etc/keystead/agent.toml", "/var/lib/keystead (root), ~/.local/share/keystead")
)
EPILOG = f"""\b
Settings, as environment variables or as lines of {SETTINGS}
(there in lower case without KEYSTEAD_AGENT_, such as state_dir = "/srv/keys"):
  KEYSTEAD_AGENT_STATE_DIR  where keys and certificates are kept; else in
                            {STATE}
  KEYSTEAD_AGENT_TCTI       the TPM on Linux, such as swtpm:host=127.0.0.1,port=2321;
                            else device:/dev/tpmrm0
  KEYSTEAD_AGENT_SERVERS    the only servers that may use this computer
  KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY
                            true: keys in files where there is no TPM
  KEYSTEAD_AGENT_TRUST_ROOT true: Windows trusts the roots of SERVERS; without
                            it certificates work, and roots are kept beside
  KEYSTEAD_AGENT_USERS_MAY_ENROLL_MACHINE
                            true: who is logged in may open links for
                            certificates of the whole computer
  KEYSTEAD_AGENT_REMOVE_SUPERSEDED
                            false: a certificate and its key stay when a
                            renewed one has taken their place; else they go
  KEYSTEAD_AGENT_SOCKET     where the service listens on Linux; else
                            /run/keystead/agent.sock
  KEYSTEAD_AGENT_CA_FILE    further TLS roots (PEM)
  KEYSTEAD_AGENT_CONFIG     a file to read in place of that one, whose servers,
                            allow_software_key, trust_root,
                            users_may_enroll_machine and remove_superseded hold
                            all the same: they can only be made stricter

\b
Exit codes: 0 done, 1 failed, 2 usage or settings, 3 refused by policy or by
you, 4 server not reachable.
"""
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def _settings() -> Settings:
    from keystead_agent.settings import load_settings, silence_tss_log

    silence_tss_log()
    return load_settings()


def computers_settings() -> Settings:
    """Those of the whole computer, for commands that work for it: on Windows its service shares them with whoever is
    administrator, on Linux root is the computer."""
    from keystead_agent.settings import load_settings, silence_tss_log

    silence_tss_log()
    return load_settings(for_computer=True if sys.platform == "win32" else None)


def computers_machine() -> Machine:
    """For commands that write for the whole computer: the state directory is there, and tidy."""
    from keystead_agent.machine import Machine
    from keystead_agent.output import say_who_works

    machine = Machine.of(computers_settings(), now, machine_keys=True)
    machine.recover(say_who_works)
    return machine


def persons_machine() -> Machine:
    """For commands that write for this account: the state directory is there, and tidy."""
    from keystead_agent.output import say_who_works

    machine = _machine()
    machine.recover(say_who_works)
    return machine


def _machine() -> Machine:
    """For commands that only read."""
    from keystead_agent.machine import Machine

    return Machine.of(_settings(), now)


def explained(command: F) -> F:
    """Turns the agent's errors into `error:` and `hint:` lines on stderr and the exit code that fits."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from keystead_agent.backoff import Stopped
        from keystead_agent.errors import AgentError

        try:
            return command(*args, **kwargs)
        except AgentError as error:
            from keystead_agent.output import show_error

            show_error(error, as_json=bool(kwargs.get("as_json")))
            sys.exit(error.exit_code)
        except Stopped:
            sys.exit(0)

    return wrapper  # type: ignore[return-value]


class _Agent(click.Group):
    """Speaks UTF-8 into pipes and files on Windows too, whose code pages lack signs that are used here."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if sys.platform == "win32" and stream is not None and not stream.isatty():
                stream.reconfigure(encoding="utf-8")
        return super().main(*arguments, **more)


@click.group(
    cls=_Agent, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="keystead-agent")
def main() -> None:
    """Certificates whose private key is made in this computer's TPM and never leaves it.

    \b
    Examples:
      keystead-agent doctor
      keystead-agent enroll 'keystead://enroll?server=…&claim=…'
      keystead-agent list
    """


@main.command()
@click.argument("link")
@click.option("--yes", is_flag=True, help="Do not ask whether the server may use this computer.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to try an unreachable server for.")
@json_option
@explained
def enroll(link: str, yes: bool, wait: float, as_json: bool) -> None:
    """Enroll with the LINK of an enrollment page.

    Shows which server asks, makes the key in the TPM, installs the certificate, proves that both work. A run that was
    interrupted goes on when it is started again with the same link.

    On Windows a link for a certificate of the whole computer is worked on by the agent's service.

    With - in place of the LINK it is read from standard input. Other users of this computer can see a LINK that is
    typed in the list of processes while the command runs, and it stays in the shell's history; what comes by standard
    input they cannot see.

    \b
    Examples:
      keystead-agent enroll 'keystead://enroll?server=https%3A%2F%2Fenroll.example.org&claim=…'
      keystead-agent enroll --yes - < link.txt
    """
    from keystead_agent.backoff import Stop
    from keystead_agent.enroll import enroll as do_enroll
    from keystead_agent.errors import ConsentRefused
    from keystead_agent.link import read_link
    from keystead_agent.local.rules import Scoped
    from keystead_agent.output import say, say_who_works, show_enrolled, teller

    target = read_link(_from_stdin() if link == "-" else link)
    machine = _machine()
    machine.settings.require_allowed(target.server)
    if not yes and target.server not in machine.settings.servers:
        _ask(target.server, ConsentRefused)
    if remark := machine.store.platform.beforehand(target.server):
        say(remark)
    machine.recover(say_who_works)
    tell = teller(as_json=as_json, log=False)
    done: Enrolled
    if sys.platform == "win32" and target.scope == "machine":
        from keystead_agent.cli_open import to_service

        done = to_service(machine.settings, target, tell)
    else:
        own = Scoped(machine, machine=False) if sys.platform == "win32" else machine
        done = do_enroll(machine, target, stop=Stop(), tell=tell, patience=wait, keeper=own)
    show_enrolled(done, as_json=as_json)


def _from_stdin() -> str:
    if sys.stdin.isatty():
        click.echo("Paste the link: ", nl=False, err=True)
    return sys.stdin.readline()


def _ask(server: str, refused: type[Exception]) -> None:
    if not sys.stdin.isatty():
        raise refused(
            f"{server} asks to make a key on this computer, and nobody is there to agree",
            "Add --yes, or let an administrator list the server in the setting servers (see keystead-agent --help).",
        )
    click.echo(f"{server} asks this computer to make a key in its TPM and to store a certificate for it.", err=True)
    if not click.confirm("Go on?", default=False, err=True):
        raise refused("nothing was done", "")


@main.command("open", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("link", nargs=-1, type=click.UNPROCESSED)
def open_(link: tuple[str, ...]) -> None:
    """Ask about a LINK that was clicked, then enroll with it.

    What the browser starts for keystead:// links. Takes exactly one LINK and no option, whatever it looks like. A
    certificate of the whole computer is made by the agent's service. The LINK stands in the list of processes while
    this runs; it can be used once, for minutes.

    \b
    Example:
      keystead-agent open 'keystead://enroll?server=https%3A%2F%2Fenroll.example.org&claim=…'
    """
    from keystead_agent.cli_open import open_from_desktop

    sys.exit(open_from_desktop(link, now))


@main.command()
@json_option
@explained
def service(as_json: bool) -> None:
    """Work for this computer: what `run` does, and what its users' links ask for.

    What systemd and Windows start. Waits until the computer is registered. Ends on SIGTERM, or when Windows stops the
    service.

    \b
    Example:
      keystead-agent service
    """
    from keystead_agent.cli_service import run_service

    run_service(computers_settings, now, as_json=as_json)


@main.command()
@json_option
@explained
def run(as_json: bool) -> None:
    """Work for the server that this computer is registered with.

    Ends on SIGTERM or Ctrl-C. Also finishes enrollments that were interrupted. One log line an event, on stderr.

    \b
    Example:
      keystead-agent run
    """
    from keystead_agent.backoff import Stop
    from keystead_agent.cli_service import hands_of
    from keystead_agent.output import teller
    from keystead_agent.run import run as do_run

    stop = Stop()
    stop.on_signals()
    machine = computers_machine()
    with hands_of(machine) as hands:
        do_run(machine, hands, stop=stop, tell=teller(as_json=as_json, log=True))


@main.command()
@click.argument("server")
@click.option("--token", help="The registration token. Others can see it in the list of processes: see --token-file.")
@click.option("--token-file", type=click.File("r"), help="A file with the registration token; - is standard input.")
@click.option("--replace", is_flag=True, help="Give up a registration with another server.")
@json_option
@explained
def register(server: str, token: str | None, token_file: Any, replace: bool, as_json: bool) -> None:
    """Register this computer as a device with SERVER.

    Makes the device key in the TPM and proves its possession. Doing it again keeps the key and the device id.

    \b
    Example:
      keystead-agent register https://enroll.example.org --token-file token.txt
    """
    from keystead_agent.output import say_who_works, show_registered
    from keystead_agent.register import register as do_register
    from keystead_agent.settings import origin_of

    if (token is None) == (token_file is None):
        raise click.UsageError("give the registration token: --token or --token-file")
    try:
        origin = origin_of(server)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="SERVER") from error
    secret = (token or token_file.read()).strip()
    reply = do_register(computers_machine(), origin, secret, replace=replace, waiting=say_who_works)
    show_registered(reply, origin, as_json=as_json)


@main.command("list")
@click.option("--test/--no-test", default=True, help="Sign with each key.  [default: test]")
@json_option
@explained
def list_(test: bool, as_json: bool) -> None:
    """Show the installed certificates; sign with each key.

    Ends with 1 if a signing test failed or a certificate's folder is damaged.

    \b
    Example:
      keystead-agent list --json
    """
    from keystead_agent.backoff import noticing
    from keystead_agent.listing import all_work, list_certificates
    from keystead_agent.output import say, show_certificates

    with noticing(lambda: say("Waiting for the TPM …")):
        found = list(list_certificates(_machine(), test=test))
    show_certificates(found, as_json=as_json)
    if not all_work(found):
        sys.exit(1)


@main.command()
@click.option("--server", "servers", multiple=True, help="Also look at this server. May be given more than once.")
@json_option
@explained
def doctor(servers: tuple[str, ...], as_json: bool) -> None:
    """Check that this computer is ready; change nothing.

    Says what to do about what is not ready. Ends with 1 if something has to be done.

    \b
    Example:
      keystead-agent doctor --server https://enroll.example.org
    """
    from keystead_agent.backoff import noticing
    from keystead_agent.doctor import examine
    from keystead_agent.findings import Mark
    from keystead_agent.output import say, show_findings
    from keystead_agent.settings import origin_of

    try:
        origins = tuple(origin_of(server) for server in servers)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from error
    with noticing(lambda: say("Waiting for the TPM or a server …")):
        marks = show_findings(examine(_settings(), now, origins), as_json=as_json)
    if Mark.BAD in marks:
        sys.exit(1)


main.add_command(setup)
