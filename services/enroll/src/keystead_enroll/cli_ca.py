"""`keystead ca`: the built-in CA, made on the server itself."""

from __future__ import annotations

import secrets as randomness
import sys
from pathlib import Path

import click

from keystead_enroll.adapters.builtin_ca import CaFolder
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.cli_output import show_ca
from keystead_enroll.cli_refusals import advises, named_as_given, refuse
from keystead_enroll.settings import CaSettings
from keystead_enroll.usecases.create_ca import CaNames, check_ca_names, create_ca
from keystead_kit.clock import SystemClock
from keystead_kit.files import folder_mistake
from keystead_kit.setting_types import LEAST_PASSPHRASE_OCTETS
from keystead_kit.settings import load_settings

_ARGUMENTS = {
    "organization": "--organization",
    "root_common_name": "--root-name",
    "issuing_common_name": "--issuing-name",
}


@click.group()
def ca() -> None:
    """The built-in CA."""


@ca.command("init")
@click.option("--organization", required=True, help="O of both CAs' names.")
@click.option("--root-name", default="Keystead Root CA", show_default=True)
@click.option("--issuing-name", default="Keystead Issuing CA", show_default=True)
@click.option("--root-folder", type=click.Path(path_type=Path), help="Put the root's key here, to be taken offline.")
@click.option("--root-passphrase-file", type=click.Path(path_type=Path), help="Encrypts the root's key.")
@click.option("--unencrypted-root-key", is_flag=True, help="Leave the root's key in plain text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@advises
def ca_init(
    organization: str,
    root_name: str,
    issuing_name: str,
    root_folder: Path | None,
    root_passphrase_file: Path | None,
    unencrypted_root_key: bool,
    as_json: bool,
) -> None:
    """Make a root and an issuing CA in KEYSTEAD_ENROLL_CA_FOLDER.

    The issuing CA's key is encrypted with KEYSTEAD_ENROLL_CA_KEY_PASSPHRASE, the root's with the passphrase in
    --root-passphrase-file or one that is asked for. No other settings are needed.

    \b
    Example:
      keystead ca init --organization "Example Hospital" \\
        --root-folder /mnt/offline --root-passphrase-file /mnt/offline/passphrase
    """
    names = CaNames(organization.strip(), root_name.strip(), issuing_name.strip())
    with named_as_given(_ARGUMENTS):
        check_ca_names(names)
    refuse({"--root-folder": folder_mistake(root_folder) if root_folder else ""})
    root_passphrase = _given_passphrase(root_passphrase_file, unencrypted_root_key)
    settings = load_settings(CaSettings)
    refuse({"KEYSTEAD_ENROLL_CA_FOLDER": folder_mistake(settings.ca_folder)})
    issuing = settings.ca_key_passphrase
    issuing_passphrase = issuing.get_secret_value().encode() if issuing else None
    CaFolder(settings.ca_folder, root_folder=root_folder).refuse_existing()
    if root_passphrase is None and not unencrypted_root_key:
        root_passphrase = _asked_passphrase()
    made = create_ca(
        names,
        now=SystemClock().now(),
        random_bytes=randomness.token_bytes,
        lint=PkilintLinter().lint,
        store=CaFolder(
            settings.ca_folder,
            root_folder=root_folder,
            issuing_passphrase=issuing_passphrase,
            root_passphrase=root_passphrase,
        ),
    )
    show_ca(
        made,
        settings.ca_folder,
        root_folder or settings.ca_folder,
        root_encrypted=root_passphrase is not None,
        issuing_encrypted=issuing_passphrase is not None,
        as_json=as_json,
    )


def _given_passphrase(file: Path | None, unencrypted: bool) -> bytes | None:
    """What encrypts the root's key, from its file; None if it is to be asked for or the key to stay in plain text."""
    if file and unencrypted:
        raise click.UsageError("Give either --root-passphrase-file or --unencrypted-root-key.")
    if file:
        try:
            return _long_enough(file.read_bytes().strip(), f" in {file}")
        except OSError as error:
            raise click.UsageError(f"--root-passphrase-file {file}: {error.strerror}.") from error
    if not unencrypted and not sys.stdin.isatty():
        raise click.UsageError(
            "The root's key needs a passphrase: name its file with --root-passphrase-file, or give "
            "--unencrypted-root-key if the key may lie in plain text."
        )
    return None


def _asked_passphrase() -> bytes:
    asked: str = click.prompt(
        "Passphrase for the root's key", hide_input=True, confirmation_prompt="Once more", err=True
    )
    return _long_enough(asked.encode())


def _long_enough(passphrase: bytes, where: str = "") -> bytes:
    if len(passphrase) < LEAST_PASSPHRASE_OCTETS:
        raise click.UsageError(
            f"The root's passphrase{where} has {len(passphrase)} octets, and "
            f"{LEAST_PASSPHRASE_OCTETS} are the least. Make one: openssl rand -hex 32"
        )
    return passphrase
