"""`keystead evidence`: judges again, without a server, that a key is in a TPM."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import click
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pydantic import ValidationError

from keystead_contracts.base import AssuranceLevel, serial_hex
from keystead_contracts.refusals import Refusal
from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.domain.attestation_checks import NOTES, Subject
from keystead_enroll.domain.evidence_record import EvidenceRecord, StoredFinding, judge_again, public_key_of
from keystead_enroll.domain.keys import same_key, supported_key
from keystead_enroll.domain.tpm_reader import decoded
from keystead_enroll.remote.commands import EXIT_REFUSED, EXIT_USAGE

MOST_OCTETS = 4 * 1024 * 1024


@click.group()
def evidence() -> None:
    """Evidence that a key is in a TPM, as `keystead cert evidence` writes it. Nothing here asks a server."""


@evidence.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--roots",
    "folder",
    type=click.Path(path_type=Path),
    help="A folder of TPM manufacturers' roots that you trust; else the file's own root counts, which is named.",
)
@click.option("--at-least", type=click.Choice([level.value for level in AssuranceLevel]), help="Refuse a lower level.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, folder: Path | None, at_least: str | None, as_json: bool) -> None:
    """Judge the evidence in FILE again, from what the TPM sent, and say every finding in words.

    Exits with 0 if it shows what it was taken for; 3 if a check fails, it shows less or more than was recorded, or the
    certificate in it is for another key; 2 if it cannot be read.

    \b
    Examples:
      keystead evidence verify evidence.json
      keystead evidence verify evidence.json --roots /etc/keystead/ek-roots --at-least vendor
    """
    record = _read(file)
    try:
        roots = load_roots(folder) if folder else None
        judged = judge_again(record, roots)
    except Refusal as refusal:
        _complain(refusal.detail, refusal.advice)
        sys.exit(EXIT_USAGE if folder and refusal.code == "malformed" else EXIT_REFUSED)
    again = judged.record
    wrong = _mistakes(record, again, AssuranceLevel(at_least) if at_least else None)
    if as_json:
        _print_json(again, wrong)
    else:
        _print(again, wrong, trusted=folder)
    sys.exit(EXIT_REFUSED if wrong else 0)


def _plain(text: str) -> str:
    """What a file says, without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _complain(detail: str, advice: str) -> None:
    click.echo(f"error: {_plain(detail)}", err=True)
    if advice:
        click.echo(f"hint: {advice}", err=True)


def _read(file: Path) -> EvidenceRecord:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_OCTETS + 1)
        if len(content) > MOST_OCTETS:
            raise ValueError("it is too large")
        return EvidenceRecord.model_validate_json(content)
    except OSError as error:
        _complain(f"{file} cannot be read: {error.strerror}", "")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        _complain(
            f"{file} is no evidence: {place}: {first['msg']}", "`keystead cert evidence SERIAL` writes such a file."
        )
    except ValueError as error:
        _complain(f"{file} is no evidence: {error}", "")
    sys.exit(EXIT_USAGE)


def _mistakes(record: EvidenceRecord, again: EvidenceRecord, least: AssuranceLevel | None) -> list[str]:
    wrong = []
    shown, said = (each.level.value if each.level else "refused" for each in (again, record))
    if again.level is None:
        wrong.append("A check failed: this does not show that the key is in a TPM.")
    if shown != said:
        wrong.append(f"It was recorded as “{said}” and shows “{shown}”.")
    elif {each.code for each in record.findings} != {each.code for each in again.findings}:
        wrong.append("Other findings were recorded than it shows.")
    if least is not None and (again.level is None or again.level.rank < least.rank):
        wrong.append(f"It shows “{shown}”, which is less than “{least.value}”.")
    if record.certificate_pem and not _is_certified(record):
        wrong.append("The certificate in it is for another key.")
    return wrong


def _certificate(record: EvidenceRecord) -> x509.Certificate:
    return x509.load_pem_x509_certificate(record.certificate_pem.encode())


def _is_certified(record: EvidenceRecord) -> bool:
    try:
        certificate = _certificate(record)
        return same_key(supported_key(certificate.public_key()), public_key_of(record))
    except (ValueError, UnsupportedAlgorithm, Refusal):
        return False


def _print(again: EvidenceRecord, wrong: list[str], *, trusted: Path | None) -> None:
    click.echo(f"Judged as of {again.judged_at:%Y-%m-%d %H:%M} UTC, for {_plain(again.purpose_id)}.")
    if again.certificate_pem:
        click.echo(_certificate_line(again))
    for subject in Subject:
        lines = [each for each in again.findings if each.finding and each.finding.subject is subject]
        if lines:
            click.echo(f"\n{subject.value}")
            for each in lines:
                _print_finding(each)
    for each in again.findings:
        if each.finding is None:
            _print_finding(each)
    if again.authorities:
        root = decoded(again.authorities[-1], "certificate")
        place = f"in {trusted}" if trusted else "from the file: compare it with the manufacturer's"
        click.echo(f"\nThe root is {place}.\n  SHA-256 {hashlib.sha256(root).hexdigest()}")
    elif trusted:
        click.echo(f"\nNo root of {trusted} vouches for this TPM.")
    click.echo(
        "\nThat the TPM opened what was sealed to it, in time, and what is on lists, is the word of whoever wrote the "
        "file: take it from the server alone. All else was checked here."
    )
    click.echo(f"\nLevel: {again.level.value if again.level else 'none, it is refused'}")
    for mistake in wrong:
        click.echo(f"error: {mistake}", err=True)


def _certificate_line(record: EvidenceRecord) -> str:
    try:
        certificate = _certificate(record)
        name = certificate.subject.rfc4514_string()
    except ValueError:
        return "The certificate in it cannot be read."
    return f"Certificate {serial_hex(certificate.serial_number)}, {_plain(name)}"


def _print_finding(found: StoredFinding) -> None:
    finding = found.finding
    text = finding.check.value[0 if finding.held else 1] if finding else found.text
    noted = finding is not None and (finding.check in NOTES or finding.subject is Subject.CERTIFICATE)
    sign = "✓" if found.held else "·" if noted or finding is None else "✗"
    click.echo(f"  {sign} {text}")


def _print_json(again: EvidenceRecord, wrong: list[str]) -> None:
    answer = {
        "level": again.level.value if again.level else None,
        "holds": not wrong,
        "mistakes": wrong,
        "findings": [{"code": each.code, "held": each.held, "text": each.text} for each in again.findings],
    }
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
