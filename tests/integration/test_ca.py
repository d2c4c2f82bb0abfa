"""The built-in CA on real files, judged by openssl and pkilint; and a real TPM's public areas."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from tests.support.swtpm import Swtpm
from tests.unit.enroll_pki.samples import ADA, PUMP, WEB, csr_pem, evidence, key_of

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.adapters.builtin_ca import BuiltinCa, CaFolder
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.domain.certificates import (
    DEFAULT_EXTENDED_KEY_USAGES,
    CertificatePlan,
    der,
    key_usage,
    new_serial,
    pem,
    pem_from_der,
    plan_builder,
    precertify,
    sign_builder,
    validity,
)
from keystead_enroll.domain.csr import check_csr
from keystead_enroll.domain.errors import (
    CaFilesExist,
    CaKeyMismatch,
    CaUnusable,
    CertificateLintFailed,
    IntentNotSignable,
    KeyAlgorithmNotAllowed,
)
from keystead_enroll.domain.key_usages import DEFAULT_KEY_USAGES
from keystead_enroll.domain.keys import supported_key
from keystead_enroll.domain.lint import Severity, refuse_findings
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.tpm_public import Reason, judge, parse_tpm2b_public
from keystead_enroll.usecases.create_ca import CaNames, NewCa, create_ca

NOW = datetime.now(UTC)
NAMES = CaNames("Example Ltd", "Example Root CA", "Example Issuing CA 1", "DE")
KINDS = {CertificateType.CLIENT: ADA, CertificateType.DEVICE: PUMP, CertificateType.SSL: WEB}
OPENSSL_CHECKS = {
    CertificateType.CLIENT: ["-purpose", "smimesign", "-verify_email", "ada@example.org"],
    CertificateType.DEVICE: ["-purpose", "sslclient"],
    CertificateType.SSL: ["-purpose", "sslserver", "-verify_hostname", "www.example.org"],
}
PASSPHRASE = b"correct horse battery staple"


@pytest.fixture(scope="module")
def linter() -> PkilintLinter:
    linter = PkilintLinter()
    linter.warm_up()
    return linter


def _create(store: CaFolder, linter: PkilintLinter, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> NewCa:
    return create_ca(
        NAMES, now=NOW, random_bytes=os.urandom, lint=linter.lint, store=store, issuing_algorithm=algorithm
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, linter: PkilintLinter) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    _create(CaFolder(folder), linter)
    return folder


@pytest.fixture
def ca(folder: Path) -> BuiltinCa:
    return BuiltinCa.open(folder, now=NOW)


def _plan(ca: BuiltinCa, kind: CertificateType, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> CertificatePlan:
    names = KINDS[kind]
    checked = check_csr(csr_pem(key_of(algorithm), x509.Name.from_rfc4514_string(names.rfc4514())), names, algorithm)
    begin, end = validity(NOW, timedelta(days=90), timedelta(minutes=5), ca.issuer_certificate)
    return CertificatePlan(
        names=names,
        public_key=checked.public_key,
        serial=new_serial(os.urandom),
        not_before=begin,
        not_after=end,
        key_usages=frozenset(DEFAULT_KEY_USAGES),
        extended_key_usages=DEFAULT_EXTENDED_KEY_USAGES[kind],
        policies=("1.3.6.1.4.1.32473.1",),
        ca_issuers_url="http://ca.example.org/issuing.cer",
        ocsp_url="http://ca.example.org/ocsp",
        crl_url="http://ca.example.org/issuing.crl",
    )


def _openssl_verify(folder: Path, certificate: str, *checks: str) -> str:
    leaf = folder / "leaf.pem"
    leaf.write_text(certificate)
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-policy_check", *checks,
         "-CAfile", folder / "root.pem", "-untrusted", folder / "issuing.pem", leaf],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("issuing", [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384])
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_2048])
@pytest.mark.parametrize("kind", list(CertificateType))
def test_every_type_and_key_passes_openssl_and_pkilint(
    kind: CertificateType, algorithm: KeyAlgorithm, issuing: KeyAlgorithm, tmp_path: Path, linter: PkilintLinter
) -> None:
    _create(CaFolder(tmp_path), linter, issuing)
    ca = BuiltinCa.open(tmp_path, now=NOW)
    intent = precertify(_plan(ca, kind, algorithm), ca.issuer_certificate)
    assert linter.lint(der(intent)) == ()
    signed = ca.sign(der(intent))
    assert linter.lint(signed) == ()
    assert x509.load_der_x509_certificate(signed).tbs_certificate_bytes == intent.tbs_certificate_bytes
    assert _openssl_verify(tmp_path, pem_from_der(signed), *OPENSSL_CHECKS[kind]).endswith("OK\n")


def test_the_new_ca_s_certificates_are_what_was_promised(folder: Path, ca: BuiltinCa, linter: PkilintLinter) -> None:
    root, issuing = x509.load_pem_x509_certificate(ca.root.encode()), ca.issuer_certificate
    assert linter.lint(der(root)) == linter.lint(der(issuing)) == ()
    assert isinstance(root_key := root.public_key(), ec.EllipticCurvePublicKey) and root_key.curve.name == "secp384r1"
    assert isinstance(key := issuing.public_key(), ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    assert root.not_valid_after_utc.year - root.not_valid_before_utc.year in (19, 20)
    assert timedelta(days=1825) <= issuing.not_valid_after_utc - issuing.not_valid_before_utc <= timedelta(days=1827)
    assert issuing.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert ca.chain == [(folder / "issuing.pem").read_text()]
    assert issuing.subject.rfc4514_string() == "CN=Example Issuing CA 1,O=Example Ltd,C=DE"


def test_keys_are_private_and_certificates_are_not(folder: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name != "leaf.pem"}
    assert modes == {"root.key": 0o600, "issuing.key": 0o600, "root.pem": 0o644, "issuing.pem": 0o644}


def test_the_root_key_may_lie_elsewhere_and_be_encrypted(tmp_path: Path, linter: PkilintLinter) -> None:
    offline, online = tmp_path / "stick", tmp_path / "ca"
    made = _create(CaFolder(online, root_folder=offline, root_passphrase=PASSPHRASE), linter)
    assert sorted(path.name for path in online.iterdir()) == ["issuing.key", "issuing.pem", "root.pem"]
    assert [path.name for path in offline.iterdir()] == ["root.key"]
    encrypted = (offline / "root.key").read_bytes()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in encrypted
    key = load_pem_private_key(encrypted, PASSPHRASE)
    assert isinstance(key, ec.EllipticCurvePrivateKey) and key.private_numbers() == made.root_key.private_numbers()
    BuiltinCa.open(online, now=NOW)


def test_an_encrypted_issuing_key_needs_its_passphrase(tmp_path: Path, linter: PkilintLinter, folder: Path) -> None:
    _create(CaFolder(tmp_path, issuing_passphrase=PASSPHRASE), linter)
    BuiltinCa.open(tmp_path, now=NOW, passphrase=PASSPHRASE)
    with pytest.raises(CaUnusable, match="passphrase is another"):
        BuiltinCa.open(tmp_path, now=NOW, passphrase=b"wrong")
    with pytest.raises(CaUnusable, match="no passphrase is set"):
        BuiltinCa.open(tmp_path, now=NOW)
    with pytest.raises(CaUnusable, match="is not encrypted"):
        BuiltinCa.open(folder, now=NOW, passphrase=PASSPHRASE)


def test_a_short_passphrase_is_refused_and_nothing_is_written(tmp_path: Path, linter: PkilintLinter) -> None:
    with pytest.raises(CaUnusable, match="fewer than 12"):
        _create(CaFolder(tmp_path / "ca", issuing_passphrase=b"short"), linter)
    assert not (tmp_path / "ca").exists()


@pytest.mark.parametrize("name", ["root.pem", "root.key", "issuing.pem", "issuing.key"])
def test_nothing_is_ever_overwritten(name: str, tmp_path: Path, linter: PkilintLinter) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(CaFilesExist):
        _create(CaFolder(tmp_path), linter)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_a_dangling_link_counts_as_a_file(tmp_path: Path, linter: PkilintLinter) -> None:
    (tmp_path / "root.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaFilesExist):
        _create(CaFolder(tmp_path), linter)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_appears_meanwhile_stops_the_saving_and_takes_it_back(
    tmp_path: Path, linter: PkilintLinter
) -> None:
    made = _create(CaFolder(tmp_path / "first"), linter)
    second = tmp_path / "second"
    second.mkdir()
    (second / "issuing.pem").write_text("precious")
    with pytest.raises(CaFilesExist):
        CaFolder(second).save(made)
    assert [path.name for path in second.iterdir()] == ["issuing.pem"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, linter: PkilintLinter) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaUnusable, match="could not be written"):
        _create(CaFolder(tmp_path / "file" / "ca"), linter)


def test_a_ca_whose_certificate_fails_the_linter_is_not_stored(tmp_path: Path, linter: PkilintLinter) -> None:
    garbage = linter.lint(b"\x30\x00")
    assert garbage[0].severity is Severity.FATAL
    with pytest.raises(CertificateLintFailed):
        create_ca(NAMES, now=NOW, random_bytes=os.urandom, lint=lambda _: garbage, store=CaFolder(tmp_path / "ca"))
    assert not (tmp_path / "ca").exists()


def test_an_issuing_key_is_p256_or_p384(tmp_path: Path, linter: PkilintLinter) -> None:
    with pytest.raises(KeyAlgorithmNotAllowed):
        _create(CaFolder(tmp_path), linter, KeyAlgorithm.RSA_2048)


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the CA for a test to break."""
    for name in ("root.pem", "issuing.pem", "issuing.key"):
        copy = tmp_path / name
        copy.write_bytes((folder / name).read_bytes())
        copy.chmod(0o600)
    yield tmp_path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_key_that_others_can_reach_is_not_used(broken: Path, mode: int) -> None:
    (broken / "issuing.key").chmod(mode)
    with pytest.raises(CaUnusable, match="others may use") as refused:
        BuiltinCa.open(broken, now=NOW)
    assert refused.value.advice.startswith("chmod 0600")


