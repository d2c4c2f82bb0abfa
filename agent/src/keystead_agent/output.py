"""What the command line writes: words for people, JSON for programs, log lines for `run`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from keystead_agent.errors import AgentError, KeyStoreError
from keystead_contracts.base import AssuranceLevel, plain_text

if TYPE_CHECKING:
    from keystead_agent.device import Registered
    from keystead_agent.enroll import Enrolled
    from keystead_agent.findings import Finding, Mark
    from keystead_agent.listing import DamagedCertificate, ListedCertificate
    from keystead_agent.telling import Tell

_SENTENCES = {
    "connected": "Connected to {server}; waiting for what to do …",
    "stream_closed": "{server} closed the connection; connecting again …",
    "busy": "{reason}; waiting …",
    "tpm_slow": "Waiting for the TPM …",
    "unreachable": "{reason}; trying again in {retry_in} s …",
    "superseded_removed": "The certificate that it replaces is gone from this computer, with its key.",
    "superseded_not_removed": "The certificate that it replaces could not be removed: {reason}; trying again later.",
    "report_refused": "The server refused the answer: {reason}",
}
_STEPS = {
    "make_key_and_csr": "Making a key in the TPM …",
    "install": "Installing the certificate …",
    "remove": "Removing the key and the certificate …",
}
_OUTCOMES = {
    "csr_ready": "Key made; the server has the request.",
    "installed": "Certificate installed; a test signature was right.",
    "removed": "Removed.",
    "failed": "Failed; the server knows.",
}


def show(fields: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    """One result: `fields` as JSON, or `sentence`."""
    if as_json:
        click.echo(json.dumps(fields, ensure_ascii=False))
    else:
        _echo(sentence)


def show_registered(reply: Registered, server: str, *, as_json: bool) -> None:
    """How a registration with `server` ended: what the server holds of the device key, and why not more."""
    result = reply.attestation
    fields = {
        "device_id": reply.device_id,
        "organization": reply.organization,
        "server": server,
        "assurance": result.level.value if result else "",
        "reasons": [each.model_dump() for each in result.reasons] if result else [],
    }
    key = f", key {result.level.value}" if result else ""
    lacking = result.reasons if result and result.level is not AssuranceLevel.VENDOR else ()
    sentence = f"Registered as device {reply.device_id} of {reply.organization}{key}. Next: keystead-agent run"
    show(fields, "\n".join([sentence, *(f"  {each.text}" for each in lacking)]), as_json=as_json)


def show_error(error: AgentError, *, as_json: bool) -> None:
    """`error:` and `hint:` on stderr; with JSON also an object on stdout."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True, color=_colour(sys.stderr))
    click.echo(error.detail, err=True)
    if error.advice:
        click.secho("hint: ", fg="yellow", bold=True, nl=False, err=True, color=_colour(sys.stderr))
        click.echo(error.advice, err=True)
    if isinstance(error, KeyStoreError):
        click.echo("      keystead-agent doctor shows what it finds on this computer.", err=True)
    if as_json:
        click.echo(json.dumps({"error": {"code": error.code, "detail": error.detail, "advice": error.advice}}))


def sentence_of(event: str, fields: Mapping[str, object]) -> str:
    """What a person is told of `event`; see `telling.Tell`."""
    if event == "job_started":
        return _STEPS.get(str(fields["kind"]), "Working …")
    if event == "job_reported":
        return _OUTCOMES.get(str(fields["outcome"]), "Reported.")
    return _SENTENCES.get(event, event).format_map(fields)


def teller(*, as_json: bool, log: bool) -> Tell:
    """How a flow says what happens: on stderr as sentences for a person, or with `log` as lines
    (`time event key=value …`, JSON with `as_json`)."""

    def tell_line(event: str, /, **fields: object) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        if as_json:
            line = json.dumps({"time": moment, "event": event, **fields}, ensure_ascii=False, default=str)
        else:
            pairs = (f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in fields.items())
            line = " ".join((moment, event, *pairs))
        _echo(line, err=True)

    def tell_person(event: str, /, **fields: object) -> None:
        _echo(sentence_of(event, fields), err=True)

    return tell_line if log else tell_person


def show_enrolled(done: Enrolled, *, as_json: bool) -> None:
    """The end of an enrollment."""
    fields = {
        "server": done.server,
        "order_id": done.order_id,
        "location": done.location,
        "provider": done.provider,
        "order_state": done.order_state,
    }
    in_windows = done.location.startswith(("CurrentUser\\", "LocalMachine\\"))
    certificate = f"in {done.location}" if in_windows else f"{done.location}/certificate.pem"
    show(fields, f"Done. Certificate: {certificate}, key: {done.provider}", as_json=as_json)


