"""`keystead ek-roots`: the bundle of TPM manufacturers' certificates, made and looked at on the server itself."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import click

from keystead_enroll.adapters.ek_bundle import Bundle, Manifest, read_bundle
from keystead_enroll.adapters.ek_fetch import HOSTS, Fetcher
from keystead_enroll.adapters.ek_files import MAKE_KEY, file_content, private_key_in, public_key_in
from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.adapters.ek_update import Updated, concerns, update_bundle
from keystead_enroll.cli_refusals import EXIT_FAILED, advises
from keystead_enroll.settings import EkRootsSettings
from keystead_kit.clock import SystemClock
from keystead_kit.logs import configure_logging
from keystead_kit.settings import load_settings

SHOWN_LEFT_OUT = 20
_FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), help="The bundle; else KEYSTEAD_ENROLL_EK_ROOTS_FOLDER."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("ek-roots")
def ek_roots() -> None:
    """TPM manufacturers' certificates: a versioned, signed bundle by which the service knows a real TPM.

    The service reads it when it starts.
    """


@ek_roots.command("update")
@click.argument("source", type=click.Path(path_type=Path))
@_FOLDER
@click.option("--sign-with", type=click.Path(path_type=Path), help="Your Ed25519 private key, PEM.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="What opens that key, if it is encrypted.")
@click.option("--fetch", is_flag=True, help="Get missing authorities and revocation lists from the manufacturers.")
@click.option("--host", "hosts", multiple=True, help="With --fetch: a host more that may be asked.")
@click.option(
    "--sample",
    "samples",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --fetch: an endorsement certificate of a machine; what it names is fetched too.",
)
@_JSON
@advises
def update(
    source: Path,
    folder: Path | None,
    sign_with: Path | None,
    passphrase_file: Path | None,
    fetch: bool,
    hosts: tuple[str, ...],
    samples: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Make the bundle anew from SOURCE: Microsoft's TrustedTpm.cab, or a folder of certificates and revocation lists.

    A folder of SOURCE is a vendor. What cannot be read, and what is no authority's certificate, is left out and told.
    Nothing is fetched without --fetch, and then from the manufacturers' known hosts alone.

    \b
    Examples:
      keystead ek-roots update TrustedTpm.cab --sign-with operator.key --fetch
      keystead ek-roots update ./vendors --folder ./ek-roots
    """
    if not fetch and (hosts or samples):
        raise click.UsageError("--host and --sample go with --fetch.")
    if passphrase_file and not sign_with:
        raise click.UsageError("--passphrase-file goes with --sign-with.")
    passphrase = file_content(passphrase_file).strip() if passphrase_file else None
    updated = update_bundle(
        _folder(folder),
        source,
        SystemClock().now(),
        key=private_key_in(sign_with, passphrase) if sign_with else None,
        fetcher=Fetcher({*HOSTS, *(host.lower() for host in hosts)}) if fetch else None,
        samples=samples,
    )
    if as_json:
        click.echo(json.dumps(_plain(updated.manifest) | {"left_out": updated.left_out}, ensure_ascii=False))
        return
    _tell_update(updated, _folder(folder), signed=sign_with is not None)


@ek_roots.command("show")
@_FOLDER
@_JSON
@advises
def show(folder: Path | None, as_json: bool) -> None:
    """Say what is in the bundle: version, date, vendors, certificates, revocation lists."""
    bundle = _bundle(folder)
    manifest = bundle.manifest
    if as_json:
        click.echo(manifest.model_dump_json())
        return
    click.echo(f"Version {manifest.version} of {manifest.made_at:%Y-%m-%d}, from {manifest.source}.")
    click.echo(_signature(bundle))
    for each in manifest.certificates:
        kind = "root" if each.root else "    "
        click.echo(f"{each.vendor:<16} {kind}  until {each.not_after:%Y-%m-%d}  {each.sha256[:16]}…  {each.subject}")
    for revocation in manifest.revocation_lists:
        click.echo(f"revoked {revocation.revoked:>6}  of {revocation.this_update:%Y-%m-%d}  {revocation.issuer}")


@ek_roots.command("check")
@_FOLDER
@_JSON
@advises
def check(folder: Path | None, as_json: bool) -> None:
    """See whether the service would take the bundle, and what is about to end; exit 1 if there is anything to say."""
    configure_logging("enroll", "cli", "WARNING")
    bundle = _bundle(folder)
    load_roots(_folder(folder), _key_file(folder))
    told = concerns(bundle.manifest, SystemClock().now())
    if as_json:
        click.echo(json.dumps(_plain(bundle.manifest) | {"concerns": told}, ensure_ascii=False))
    else:
        for each in told:
            click.echo(f"warning: {each}", err=True)
        click.echo(f"Version {bundle.manifest.version} is whole. {_signature(bundle)}")
    sys.exit(EXIT_FAILED if told else 0)


def _tell_update(updated: Updated, folder: Path, *, signed: bool) -> None:
    manifest, former = updated.manifest, updated.former
    for name, reason in list(updated.left_out.items())[:SHOWN_LEFT_OUT]:
        click.echo(f"left out: {name}: {reason}", err=True)
    if len(updated.left_out) > SHOWN_LEFT_OUT:
        click.echo(f"left out: {len(updated.left_out) - SHOWN_LEFT_OUT} more; --json has them all", err=True)
    vendors = Counter(each.vendor for each in manifest.certificates)
    roots = sum(each.root for each in manifest.certificates)
    click.echo(
        f"Version {manifest.version} in {folder}: {len(manifest.certificates)} certificates, {roots} of them roots"
    )
    click.echo("  " + ", ".join(f"{vendor} {count}" for vendor, count in sorted(vendors.items())))
    click.echo(f"  {len(manifest.revocation_lists)} revocation lists")
    if former is not None:
        had, has = ({each.sha256 for each in each.certificates} for each in (former, manifest))
        click.echo(f"  {len(has - had)} certificates are new, {len(had - has)} are gone")
        if former.revocation_lists and not manifest.revocation_lists:
            click.echo("warning: the version before had revocation lists; --fetch gets them again.", err=True)
    for each in concerns(manifest, manifest.made_at):
        click.echo(f"warning: {each}", err=True)
    if not signed:
        click.echo(f"warning: it is not signed; give --sign-with. {MAKE_KEY}", err=True)
    click.echo("Now copy the folder to where the service runs, if that is elsewhere, and restart the service.")


def _plain(manifest: Manifest) -> dict[str, object]:
    return {
        "version": manifest.version,
        "made_at": manifest.made_at.isoformat(),
        "certificates": len(manifest.certificates),
        "revocation_lists": len(manifest.revocation_lists),
    }


def _bundle(folder: Path | None) -> Bundle:
    key_file = _key_file(folder)
    return read_bundle(_folder(folder), public_key_in(key_file) if key_file else None)


def _signature(bundle: Bundle) -> str:
    return "It is signed." if bundle.signed else "It is NOT signed."


def _folder(given: Path | None) -> Path:
    return given or load_settings(EkRootsSettings).ek_roots_folder


def _key_file(folder: Path | None) -> Path | None:
    """The public key of the settings, which go with the folder of the settings."""
    return None if folder else load_settings(EkRootsSettings).ek_roots_key_file
