"""Mutilates what TPMs say, and has it read and judged: a reader refuses, or reads; it never breaks and never hangs.

`make fuzz-tpm` runs this for ten minutes. The seed is printed; with `--seed` the same comes again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError
from tests.support import software_tpm as soft
from tests.support.evidence_samples import evidence_sample
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import Authority
from tests.unit.agent.test_pcp_blobs import READERS as PCP_READERS

from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.endorsement_certificate import read_certificate, read_stored
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_again
from keystead_enroll.domain.tpm_attest import (
    parse_attest,
    parse_signature,
    parse_tpm2b_attest,
    parse_tpm2b_creation_data,
)
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

Reader = Callable[[bytes], object]
HANGS = 2.0
"""Seconds for one sample, after which it counts as hanging; sound ones take a thousandth."""
_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\x80\0", b"\0\0\0\0", b"\xff\xff\xff\xff")


def readers() -> dict[str, tuple[Reader, list[bytes]]]:
    """Each reader, with what it reads when nobody lies."""
    tpm, rsa_tpm = SoftwareTpm(), SoftwareTpm(soft.ek(soft.rsa_key(which=1)), soft.ak(soft.rsa_key(which=2)))
    keys = [soft.application_key(), soft.application_key(soft.rsa_key(which=3))]
    created = [each.creation() for each in (tpm, rsa_tpm)]
    said = [each.certify(key, bytes(32)) for each, key in zip((tpm, rsa_tpm), keys, strict=True)]
    maker = Authority.root()
    certificates = [maker.der, *(maker.certify(each.endorsement.key) for each in (tpm, rsa_tpm))]
    publics = [part.public for each in (tpm, rsa_tpm) for part in (each.endorsement, each.attestation)]
    mine: dict[str, tuple[Reader, list[bytes]]] = {
        "public area": (parse_tpm2b_public, publics + [key.public for key in keys]),
        "creation data": (parse_tpm2b_creation_data, [data for data, _, _ in created]),
        "sized statement": (parse_tpm2b_attest, [statement for statement, _ in said]),
        "statement": (parse_attest, [statement[2:] for statement, _ in said]),
        "signature": (parse_signature, [signature for _, signature in said]),
        "certificate": (read_certificate, certificates),
        "what NV indices hold": (lambda octets: read_stored([(0x01C00002, octets)]), certificates),
        "evidence": (_judge, [evidence_sample().model_dump_json().encode()]),
    }
    return mine | {f"PCP {name}": (reader, [sample]) for name, (reader, sample) in PCP_READERS.items()}


def _judge(text: bytes) -> object:
    return judge_again(EvidenceRecord.model_validate_json(text))


def mutilated(sample: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """`sample` with one to four changes, some with parts of `others`."""
    octets = bytearray(sample)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(octets) + 1)
        until = min(len(octets), at + dice.choice((1, 1, 2, 4, 16, 200)))
        match dice.randrange(7):
            case 0:
                octets[at:until] = dice.randbytes(until - at)
            case 1 if at < len(octets):
                octets[at] ^= 1 << dice.randrange(8)
            case 2:
                del octets[at:until]
            case 3:
                del octets[at:]
            case 4:
                number = dice.choice(_NUMBERS)
                octets[at : at + len(number)] = number
            case 5:
                octets[at:at] = octets[at:until] * dice.choice((1, 2, 50))
            case _:
                other = dice.choice(others)
                begin = dice.randrange(len(other) + 1)
                octets[at:until] = other[begin : begin + dice.choice((2, 8, 64))]
    return bytes(octets)


@dataclass
class Outcome:
    """How often each reader read and refused, the longest that one sample took, and what must not be."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)


def _is_refusal(reader: str, error: Exception) -> bool:
    """The agent's readers of Windows' blobs refuse by ValueError, the server's by what its web edge translates."""
    return type(error) is ValueError if reader.startswith("PCP") else isinstance(error, Refusal | ValidationError)


def fuzz(seed: int, until: Callable[[int], bool]) -> Outcome:
    """Gives every reader in turn a mutilated sample until `until` says so of the number of rounds."""
    dice, outcome, rounds, them = random.Random(seed), Outcome(), 0, readers()
    while not until(rounds):
        for name, (reader, samples) in them.items():
            sample = mutilated(dice.choice(samples), samples, dice)
            begun = time.perf_counter()
            try:
                reader(sample)
                outcome.read[name] += 1
            except Exception as error:
                if _is_refusal(name, error):
                    outcome.refused[name] += 1
                else:
                    outcome.found.append(f"{name}: {type(error).__name__}: {error}: {sample.hex()}")
            took = time.perf_counter() - begun
            outcome.slowest[name] = max(took, outcome.slowest.get(name, 0.0))
            if took > HANGS:
                outcome.found.append(f"{name}: {took:.1f} s: {sample.hex()}")
        rounds += 1
    return outcome


def main() -> int:
    """Runs for `--seconds`; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    ends = time.monotonic() + arguments.seconds
    outcome = fuzz(arguments.seed, lambda _: time.monotonic() > ends)
    for name, slowest in outcome.slowest.items():
        counts = f"{outcome.read[name]:9,} read {outcome.refused[name]:9,} refused"
        print(f"{name:28} {counts}   slowest {slowest * 1000:7.1f} ms")
    for each in outcome.found[:20]:
        print(f"FOUND {each[:4000]}")
    return 1 if outcome.found else 0


if __name__ == "__main__":
    raise SystemExit(main())