@pytest.mark.parametrize("name", ["root.pem", "issuing.pem", "issuing.key"])
def test_a_missing_or_garbled_file_is_named(broken: Path, name: str) -> None:
    (broken / name).write_text("garbage")
    with pytest.raises(CaUnusable, match=name):
        BuiltinCa.open(broken, now=NOW)
    (broken / name).unlink()
    with pytest.raises(CaUnusable, match=f"{name} cannot be read"):
        BuiltinCa.open(broken, now=NOW)


def test_a_key_of_another_ca_is_refused(broken: Path, tmp_path: Path, linter: PkilintLinter) -> None:
    _create(CaFolder(tmp_path / "other"), linter)
    (broken / "issuing.key").write_bytes((tmp_path / "other" / "issuing.key").read_bytes())
    with pytest.raises(CaKeyMismatch):
        BuiltinCa.open(broken, now=NOW)


def test_a_root_of_another_ca_is_refused(broken: Path, tmp_path: Path, linter: PkilintLinter) -> None:
    _create(CaFolder(tmp_path / "other"), linter)
    (broken / "root.pem").write_bytes((tmp_path / "other" / "root.pem").read_bytes())
    with pytest.raises(CaUnusable, match="not issued by the root"):
        BuiltinCa.open(broken, now=NOW)


