"""`make demo`: the whole product on this machine, and what a person would do with it, unattended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keystead_contracts.base import serial_hex
from keystead_local.administration import bearer, token_file
from keystead_local.browser import Browser, PageUnexpected
from keystead_local.chores import ChoreFailed
from keystead_local.journey import Journey, Person
from keystead_local.once import FolderInUse, holding
from keystead_local.processes import StartFailed
from keystead_local.stack import SEED, Stack, base_environment, executable
from keystead_local.steps import StepFailed, Steps
from keystead_local.tpm_key import TpmKey
from keystead_local.tpm_maker import roots_folder

EMAIL = "ada.lovelace@example.org"
FORM, ACCESS_CODE = "Staff certificates", "HEART2026"
AGENT_SECONDS = 60.0
STALE_WORK = ("data", "redis", "mailbox", "agent", "log")


def demo(folder: Path) -> int:
    """Runs it in `folder`; the exit code."""
    steps = Steps()
    try:
        with holding(folder, str(os.getpid())):
            return _run(steps, folder)
    except FolderInUse as holder:
        steps.say(f"error: `make demo` runs in {_shown(folder)}/ already, as process {holder}")
        steps.say("hint: it is done within a minute; then run this again")
        return 1


def _run(steps: Steps, folder: Path) -> int:
    started = time.perf_counter()
    steps.say("Keystead demo: a person enrolls for a certificate whose key is made in a TPM and stays there.", "1")
    stale = STALE_WORK if (folder / "tpm-maker").exists() else (*STALE_WORK, "tpm")
    for name in stale:
        shutil.rmtree(folder / name, ignore_errors=True)
    stack = Stack(folder, seed=SEED, tpm=True, grace_seconds=3.0)
    try:
        with steps.step("Start services, Redis, nginx, mailbox, TPM") as step:
            with stack.one_interpreter():
                stack.start_all()
                token = token_file(stack)
            step.note = f"{len(stack.supervisor.names)} processes at {stack.origin}"
        _enroll(stack, steps, token)
        with steps.step("Stop everything"):
            stack.close()
    except (StepFailed, StartFailed, ChoreFailed, PageUnexpected, httpx.HTTPError) as error:
        _explain(steps, stack, error)
        return 1
    except KeyboardInterrupt:
        steps.say("\nstopped")
        return 130
    finally:
        stack.close()
    steps.say(f"\nDone in {time.perf_counter() - started:.1f} s. What is left: {_shown(folder)}/", "1")
    for name in ("certificate.pem", "chain.pem", "root.pem", "evidence.json", "demo.json"):
        steps.say(f"   {name}")
    steps.say(f"   keystead evidence verify {_shown(folder)}/evidence.json  judges the key's evidence again")
    return 0


def _enroll(stack: Stack, steps: Steps, token: Path) -> None:
    person = Person(stack.forms[FORM], EMAIL, ACCESS_CODE)
    browser = Browser(stack.origin)

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{stack.mailbox_url}/messages", params={"to": EMAIL}).json()
        return found

    journey = Journey(steps, browser, person, letters)
    page = journey.enter_access_code(journey.sign_in())
    link = journey.ask(page)
    journey.run_agent(link, lambda address: _run_agent(stack, "enroll", "--yes", "--json", address))
    journey.collect()
    proof = _prove(stack, steps, journey)
    journey.confirmation()
    found = _look_up(stack, steps, token, proof["certificate"]["serial_number"])
    words = _judge_again(stack, steps, token, found["id"])
    proof["milliseconds"] = steps.milliseconds
    (stack.folder / "demo.json").write_text(json.dumps(proof, indent=2, ensure_ascii=False) + "\n")
    browser.close()
    steps.say("\nWhy it is believed that the key is in this TPM:", "1")
    for line in words.splitlines():
        steps.say(f"   {line}" if line else "")


def _run_agent(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [executable("keystead-agent"), *arguments],
        env=stack.agent_environment(stack.folder / "agent"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=AGENT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StepFailed(f"keystead-agent {arguments[0]} ended with {done.returncode}", log=done.stderr)
    return done.stdout


def _prove(stack: Stack, steps: Steps, journey: Journey) -> dict[str, Any]:
    """Checks the result with means that are not the product's: OpenSSL, and the TPM asked directly."""
    folder, outcome = stack.folder, journey.outcome
    for name in ("certificate", "chain", "root"):
        (folder / f"{name}.pem").write_bytes(getattr(outcome, name))
    certificate = x509.load_pem_x509_certificate(outcome.certificate)
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with steps.step("openssl verify, to the root") as step:
        openssl_verify(folder)
        step.note = certificate.subject.rfc4514_string()
    with steps.step("keystead-agent list: the signing test passed"):
        listed = json.loads(_run_agent(stack, "list", "--json"))
        mine = next((each for each in listed if each["order_id"] == outcome.order_id), None)
        if mine is None or mine["signing_test"] != "passed" or mine["exportable"]:
            raise StepFailed("the agent does not list the certificate with a working key", log=json.dumps(listed))
    key = TpmKey(stack.tcti, Path(mine["key_container"]))
    with steps.step("The TPM's public key is the certificate's") as step:
        told = key.ask()
        if told.public_der != public:
            raise StepFailed("the key that the TPM loads is another one than the certificate's")
        step.note = ", ".join(told.attributes)
    with steps.step("A probe that the TPM signs verifies") as step:
        probe = f"keystead demo {outcome.order_id}".encode()
        signature = key.sign(probe)
        public_key = certificate.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)  # noqa: S101 P-256 was asked for
        public_key.verify(signature, probe, ec.ECDSA(hashes.SHA256()))
        step.note = f"{len(signature)} octets"
    return {
        "order": outcome.order_id,
        "submit_to_installed_ms": outcome.submit_to_installed_ms,
        "certificate": {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "serial_number": serial_hex(certificate.serial_number),
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": certificate.not_valid_after_utc.isoformat(),
            "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        },
        "key": {
            "provider": mine["provider"],
            "exportable": mine["exportable"],
            "tpm_object_attributes": told.attributes,
            "tpm_public_area": told.public_area.hex(),
            "public_key_sha256": told.public_sha256,
            "probe": probe.decode(),
            "probe_signature": signature.hex(),
        },
        "checks": ["openssl verify", "agent signing test", "TPM public key equals certificate's", "probe signature"],
        "progress": outcome.progress,
    }


def _look_up(stack: Stack, steps: Steps, token: Path, serial: str) -> dict[str, Any]:
    """The certificate as an administrator finds it."""
    with steps.step("An administrator finds it through the API") as step:
        answer = httpx.get(
            f"{stack.origin}/api/v1/certificates",
            params={"q": f"serial:{serial}"},
            headers=bearer(token),
        )
        found = answer.json().get("items", [])
        if len(found) != 1:
            raise StepFailed("the API does not list the certificate", log=answer.text)
        certificate: dict[str, Any] = found[0]
        step.note = f"{certificate['state']}, {certificate['assurance']}"
    return certificate


def _judge_again(stack: Stack, steps: Steps, token: Path, certificate_id: str) -> str:
    """Downloads the key's evidence and judges it without the server, trusting the TPM's manufacturer; what is said."""
    file = stack.folder / "evidence.json"
    with steps.step("The TPM's evidence, judged again without a server") as step:
        answer = httpx.get(f"{stack.origin}/api/v1/certificates/{certificate_id}/evidence", headers=bearer(token))
        if answer.status_code != httpx.codes.OK:
            raise StepFailed("the API does not hand the evidence out", log=answer.text)
        file.write_bytes(answer.content)
        roots = str(roots_folder(stack.folder / "tpm-maker"))
        done = subprocess.run(
            [executable("keystead"), "evidence", "verify", str(file), "--roots", roots, "--at-least", "vendor"],
            env=base_environment() | {"PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise StepFailed("the evidence does not show that a manufacturer vouches", log=done.stdout + done.stderr)
        step.note = done.stdout.strip().splitlines()[-1]
    return done.stdout.strip()


def openssl_verify(folder: Path) -> None:
    """Verifies certificate.pem in `folder` to root.pem over chain.pem. Raises StepFailed."""
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem", "certificate.pem"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailed("openssl does not verify the certificate", log=done.stdout + done.stderr)


def _explain(steps: Steps, stack: Stack, error: Exception) -> None:
    steps.say(f"\nerror: {error}", "31")
    log = getattr(error, "log", "")
    if log:
        steps.say("\n".join(f"  | {line}" for line in log.splitlines()[-25:]))
    else:
        for name in ("nginx", "auth-web", "auth-worker", "enroll-web", "enroll-worker", "notify-worker"):
            _troubles(steps, stack, name)
    hint = getattr(error, "hint", "") or f"the processes' logs are in {_shown(stack.folder / 'log')}/"
    steps.say(f"hint: {hint}", "33")


def _troubles(steps: Steps, stack: Stack, name: str) -> None:
    try:
        lines = stack.logs(name).splitlines()
    except (OSError, KeyError, RuntimeError):
        return
    bad = [line for line in lines if '"error"' in line or '"warning"' in line or "Traceback" in line][-3:]
    for line in bad:
        steps.say(f"  {name} | {line[:600]}")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main(folder: Path) -> None:
    """The command."""
    sys.exit(demo(folder))
