from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.support import software_tpm as soft

from keystead_enroll.domain.errors import EvidenceMalformed
from keystead_enroll.domain.tpm_attest import (
    Certified,
    Created,
    parse_signature,
    parse_tpm2b_attest,
    parse_tpm2b_creation_data,
)
from keystead_enroll.domain.tpm_public import ALG_NULL, parse_tpm2b_public
from keystead_enroll.domain.tpm_reader import StructureTooLong, StructureTooShort

TPM = soft.SoftwareTpm()
KEY = soft.application_key()
CREATION_DATA, CREATION, CREATION_SIGNATURE = TPM.creation()
CERTIFICATION, SIGNATURE = TPM.certify(KEY, b"nonce")
RSA_TPM = soft.SoftwareTpm(soft.ek(soft.rsa_key()), soft.ak(soft.rsa_key(which=1)))

Parser = Callable[[bytes], object]
PARSERS: dict[str, tuple[Parser, bytes]] = {
    "public area": (parse_tpm2b_public, TPM.endorsement.public),
    "public area, RSA": (parse_tpm2b_public, RSA_TPM.endorsement.public),
    "certification": (parse_tpm2b_attest, CERTIFICATION),
    "creation": (parse_tpm2b_attest, CREATION),
    "creation data": (parse_tpm2b_creation_data, CREATION_DATA),
    "ECDSA signature": (parse_signature, SIGNATURE),
    "RSASSA signature": (parse_signature, RSA_TPM.creation()[2]),
}
EACH = pytest.mark.parametrize(("parse", "octets"), PARSERS.values(), ids=PARSERS)


def test_a_certification_is_read_whole() -> None:
    attest = parse_tpm2b_attest(CERTIFICATION)
    assert (attest.magic, attest.kind, attest.extra_data) == (0xFF544347, 0x8017, b"nonce")
    assert attest.attested == Certified(KEY.name, KEY.name)
    clock = attest.clock
    assert (clock.milliseconds, clock.reset_count, clock.restart_count, clock.safe) == (1000, 7, 1, True)
    assert clock.firmware == 0x0001000200030004
    assert soft.tpm2b(attest.signed) == CERTIFICATION


def test_a_creation_is_read_whole() -> None:
    attest = parse_tpm2b_attest(CREATION)
    assert isinstance(attest.attested, Created)
    assert attest.attested.name == TPM.attestation.name
    data = parse_tpm2b_creation_data(CREATION_DATA)
    assert (data.locality, data.parent_name_alg, len(data.parent_name), data.outside_info) == (1, 0x000B, 34, b"")
    assert soft.tpm2b(data.raw) == CREATION_DATA


def test_an_attestation_of_another_type_is_read_up_to_what_it_attests() -> None:
    quote = parse_tpm2b_attest(TPM.certify(KEY, b"nonce", kind=soft.QUOTE)[0])
    assert (quote.kind, quote.attested) == (soft.QUOTE, None)


def test_a_storage_key_tells_its_cipher_and_a_signing_key_its_scheme() -> None:
    stored = parse_tpm2b_public(soft.ek(ec.generate_private_key(ec.SECP384R1())).public)
    assert (stored.parameters.cipher, stored.parameters.cipher_bits, stored.parameters.cipher_mode) == (6, 256, 0x43)
    assert stored.parameters.scheme == stored.parameters.scheme_hash == ALG_NULL
    signing = parse_tpm2b_public(RSA_TPM.attestation.public)
    assert (signing.parameters.scheme, signing.parameters.scheme_hash) == (0x0014, 0x000B)
    assert (signing.parameters.cipher, signing.parameters.cipher_bits) == (ALG_NULL, 0)
    assert signing.name == RSA_TPM.attestation.name


@EACH
def test_a_structure_cut_anywhere_is_too_short_or_malformed(parse: Parser, octets: bytes) -> None:
    for length in range(len(octets)):
        with pytest.raises(EvidenceMalformed):
            parse(octets[:length])


@EACH
def test_a_structure_whose_size_is_cut_with_it_ends_too_early(parse: Parser, octets: bytes) -> None:
    if parse is parse_signature:
        pytest.skip("a TPMT has no size")
    for length in range(1, len(octets) - 2):
        with pytest.raises(EvidenceMalformed):
            parse(soft.tpm2b(octets[2 : 2 + length]))


@EACH
def test_octets_after_a_structure_are_refused(parse: Parser, octets: bytes) -> None:
    with pytest.raises(StructureTooLong):
        parse(octets + b"\0")
    if parse is not parse_signature:
        with pytest.raises(StructureTooLong):
            parse(soft.tpm2b(octets[2:] + b"\0"))


@EACH
def test_a_structure_without_its_last_octet_is_too_short(parse: Parser, octets: bytes) -> None:
    with pytest.raises(StructureTooShort):
        parse(octets[:-1])


@EACH
def test_a_structure_of_any_size_is_refused_at_once(parse: Parser, octets: bytes) -> None:
    with pytest.raises(EvidenceMalformed):
        parse(b"\xff" * 100_000)


@pytest.mark.parametrize(("parse", "octets"), PARSERS.values(), ids=PARSERS)
@given(data=st.data())
def test_changed_octets_are_read_or_malformed(parse: Parser, octets: bytes, data: st.DataObject) -> None:
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(changed))
    except EvidenceMalformed:
        return


@pytest.mark.parametrize("parse", [parse_tpm2b_public, parse_tpm2b_attest, parse_tpm2b_creation_data, parse_signature])
@given(octets=st.binary(max_size=300), sized=st.booleans())
def test_any_octets_are_read_or_malformed(parse: Parser, octets: bytes, sized: bool) -> None:
    try:
        parse(soft.tpm2b(octets) if sized else octets)
    except EvidenceMalformed:
        return


@pytest.mark.parametrize(
    "octets",
    [b"\0\x16" + SIGNATURE[2:], SIGNATURE[:2] + b"\0\x12" + SIGNATURE[4:]],
    ids=["RSAPSS", "a hash that nobody uses"],
)
def test_a_signature_of_another_kind_is_malformed(octets: bytes) -> None:
    with pytest.raises(EvidenceMalformed, match=r"scheme|hash"):
        parse_signature(octets)