@pytest.mark.parametrize("away", [timedelta(days=-1), timedelta(days=5 * 366)])
def test_a_ca_that_is_not_valid_now_is_not_opened(folder: Path, away: timedelta) -> None:
    with pytest.raises(CaUnusable, match="not now"):
        BuiltinCa.open(folder, now=NOW + away)


def test_an_end_entity_certificate_is_no_ca(ca: BuiltinCa, folder: Path, broken: Path) -> None:
    key = key_of(KeyAlgorithm.EC_P256)
    root_key = load_pem_private_key((folder / "root.key").read_bytes(), None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    root = x509.load_pem_x509_certificate(ca.root.encode())
    leaf = sign_builder(plan_builder(_plan(ca, CertificateType.SSL), root), root_key)
    with pytest.raises(CaUnusable, match="may not sign"):
        BuiltinCa(key, leaf, root)


def test_an_intent_of_another_ca_is_not_signed(ca: BuiltinCa, tmp_path: Path, linter: PkilintLinter) -> None:
    _create(CaFolder(tmp_path), linter)
    other = BuiltinCa.open(tmp_path, now=NOW)
    assert other.issuer_certificate.subject == ca.issuer_certificate.subject
    intent = precertify(_plan(ca, CertificateType.CLIENT), other.issuer_certificate)
    with pytest.raises(IntentNotSignable, match="another CA"):
        ca.sign(der(intent))


def test_an_intent_for_a_ca_certificate_is_not_signed(ca: BuiltinCa) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Evil CA")])
    issuer, key = ca.issuer_certificate, key_of(KeyAlgorithm.EC_P256)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    plain = x509.CertificateBuilder(issuer.subject, name, key.public_key(), 5, NOW, NOW + timedelta(days=1))
    with pytest.raises(IntentNotSignable, match="lacks"):
        ca.sign(der(sign_builder(plain, key)))
    aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    evil = plain.add_extension(aki, critical=False).add_extension(x509.BasicConstraints(True, None), critical=True)
    with pytest.raises(IntentNotSignable, match="is a CA certificate"):
        ca.sign(der(sign_builder(evil.add_extension(key_usage((), cert_sign=True), critical=True), key)))


def test_an_intent_that_outlives_the_ca_is_not_signed(ca: BuiltinCa) -> None:
    late = ca.issuer_certificate.not_valid_after_utc + timedelta(seconds=1)
    intent = precertify(replace(_plan(ca, CertificateType.CLIENT), not_after=late), ca.issuer_certificate)
    with pytest.raises(IntentNotSignable, match="ends after"):
        ca.sign(der(intent))


def test_an_intent_made_for_a_key_of_another_kind_is_not_signed(ca: BuiltinCa) -> None:
    """Its to-be-signed part names another signature algorithm than the one that the certificate would have."""
    builder = plan_builder(_plan(ca, CertificateType.CLIENT), ca.issuer_certificate)
    intent = sign_builder(builder, key_of(KeyAlgorithm.EC_P384))
    with pytest.raises(IntentNotSignable, match="another algorithm"):
        ca.sign(der(intent))


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"garbage"])
def test_octets_that_are_no_certificate_are_not_signed(ca: BuiltinCa, octets: bytes) -> None:
    with pytest.raises(IntentNotSignable, match="cannot be read"):
        ca.sign(octets)


