"""`keystead cert request`: a signing request (CSR) in, a certificate out."""

from __future__ import annotations

from typing import Any, TextIO

import click

from keystead_enroll.domain.issue_inputs import CertificateRequestInput
from keystead_enroll.remote.commands import EXIT_FAILED, advised, connect, with_ids
from keystead_enroll.remote.fields import body_of, options_of
from keystead_enroll.remote.output import show_json

_OPTIONS = [option for option in options_of(CertificateRequestInput) if option.field != "csr"]


@click.command("request")
@click.argument("csr", metavar="CSR", type=click.File("r", encoding="ascii", errors="replace"))
@click.option("--chain", is_flag=True, help="Write the issuing CAs' certificates behind it.")
@click.option("-o", "--output", type=click.File("w", encoding="ascii"), default="-", help="Where to.")
@click.option("as_json", "--json", is_flag=True, help="Print JSON: the certificate, its chain and what it is called.")
@advised
def cert_request(csr: TextIO, output: TextIO, *, chain: bool, as_json: bool, **given: Any) -> None:
    """Have a certificate issued for a signing request of your own; - is standard input.

    The names come from these options and the profile, not from the CSR. Ends with 1 if the certificate takes longer
    than the server waits; `keystead order show` then says how it goes.

    \b
    Example:
      keystead cert request pump.csr --organization 'Example Hospital' --profile 'Device certificate' \\
        --device-name pump-42.example.org -o pump.pem
    """
    remote = connect()
    wanted = with_ids(remote, body_of(_OPTIONS, given, None, ())) | {"csr": csr.read()}
    answer = remote.call("POST", "/certificates", json=wanted)
    if "certificate" not in answer:
        click.echo(f"The request {answer['request_id']} is {answer['state']}; its certificate takes longer.", err=True)
        raise SystemExit(EXIT_FAILED)
    if as_json:
        show_json(answer)
        return
    output.write("".join([answer["certificate"], *(answer["chain"] if chain else [])]))


cert_request.params += [option.declaration() for option in _OPTIONS]
