"""`keystead ek-roots`, as a shell runs it, and the service that reads what it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.support.cab import cab
from tests.support.enroll_setup import settings
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import Authority

from keystead_enroll.adapters.ek_bundle import MANIFEST, SIGNATURE
from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.bootstrap import build
from keystead_enroll.cli import main
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.web.app import create_app

ROOT = Authority.root()
CA = ROOT.authority()
OTHER = Authority.root("Other Root", which=92)
EK = SoftwareTpm().endorsement
FILES = {
    "Chips/RootCA/root.cer": ROOT.der,
    "Chips/IntermediateCA/ca.crt": CA.der,
    "Chips/ca.crl": CA.revoked(7),
    "Other (Inc.)/root.der": OTHER.der,
    "setup.cmd": b"echo",
}
Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ek-roots"


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs `keystead ek-roots …` with the settings of a service."""

    def run(*arguments: object, **environment: object) -> Result:
        around = {"KEYSTEAD_ENROLL_EK_ROOTS_FOLDER": str(folder)}
        told = {f"KEYSTEAD_ENROLL_{name}": str(value) for name, value in environment.items()}
        return CliRunner().invoke(main, ["ek-roots", *map(str, arguments)], env=around | told)

    return run


def vendors(place: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return vendors(tmp_path / "vendors")


def key_files(place: Path, name: str = "operator", passphrase: bytes | None = None) -> tuple[Path, Path]:
    """A key's private and public file."""
    key = Ed25519PrivateKey.generate()
    private, public = place / f"{name}.key", place / f"{name}.pub.pem"
    kept = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def done(result: Result) -> Result:
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def manifest(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return loaded


def test_a_cab_becomes_a_bundle_by_vendors(run: Run, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "TrustedTpm.cab"
    file.write_bytes(cab(FILES))
    done(run("update", file))
    told = manifest(folder)
    assert (told["version"], told["source"], len(told["source_sha256"])) == (1, "TrustedTpm.cab", 64)
    assert sorted((each["vendor"], each["subject"], each["root"]) for each in told["certificates"]) == [
        ("Chips", "CN=Chips CA", False), ("Chips", "CN=Chips Root", True), ("Other-Inc", "CN=Other Root", True),
    ]  # fmt: skip
    assert [(each["issuer"], each["revoked"]) for each in told["revocation_lists"]] == [("CN=Chips CA", 1)]
    loaded = load_roots(folder)
    assert ({each.raw for each in loaded.roots}, [each.raw for each in loaded.intermediates]) == (
        {ROOT.der, OTHER.der}, [CA.der],
    )  # fmt: skip
    assert list(loaded.revoked.values()) == [{7}]


def test_a_folder_becomes_the_same_bundle(run: Run, folder: Path, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "TrustedTpm.cab"
    file.write_bytes(cab(FILES))
    done(run("update", source))
    from_folder = manifest(folder)["certificates"]
    done(run("update", file))
    assert manifest(folder)["certificates"] == from_folder
    assert manifest(folder)["version"] == 2


def test_what_cannot_be_taken_is_left_out_and_told(run: Run, source: Path, folder: Path) -> None:
    more = {"Chips/ek.der": CA.certify(EK.key), "Chips/noise.cer": b"noise", "Chips/fake.crl": OTHER.revoked(1)[:-1]}
    vendors(source, more | {"Chips/strange.crl": Authority.root("Strangers", which=93).revoked(1)})
    told = done(run("update", source)).stderr
    for each in (
        "ek.der: it is no authority's",
        "noise.cer",
        "fake.crl",
        "CN=Strangers: its revocation list is signed",
    ):
        assert each in told
    assert len(manifest(folder)["certificates"]) == 3


def test_without_cabextract_it_says_what_to_install(
    run: Run, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "TrustedTpm.cab"
    file.write_bytes(cab(FILES))
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = run("update", file)
    assert (refused.exit_code, "apt-get install cabextract" in refused.stderr) == (1, True)
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"noise", cab(FILES)[:60], b"MSCF" + bytes(100)],
    ids=["nothing", "noise", "cut off", "a head alone"],
)
def test_what_is_no_cab_is_refused_and_the_bundle_before_stays(
    run: Run, source: Path, folder: Path, tmp_path: Path, content: bytes
) -> None:
    done(run("update", source))
    before = (folder / MANIFEST).read_bytes()
    (tmp_path / "TrustedTpm.cab").write_bytes(content)
    for wrong in (tmp_path / "TrustedTpm.cab", tmp_path / "nowhere", vendors(tmp_path / "empty", {"a.txt": b""})):
        refused = run("update", wrong)
        assert (refused.exit_code, str(wrong) in refused.stderr) == (1, True)
    assert (folder / MANIFEST).read_bytes() == before


def test_a_cab_cannot_write_outside(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "TrustedTpm.cab"
    file.write_bytes(cab({"Chips/root.cer": ROOT.der, "../../escaped.cer": OTHER.der, "/escaped.cer": OTHER.der}))
    run("update", file)
    assert not list(tmp_path.parent.glob("escaped.cer"))
    assert not Path("/escaped.cer").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(run: Run, folder: Path, source: Path) -> None:
    vendors(folder, {"precious.txt": b"x"})
    assert run("update", source).exit_code == 1
    assert (folder / "precious.txt").read_bytes() == b"x"


# Signed


def test_a_bundle_is_taken_from_who_signed_it_alone(run: Run, source: Path, folder: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path)
    _, strange = key_files(tmp_path, "stranger")
    done(run("update", source, "--sign-with", private))
    assert len(load_roots(folder, public).roots) == 2
    with pytest.raises(EkRootsUnusable, match="is not signed with the key"):
        load_roots(folder, strange)
    for signature in (b"", b"!!", b"AAAA"):
        (folder / SIGNATURE).write_bytes(signature)
        with pytest.raises(EkRootsUnusable, match="is not signed with the key"):
            load_roots(folder, public)
    (folder / SIGNATURE).unlink()
    with pytest.raises(EkRootsUnusable, match="is not signed"):
        load_roots(folder, public)


def test_with_a_key_a_mere_folder_of_certificates_is_not_taken(tmp_path: Path, source: Path) -> None:
    _, public = key_files(tmp_path)
    assert load_roots(source).roots
    with pytest.raises(EkRootsUnusable, match="only what an operator signed"):
        load_roots(source, public)


def _other(file: Path) -> None:
    file.write_bytes(OTHER.der + b"\0")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _other(next(folder.rglob("*.der"))),
        lambda folder: next(folder.rglob("*.der")).unlink(),
        lambda folder: (folder / "more.der").write_bytes(OTHER.der),
        lambda folder: (folder / "more.txt").write_bytes(b"hello"),
        lambda folder: (folder / "certificates" / "more").symlink_to("/nowhere"),
        lambda folder: (folder / MANIFEST).write_text("{}"),
    ],
    ids=["another file", "one too few", "one too many", "a strange file", "a broken link", "another manifest"],
)
def test_a_bundle_that_is_not_what_its_manifest_says_is_refused(
    run: Run, source: Path, folder: Path, change: Callable[[Path], object]
) -> None:
    done(run("update", source))
    change(folder)
    with pytest.raises(EkRootsUnusable) as refused:
        load_roots(folder)
    assert refused.value.advice
    assert run("check").exit_code == 1


def test_a_manifest_that_was_changed_is_refused_though_its_files_fit(
    run: Run, source: Path, folder: Path, tmp_path: Path
) -> None:
    private, public = key_files(tmp_path)
    done(run("update", source, "--sign-with", private))
    told = manifest(folder)
    gone = told["revocation_lists"].pop()
    (folder / gone["file"]).unlink()
    (folder / MANIFEST).write_text(json.dumps(told))
    assert load_roots(folder).revoked == {}
    with pytest.raises(EkRootsUnusable, match="is not signed with the key"):
        load_roots(folder, public)


def test_openssl_understands_the_signature(run: Run, source: Path, folder: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path)
    done(run("update", source, "--sign-with", private))
    raw = tmp_path / "raw"
    subprocess.run(["openssl", "base64", "-d", "-in", folder / SIGNATURE, "-out", raw], check=True)
    files = ("-inkey", str(public), "-in", str(folder / MANIFEST), "-sigfile", str(raw))
    subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", *files], check=True, capture_output=True)


def test_an_encrypted_key_needs_its_passphrase(run: Run, source: Path, folder: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path, passphrase=b"correct horse")
    given, wrong = tmp_path / "passphrase", tmp_path / "wrong"
    given.write_text("correct horse\n")
    wrong.write_text("battery\n")
    assert "--passphrase-file" in run("update", source, "--sign-with", private).stderr
    assert run("update", source, "--sign-with", private, "--passphrase-file", wrong).exit_code == 1
    assert not folder.exists()
    done(run("update", source, "--sign-with", private, "--passphrase-file", given))
    assert load_roots(folder, public).roots


def test_a_key_of_another_kind_signs_and_checks_nothing(run: Run, source: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "ec.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "ec.key", "-pubout", "-out", tmp_path / "ec.pub"], check=True)
    assert "no Ed25519 private key" in run("update", source, "--sign-with", tmp_path / "ec.key").stderr
    done(run("update", source))
    assert "no Ed25519 public key" in run("check", EK_ROOTS_KEY_FILE=tmp_path / "ec.pub").stderr


# Show and check


def test_show_and_check_tell_what_there_is(run: Run, source: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path)
    done(run("update", source, "--sign-with", private))
    shown = done(run("show", EK_ROOTS_KEY_FILE=public)).output
    for each in ("Version 1", "It is signed.", "CN=Chips Root", "Chips", "revoked      1"):
        assert each in shown
    assert "is whole" in run("check", EK_ROOTS_KEY_FILE=public).output
    assert len(json.loads(done(run("show", "--json")).output)["certificates"]) == 3


def test_check_warns_of_lists_that_are_out_of_date_and_of_missing_roots(run: Run, folder: Path, tmp_path: Path) -> None:
    done(run("update", vendors(tmp_path / "v", {"Chips/ca.der": CA.der})))
    warned = run("check")
    assert (warned.exit_code, "there is no root" in warned.stderr) == (1, True)
    told = manifest(folder)
    assert told["revocation_lists"] == []


def test_the_options_of_fetching_go_with_it(run: Run, source: Path) -> None:
    assert run("update", source, "--host", "pki.example").exit_code == 2


# The service


def test_the_service_does_not_start_with_a_bundle_that_was_changed(
    run: Run, source: Path, folder: Path, tmp_path: Path
) -> None:
    done(run("update", source))
    enroll = build(settings(f"sqlite:///{tmp_path}/x.db", "redis://127.0.0.1:9/0", ek_roots_folder=folder))
    create_app(enroll)
    next(folder.rglob("*.der")).unlink()
    with pytest.raises(EkRootsUnusable, match="is missing"):
        create_app(build(enroll.settings))


def test_the_service_says_why_it_does_not_start(folder: Path, tmp_path: Path) -> None:
    chosen = settings(f"sqlite:///{tmp_path}/x.db", "redis://127.0.0.1:9/0", ek_roots_folder=folder)
    plain = chosen.model_dump(mode="python", exclude_none=True)
    around = {
        f"KEYSTEAD_ENROLL_{name.upper()}": str(getattr(value, "get_secret_value", lambda value=value: value)())
        for name, value in plain.items()
    }
    command = [sys.executable, "-c", "from keystead_enroll.cli_server import service; service()", "web"]
    ended = subprocess.run(command, env=os.environ | around, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, f"error: {folder} cannot be read" in ended.stderr) == (1, True), ended.stderr
    assert "hint:" in ended.stderr