def test_an_rsa_issuing_key_signs_as_well(ca: BuiltinCa, folder: Path, linter: PkilintLinter) -> None:
    root_key = load_pem_private_key((folder / "root.key").read_bytes(), None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    key, root = key_of(KeyAlgorithm.RSA_3072), x509.load_pem_x509_certificate(ca.root.encode())
    assert isinstance(key, rsa.RSAPrivateKey)
    template, public_key = ca.issuer_certificate, key.public_key()
    builder = x509.CertificateBuilder(
        root.subject, template.subject, public_key, 7 << 64, template.not_valid_before_utc, template.not_valid_after_utc
    )
    for extension in template.extensions:
        identifier = isinstance(extension.value, x509.SubjectKeyIdentifier)
        value = x509.SubjectKeyIdentifier.from_public_key(public_key) if identifier else extension.value
        builder = builder.add_extension(value, extension.critical)
    rsa_ca = BuiltinCa(key, sign_builder(builder, root_key), root)
    intent = precertify(_plan(rsa_ca, CertificateType.SSL), rsa_ca.issuer_certificate)
    certificate = x509.load_der_x509_certificate(rsa_ca.sign(der(intent)))
    certificate.verify_directly_issued_by(rsa_ca.issuer_certificate)
    assert linter.lint(der(certificate)) == ()


def test_the_linter_finds_a_violation_and_says_where(ca: BuiltinCa, linter: PkilintLinter) -> None:
    builder = plan_builder(_plan(ca, CertificateType.CLIENT), ca.issuer_certificate)
    bad = builder.add_extension(x509.PolicyConstraints(0, None), critical=False)
    findings = linter.lint(der(sign_builder(bad, key_of(KeyAlgorithm.EC_P256))))
    assert findings[0].refuses
    with pytest.raises(CertificateLintFailed, match="policy_constraints"):
        refuse_findings(findings)


def test_the_linter_may_be_shared_by_threads(ca: BuiltinCa) -> None:
    linter = PkilintLinter()
    octets = [der(precertify(_plan(ca, kind), ca.issuer_certificate)) for kind in CertificateType] * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(linter.lint, octets)) == [()] * len(octets)


