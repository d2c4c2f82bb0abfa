"""The TPM's identity by the Platform Crypto Provider, over `tests.support.fake_ncrypt`, before the judge of enroll."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support import software_tpm as tpm
from tests.support.agent_server import Ca
from tests.support.fake_ncrypt import serialized_certificate
from tests.support.pcp_identity import NONCE, ORDER, SECRET, challenged, identities, identity, spki, store
from tests.support.windows_computer import WindowsComputer

from keystead_agent.attestation import Identity
from keystead_agent.errors import ChallengeForeign, EndorsementUnusable, TpmFailed
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore._cng_provider import shared_descriptor
from keystead_agent.keystore.persisted import PersistedKey
from keystead_contracts.agent import TpmEvidence
from keystead_contracts.attestation import qualifying_data
from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    Challenge,
    Question,
    judge_activation,
    judge_attestation_key,
    judge_certification,
    judge_endorsement_key,
)
from keystead_enroll.domain.attestation_checks import Findings, failures
from keystead_enroll.domain.attestation_evidence import read_certification, read_identity
from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

STRICT, WITH_SHA1 = AttestationPolicy(), AttestationPolicy(allow_sha1=True)


@pytest.fixture
def computer(tmp_path: Path) -> WindowsComputer:
    return WindowsComputer(tmp_path, machine_keys=True)


def judged(computer: WindowsComputer, made: Identity, algorithm: KeyAlgorithm, policy: AttestationPolicy) -> Findings:
    """What the server finds of a new key that `made` certified."""
    stored = store(computer).generate(algorithm)
    assert isinstance(stored.evidence, TpmEvidence)
    der = spki(computer, stored.blob)
    said = made.certify(stored.blob, der, NONCE, ORDER)
    certified, name = read_certification(stored.evidence.public_area, said)
    signer = parse_tpm2b_public(base64.b64decode(made.key.public_area))
    assert name == signer.name
    question = Question(qualifying_data(b"n" * 32, ORDER, der), open=True)
    key = store(computer).load(stored.blob).public_key()
    return judge_certification(certified, signer, question, key, policy)


# What a server is shown


def test_the_judge_believes_an_identity_and_its_endorsement_key(computer: WindowsComputer) -> None:
    sent = read_identity(identity(computer).key)
    assert failures(judge_attestation_key(sent.attestation_key, STRICT)) == ()
    assert failures(judge_endorsement_key(sent.endorsement_key, denied=False)) == ()


def test_a_challenge_is_opened(computer: WindowsComputer) -> None:
    made = identity(computer)
    answer = made.solve(challenged(made))
    sent = read_identity(made.key)
    endorsement, attestation = sent.endorsement_key, sent.attestation_key.key
    asked = Challenge(SECRET, endorsement.name, attestation.name, open=True)
    assert failures(judge_activation(asked, base64.b64decode(answer.secret), endorsement, attestation)) == ()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
def test_the_judge_believes_what_it_says_of_keys(
    computer: WindowsComputer, algorithm: KeyAlgorithm, whole: bool
) -> None:
    computer.ncrypt.whole_signatures = whole
    assert failures(judged(computer, identity(computer), algorithm, STRICT)) == ()
    assert computer.ncrypt.open_handles == 0


def test_an_old_windows_makes_an_identity_that_needs_an_exception(computer: WindowsComputer) -> None:
    computer.ncrypt.tells_hash = False
    made = identity(computer)
    key = read_identity(made.key).attestation_key
    codes = {finding.code for finding in failures(judge_attestation_key(key, STRICT))}
    assert codes == {"attestation_key.scheme_hash.failed"}
    assert failures(judge_attestation_key(key, WITH_SHA1)) == ()
    assert failures(judged(computer, made, KeyAlgorithm.EC_P256, STRICT)) != ()
    assert failures(judged(computer, made, KeyAlgorithm.EC_P256, WITH_SHA1)) == ()


def test_the_certificates_of_stores_and_registry_are_shown_once(computer: WindowsComputer) -> None:
    ca = Ca()
    first, second, third = (
        ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), name).public_bytes(serialization.Encoding.DER)
        for name in ("one", "two", "three")
    )
    computer.ncrypt.stores = {
        "PCP_RSA_EKNVCERT": lambda: computer.crypt32.handed_over([first]),
        "PCP_EKCERT": lambda: computer.crypt32.handed_over([first, second]),
        "PCP_INTERMEDIATE_CA_EKCERT": lambda: 0,
    }
    computer.registry = [serialized_certificate(second), b"damaged", serialized_certificate(third)]
    shown = [base64.b64decode(each.content) for each in identity(computer).key.endorsement_certificates]
    assert shown == [first, second, third]
    assert len(x509.load_der_x509_certificate(shown[0]).subject) == 1


def test_a_store_is_closed_whatever_is_in_it(computer: WindowsComputer) -> None:
    handed: list[int] = []

    def hand_over() -> int:
        handed.append(computer.crypt32.handed_over([bytes([number]) * 9 for number in range(40)]))
        return handed[-1]

    computer.ncrypt.stores = {"PCP_EKNVCERT": hand_over, "PCP_EKCERT": hand_over}
    computer.registry = [serialized_certificate(b"another")]
    assert len(store(computer).endorsement().certificates) == 32
    assert handed
    assert computer.crypt32.open_handles() == 0


def test_who_is_no_administrator_finds_what_the_registry_has(computer: WindowsComputer) -> None:
    computer.ncrypt.stores = {"PCP_EKCERT": lambda: computer.crypt32.handed_over([b"for administrators"])}
    computer.ncrypt.administrator = False
    computer.registry = [serialized_certificate(b"for all")]
    assert [each.content for each in store(computer).endorsement().certificates] == [b"for all"]


# What it takes


def test_who_is_at_the_computer_may_use_the_machines_identity(computer: WindowsComputer) -> None:
    made = identity(computer)
    assert made.shared is not None
    told = [call for call in computer.ncrypt.calls if call[:2] == ("set_property", n.SECURITY_DESCRIPTOR)]
    assert [call[2] for call in told] == [shared_descriptor()]


def test_the_access_list_is_for_system_administrators_and_who_is_logged_in() -> None:
    octets = shared_descriptor()
    assert octets[:20] == struct.pack("<BBHIIII", 1, 0, 0x9004, 0, 0, 0, 20)
    assert octets[20:28] == struct.pack("<BBHHH", 2, 0, len(octets) - 20, 3, 0)
    system, administrators, interactive = (
        "010100000000000512000000",
        "01020000000000052000000020020000",
        "010100000000000504000000",
    )
    assert octets[28:].hex() == (
        f"0000140000000010{system}0000180000000010{administrators}0000140000000080{interactive}"
    )


def test_an_identity_is_made_once_and_a_lost_one_again(computer: WindowsComputer) -> None:
    first = identity(computer)
    computer.restart()
    assert identity(computer).key == first.key
    computer.ncrypt.clear()
    second = identity(computer)
    assert second.key != first.key
    assert PersistedKey.read(second.blob).name in computer.ncrypt.kept()


def test_a_provider_that_makes_no_identities_still_has_keys(computer: WindowsComputer) -> None:
    computer.ncrypt.failing["set_property"] = lambda name, _: n.NOT_SUPPORTED if name == n.PCP_KEY_USAGE_POLICY else 0
    with computer.machine.keys.changing():
        assert identities(computer).obtain() is None
    assert computer.ncrypt.kept() == set()
    assert store(computer).generate(KeyAlgorithm.EC_P256).blob


@pytest.mark.parametrize(
    "answer",
    [
        n.NOT_SUPPORTED,
        lambda name: n.NOT_SUPPORTED if name == n.PCP_EK_PUBLIC else 0,
        lambda name: n.NOT_SUPPORTED if name == n.PCP_ID_BINDING else 0,
        lambda name: n.NOT_SUPPORTED if name == n.PCP_KEY_USAGE_POLICY else 0,
    ],
)
def test_nothing_is_left_of_an_identity_that_did_not_come_out_right(
    computer: WindowsComputer, answer: int | Callable[..., int]
) -> None:
    computer.ncrypt.failing["get_property"] = answer
    with computer.machine.keys.changing():
        assert identities(computer).obtain() is None
    assert computer.ncrypt.kept() == set()
    assert computer.ncrypt.open_handles == 0


def test_an_id_binding_of_another_key_makes_no_identity(
    computer: WindowsComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tpm.SoftwareTpm(computer.ncrypt.endorsement, tpm.ak(tpm.rsa_key(which=4)))
    binding = other.attestation.public + b"".join(other.creation())
    monkeypatch.setattr(computer.ncrypt, "_binding", lambda _: binding)
    with computer.machine.keys.changing(), pytest.raises(TpmFailed, match="another key"):
        identities(computer).obtain()
    assert computer.ncrypt.kept() == set()
    assert computer.machine.attestation() is None


@pytest.mark.parametrize("name", [n.PCP_RSA_SCHEME, n.PCP_RSA_SCHEME_HASH, n.SECURITY_DESCRIPTOR])
def test_a_provider_that_cannot_be_told_all_makes_an_identity_and_one_that_fails_none(
    computer: WindowsComputer, name: str
) -> None:
    computer.ncrypt.failing["set_property"] = lambda told, _: n.FAIL if told == name else 0
    assert computer.machine.attestation() is None
    computer.ncrypt.failing["set_property"] = lambda told, _: n.NOT_SUPPORTED if told == name else 0
    assert computer.machine.attestation() is not None


def test_a_crash_leaves_no_identity_that_nobody_knows(computer: WindowsComputer) -> None:
    class PowerCut(BaseException):
        pass

    cut = False

    def before(call: str) -> None:
        nonlocal cut
        cut = cut or call == "finalized"
        if cut:
            raise PowerCut

    computer.ncrypt.before = before
    with pytest.raises(PowerCut), computer.machine.keys.changing():
        identities(computer).obtain()
    assert len(computer.ncrypt.kept()) == 1
    computer.ncrypt.before = lambda _: None
    computer.restart()
    computer.recover()
    assert computer.ncrypt.kept() == set()


def test_without_an_administrators_rights_no_challenge_is_opened(computer: WindowsComputer) -> None:
    made = identity(computer)
    computer.ncrypt.administrator = False
    with pytest.raises(EndorsementUnusable, match="blocks"):
        made.solve(challenged(made))


def test_a_challenge_for_another_tpm_or_key_is_told_apart(computer: WindowsComputer) -> None:
    made = identity(computer)
    sent = read_identity(made.key)
    other = tpm.ek(tpm.rsa_key(which=3))
    for endorsement, name in (
        (parse_tpm2b_public(other.public), sent.attestation_key.key.name),
        (sent.endorsement_key, b"\0\x0b" + bytes(32)),
    ):
        credential = make_credential(endorsement, name, SECRET)
        with pytest.raises(ChallengeForeign):
            made.open(credential.blob, credential.encrypted_secret)
    computer.ncrypt.endorsement = other
    with pytest.raises(EndorsementUnusable, match="another endorsement key"):
        made.solve(challenged(made))