def say(sentence: str) -> None:
    """A remark on stderr, beside the result."""
    _echo(sentence, err=True)


def say_who_works(pid: int) -> None:
    """That another process of the agent keeps this one waiting."""
    say(f"Another keystead-agent is at work (pid {pid}); waiting for it …")


def show_certificates(found: list[ListedCertificate | DamagedCertificate], *, as_json: bool) -> None:
    """The listing, one block a certificate."""
    if as_json:
        click.echo(json.dumps([item.model_dump(mode="json") for item in found], indent=2, ensure_ascii=False))
        return
    from keystead_agent.listing import DamagedCertificate

    if not found:
        _echo("No certificates yet. Open an enrollment page to ask for one.")
    for number, item in enumerate(found):
        if number:
            _echo()
        if isinstance(item, DamagedCertificate):
            _show_pairs({"Damaged": item.damage, "What to do": item.advice})
            continue
        if item.store:
            _show_as_certutil(number, item)
            continue
        _show_pairs(
            {
                "Subject": item.subject or "(none)",
                "Serial number": item.serial_number,
                "Issuer": item.issuer,
                "Valid": f"{item.not_before:%Y-%m-%d %H:%M} to {item.not_after:%Y-%m-%d %H:%M} UTC",
                "SHA-1 hash": item.sha1_hash,
                "Type": item.certificate_type,
                "Key container": item.key_container,
                "Provider": item.provider,
                "Private key": "exportable" if item.exportable else "not exportable",
                "Signing test": item.signing_test,
                "Root": "trusted by this computer"
                if item.root_trusted
                else "kept beside, not trusted by this computer",
                "Order": f"{item.order_id} at {item.server}",
            }
        )


def _show_as_certutil(number: int, item: ListedCertificate) -> None:
    """One certificate of a store of Windows in the words of `certutil -store`, the store first."""
    outcome, _, reason = item.signing_test.partition(": ")
    test = {"passed": "Signature test passed", "failed": f"Signature test FAILED: {reason}"}
    lines = [
        f"================ Certificate {number} ================",
        f"Store: {item.store}",
        f"Serial Number: {item.serial_number}",
        f"Issuer: {item.issuer}",
        f" NotBefore: {item.not_before:%Y-%m-%d %H:%M} UTC",
        f" NotAfter: {item.not_after:%Y-%m-%d %H:%M} UTC",
        f"Subject: {item.subject or '(none)'}",
        f"Friendly Name: {item.friendly_name or '(none)'}",
        f"Cert Hash(sha1): {item.sha1_hash}",
        f"  Key Container = {item.key_container}",
        f"  Provider = {item.provider}",
        "Private key is exportable" if item.exportable else "Private key is NOT exportable",
        test.get(outcome, f"Signature test {item.signing_test}"),
    ]
    if item.order_id:
        lines.append(f"Root: {'trusted' if item.root_trusted else 'not trusted'} by this computer")
        lines.append(f"Order: {item.order_id} at {item.server}")
    _echo("\n".join(lines))


def show_findings(findings: Iterable[Finding], *, as_json: bool) -> set[Mark]:
    """The findings as they come. The marks that were among them."""
    marks: set[Mark] = set()
    collected = []
    for finding in findings:
        marks.add(finding.mark)
        if as_json:
            collected.append(finding.model_dump(mode="json"))
        else:
            _show_finding(finding)
    if as_json:
        click.echo(json.dumps(collected, indent=2, ensure_ascii=False))
    return marks


def _show_finding(finding: Finding) -> None:
    sign, colour = {"good": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "red")}[finding.mark]
    click.secho(f" {sign} ", fg=colour, bold=True, nl=False, color=_colour(sys.stdout))
    _echo(f"{finding.subject:<18} {_column(finding.found, 22)}")
    if finding.advice:
        click.secho(" " * 22 + _column(finding.advice, 22), fg=colour, color=_colour(sys.stdout))


def _show_pairs(pairs: dict[str, str]) -> None:
    widest = max(len(key) for key in pairs)
    for key, value in pairs.items():
        _echo(f"{key + ':':<{widest + 2}}{value}")


def _column(text: str, left: int) -> str:
    """`text` in a column that begins at `left`. Addresses and paths stay whole, however long."""
    lines = textwrap.wrap(text, _width() - left, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * left).join(lines)


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))


def _colour(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _echo(text: str = "", *, err: bool = False) -> None:
    """Writes `text`, in which a server may have put what a terminal would obey."""
    click.echo(plain_text(text), err=err)
