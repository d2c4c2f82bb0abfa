"""The manufacturers' certificates as they lie in a folder."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import NOW, Authority

from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.domain.attestation import Standing
from keystead_enroll.domain.endorsement import EkRoots, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

ROOT = Authority.root()
CA = ROOT.authority()
OTHER = Authority.root("Other Root", which=92)
EK = SoftwareTpm().endorsement


def pem(*certificates: bytes) -> bytes:
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(each) + b"-----END CERTIFICATE-----\n"
        for each in certificates
    )


def test_without_a_folder_there_is_no_manufacturer() -> None:
    assert load_roots(None) == EkRoots()


def test_certificates_in_pem_and_der_are_found_in_the_folder_and_below_it(tmp_path: Path) -> None:
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / "root.cer").write_bytes(ROOT.der)
    (tmp_path / "more.PEM").write_bytes(b"Other and CA\n" + pem(OTHER.der, CA.der))
    (tmp_path / "README.txt").write_text("no certificate")
    loaded = load_roots(tmp_path)
    assert {each.raw for each in loaded.roots} == {ROOT.der, OTHER.der}
    assert [each.raw for each in loaded.intermediates] == [CA.der]


def test_what_another_signed_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "ca.der").write_bytes(CA.der)
    assert load_roots(tmp_path) == EkRoots((), (read_certificate(CA.der),))


@pytest.mark.parametrize(
    "content", [b"", b"nothing", pem(b"\x30\x00"), pem(ROOT.der)[:200] + b"-----END CERTIFICATE-----"]
)
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "root.pem").write_bytes(content)
    with pytest.raises(EkRootsUnusable, match=r"root\.pem"):
        load_roots(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EkRootsUnusable, match="nowhere"):
        load_roots(tmp_path / "nowhere")


def test_a_revocation_list_is_taken_from_who_signed_it(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pem(ROOT.der, CA.der))
    (tmp_path / "ca.crl").write_bytes(CA.revoked(7, 9))
    loaded = load_roots(tmp_path)
    assert loaded.revoked == {spki_sha256(CA.key.public_key()): {7, 9}}
    (tmp_path / "ca.crl").write_bytes(OTHER.revoked(7))
    with pytest.raises(EkRootsUnusable, match=r"ca\.crl is signed by none"):
        load_roots(tmp_path)


@pytest.mark.parametrize("content", [b"", b"nothing", CA.der])
def test_a_file_that_is_no_revocation_list_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.crl").write_bytes(content)
    with pytest.raises(EkRootsUnusable, match=r"ca\.crl is no revocation list"):
        load_roots(tmp_path)


def test_an_intermediate_of_the_folder_completes_a_chain_and_is_not_trusted_alone() -> None:
    key, certificates = parse_tpm2b_public(EK.public), [read_certificate(CA.certify(EK.key))]
    root, ca = read_certificate(ROOT.der), read_certificate(CA.der)

    def standing(policy: EndorsementPolicy) -> Standing:
        return judge_endorsement(key, certificates, policy, NOW).standing

    assert standing(EndorsementPolicy([root], intermediates=[ca])) is Standing.VENDOR
    assert standing(EndorsementPolicy([root])) is Standing.UNKNOWN
    assert standing(EndorsementPolicy(intermediates=[ca])) is Standing.UNKNOWN
