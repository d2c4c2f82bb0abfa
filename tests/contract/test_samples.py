"""What any release has ever sent is understood for ever."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import keystead_contracts
from keystead_contracts.agent import DeviceJob, EnrollLink, Failed, MachineInfo, Report
from keystead_contracts.base import AssuranceLevel, Message
from keystead_contracts.events import Envelope, LoginRequested, parse_fact
from keystead_contracts.identity import IdentityClaims

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


def _classes() -> dict[str, type[Message]]:
    for module in pkgutil.iter_modules(keystead_contracts.__path__):
        importlib.import_module(f"keystead_contracts.{module.name}")
    found: dict[str, type[Message]] = {}
    waiting = list(Message.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("keystead_contracts."):
            found[cls.__name__] = cls
    return found


def _class_of(path: Path) -> type[Message]:
    return _classes()[path.name.split(".")[0]]


def _with_unknown_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_unknown_fields(item) for name, item in value.items()} | {"added_later": {"x": 1}}
    if isinstance(value, list):
        return [_with_unknown_fields(item) for item in value]
    return value


def _has(parsed: Any, sample: Any) -> bool:
    """Whether everything in the sample came through."""
    if isinstance(sample, dict):
        return all(name in parsed and _has(parsed[name], item) for name, item in sample.items())
    return bool(parsed == sample)


def test_every_message_class_has_a_sample() -> None:
    assert {path.name.split(".")[0] for path in SAMPLES} == set(_classes())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_golden_sample_is_understood_whole(path: Path) -> None:
    sample = json.loads(path.read_text())
    parsed = _class_of(path).model_validate_json(path.read_text()).model_dump(mode="json")
    assert _has(parsed, sample)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_fields_of_a_newer_sender_are_ignored(path: Path) -> None:
    sample = json.loads(path.read_text())
    if path.name.startswith(("Envelope", "Problem", "IdentityClaims", "IdentityProvider")):
        newer = sample | {"added_later": {"x": 1}}  # they carry open dictionaries, in which nothing is unknown
    else:
        newer = _with_unknown_fields(sample)
    cls = _class_of(path)
    assert cls.model_validate(newer) == cls.model_validate(sample)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_message_cannot_be_changed(path: Path) -> None:
    message = _class_of(path).model_validate_json(path.read_text())
    for name in type(message).model_fields:
        with pytest.raises(ValidationError):
            setattr(message, name, None)


def test_a_fact_travels_in_its_envelope() -> None:
    path = next(path for path in SAMPLES if path.stem == "Envelope")
    assert isinstance(parse_fact(Envelope.model_validate_json(path.read_text())), LoginRequested)


def test_a_fact_of_a_newer_type_is_none() -> None:
    path = next(path for path in SAMPLES if path.stem == "Envelope")
    envelope = json.loads(path.read_text()) | {"fact": {"type": "coffee_made"}}
    assert parse_fact(Envelope.model_validate(envelope)) is None


def test_a_known_fact_with_a_malformed_body_is_refused() -> None:
    path = next(path for path in SAMPLES if path.stem == "Envelope")
    envelope = json.loads(path.read_text()) | {"fact": {"type": "login_requested"}}
    with pytest.raises(ValidationError):
        parse_fact(Envelope.model_validate(envelope))


def test_a_link_reads_back_as_it_was_written() -> None:
    link = EnrollLink(server="https://enroll.example.org:8443", claim="a-_" * 10)
    assert EnrollLink.parse(f"  {link}\n") == link


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://enroll?server=https://a&claim=c",
        "keystead://steal?server=https://a&claim=c",
        "keystead://enroll?claim=c",
        "keystead://enroll?server=ftp://a&claim=c",
        "keystead://enroll?server=https://a/path&claim=c",
        "keystead://enroll?server=https://good@evil&claim=c",
        "keystead://enroll?server=https://a%3Fq&claim=c",
        "keystead://enroll?server=https://a",
        f"keystead://enroll?server=https://a&claim={'c' * 129}",
    ],
)
def test_a_link_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="link"):
        EnrollLink.parse(text)


def test_unknown_kinds_of_work_and_outcomes_are_refused() -> None:
    job = json.loads(next(p for p in SAMPLES if p.stem == "DeviceJob").read_text())
    with pytest.raises(ValidationError):
        DeviceJob.model_validate(job | {"payload": {"kind": "format_disk"}})
    with pytest.raises(ValidationError):
        Report.model_validate({"job_id": "1", "body": {"outcome": "done"}})


def test_control_characters_in_text_for_people_are_replaced() -> None:
    failed = Failed(code="internal", detail="a\0b\r\nc\td")
    assert failed.detail == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}\nc\td"
    machine = MachineInfo(hostname="h\0", platform="p\x1b", agent_version="1", key_provider="software")
    assert "\0" not in machine.hostname
    assert "\x1b" not in machine.platform


def test_invisible_characters_in_text_for_people_are_replaced() -> None:
    said = Failed(code="internal", detail="to\u202efdp.exe \u200b\U000e0041\ue000 ok \N{SNOWMAN}")
    mark = "\N{REPLACEMENT CHARACTER}"
    assert said.detail == f"to{mark}fdp.exe {mark}{mark}{mark} ok \N{SNOWMAN}"


@pytest.mark.parametrize("change", [{"jti": "short"}, {"jti": "j" * 65}, {"name": "n" * 257}, {"sub": "no address"}])
def test_identity_claims_out_of_bounds_are_refused(change: dict[str, str]) -> None:
    claims = json.loads(next(p for p in SAMPLES if p.stem == "IdentityClaims").read_text())
    with pytest.raises(ValidationError):
        IdentityClaims.model_validate(claims | change)


def test_assurance_levels_are_ordered() -> None:
    assert [level.rank for level in AssuranceLevel] == [0, 1, 2, 3, 4]
    assert AssuranceLevel.SOFTWARE.rank < AssuranceLevel.CLAIMED.rank < AssuranceLevel.VENDOR.rank