def test_names_in_many_scripts_pass_openssl_and_pkilint(ca: BuiltinCa, folder: Path, linter: PkilintLinter) -> None:
    for common_name in ("Jürgen Müßig", "Αθηνά", "山田 太郎", 'O\'Neil, "Bob" + Co. #1', "a\\b=c;<d>", "😀"):
        names = CertificateNames(subject=(("C", "DE"), ("O", "Beispiel GmbH & Co. KG"), ("CN", common_name)))
        plan = replace(_plan(ca, CertificateType.CLIENT), names=names)
        signed = ca.sign(der(precertify(plan, ca.issuer_certificate)))
        assert linter.lint(signed) == ()
        _openssl_verify(folder, pem_from_der(signed))


def test_pem_is_what_openssl_reads(ca: BuiltinCa, folder: Path) -> None:
    text = subprocess.run(
        ["openssl", "x509", "-in", folder / "issuing.pem"], check=True, capture_output=True, text=True
    ).stdout
    assert text == pem(ca.issuer_certificate)


@pytest.mark.tpm
@pytest.mark.parametrize(
    "algorithm", ["ecc256:ecdsa-sha256", "ecc384:ecdsa-sha384", "ecc", "rsa2048:rsassa-sha256", "rsa"]
)
def test_a_tpm_s_own_public_area_is_understood(algorithm: str, tmp_path: Path) -> None:
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    with Swtpm(tmp_path / "tpm") as tpm:
        tpm.tool("tpm2_createprimary", "-C", "o", "-c", "srk.ctx", "-Q")
        tpm.tool(
            "tpm2_create", "-C", "srk.ctx", "-G", algorithm, "-a", attributes, "-u", "key.pub", "-r", "key.priv",
            "--creation-data", "creation", "-d", "digest", "-o", "key.pem", "-f", "pem", "-Q",
        )  # fmt: skip
        tpm.tool("tpm2_flushcontext", "-t")
        tpm.tool("tpm2_load", "-C", "srk.ctx", "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx", "-n", "name", "-Q")
    read = {name: (tpm.directory / name).read_bytes() for name in ("key.pub", "key.pem", "creation", "digest", "name")}
    public_key = supported_key(load_pem_public_key(read["key.pem"]))
    judgement = judge(evidence(read["key.pub"], read["creation"], read["digest"]), public_key)
    assert judgement.level is AssuranceLevel.CLAIMED
    assert Reason.CREATION_DATA_CONSISTENT in judgement.reasons
    assert parse_tpm2b_public(read["key.pub"]).name == read["name"]
