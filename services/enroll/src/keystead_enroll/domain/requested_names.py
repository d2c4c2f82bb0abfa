"""The names that somebody asks for, be it in a form or in a row of a bulk job: built as the profile says, each in a
domain that is the organization's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.device_name_pattern import DeviceNamePattern
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.name_templates import NameTemplate, build_names
from keystead_enroll.domain.names import (
    CertificateNames,
    check_attribute,
    check_device_name,
    domain_is_delegated,
    plain_host,
    shown,
)

_TOLD = 3
_SEPARATORS = re.compile(r"[\s,;]+")
_pattern = lru_cache(maxsize=64)(DeviceNamePattern.parse)
_template = lru_cache(maxsize=64)(NameTemplate.parse)
"""Rows by the thousand are of the same few profiles."""


@dataclass
class Mistakes:
    """What is wrong, field by field; the first mistake of each counts."""

    fields: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        """One more."""
        self.fields.setdefault(name, text)

    def blame(self, name: str, refusal: NameNotAllowed) -> None:
        """As the refusal of a name says."""
        self.add(name, Sentences(refusal.detail, refusal.advice))


@dataclass(frozen=True)
class AskedNames:
    """What was typed; which of it counts depends on the certificate type."""

    dns_names: str = ""
    device_name: str = ""
    serial_number: str = ""


def requested_names(
    profile: CertificateProfile,
    known: Mapping[str, str],
    domains: Sequence[str],
    asked: AskedNames,
    mistakes: Mistakes,
) -> CertificateNames | None:
    """The names of the certificate, or None and why not in `mistakes`: the fields `dns_names`, `device_name`,
    `serial_number`, or `form` for what nobody typed. `known` are the facts that are not asked for; hosts have to lie
    in `domains`."""
    facts = dict(known)
    extra: list[str] = []
    blamed = "form"
    if profile.certificate_type is CertificateType.SSL:
        blamed = "dns_names"
        extra = _dns_names(domains, asked, mistakes)
        facts["fqdn"] = extra[0] if extra else ""
    elif profile.certificate_type is CertificateType.DEVICE:
        blamed = "device_name"
        facts |= _device_facts(profile, domains, asked, mistakes)
    if blamed in mistakes.fields or "serial_number" in mistakes.fields:
        return None
    template = _template(profile.certificate_type, profile.subject, tuple(profile.subject_alternative_names))
    try:
        names = build_names(template, _only(template, facts), extra)
    except NameNotAllowed as refusal:
        mistakes.blame(blamed, refusal)
        return None
    if template.wants_host_name and not names.dns_names:
        domain = next(iter(domains), "example.org")
        name = facts.get("device_name", "")
        mistakes.add(
            blamed,
            Words(
                "{name} has no domain. Give the whole name, such as {whole}.{domain}.",
                name=shown(name),
                whole=name,
                domain=domain,
            ),
        )
        return None
    return names


def _only(template: NameTemplate, facts: Mapping[str, str]) -> dict[str, str]:
    variables = template.variables
    return {name: value for name, value in facts.items() if name in variables}


def _dns_names(domains: Sequence[str], asked: AskedNames, mistakes: Mistakes) -> list[str]:
    names = [plain_host(name).lower().rstrip(".") for name in _SEPARATORS.split(asked.dns_names) if name]
    if not names:
        mistakes.add("dns_names", Words("Give at least one server name, such as www.example.org."))
    _refuse_strangers(domains, names, "dns_names", mistakes)
    return names


def _refuse_strangers(domains: Sequence[str], names: list[str], blamed: str, mistakes: Mistakes) -> None:
    """Names all that lie elsewhere, and where they may lie."""
    strangers = [shown(name) for name in names if not domain_is_delegated(name, domains)]
    if not strangers:
        return
    told, more = ", ".join(strangers[:_TOLD]), len(strangers) - _TOLD
    if more > 0:
        told = Words("{names} and {more} more", names=told, more=more)
    if domains:
        mistake = Words.plural(
            "{names} is not in a domain of your organization: {domains}.",
            "{names} are not in a domain of your organization: {domains}.",
            len(strangers),
            names=told,
            domains=", ".join(domains),
        )
    else:
        mistake = Words.plural(
            "{names} is not in a domain of your organization, which has none here yet.",
            "{names} are not in a domain of your organization, which has none here yet.",
            len(strangers),
            names=told,
        )
    mistakes.add(blamed, mistake)


def _device_facts(
    profile: CertificateProfile, domains: Sequence[str], asked: AskedNames, mistakes: Mistakes
) -> dict[str, str]:
    name, serial_number = plain_host(asked.device_name).strip(), asked.serial_number.strip()
    try:
        if not name:
            mistakes.add("device_name", Words("Give the device's name."))
        elif not profile.device_name_pattern:
            check_device_name(name)
        elif not _pattern(profile.device_name_pattern).matches(name):
            raise NameNotAllowed(
                Words("{name} is no device name here", name=shown(name)),
                Words("Ask your administrator how to name it."),
            )
    except NameNotAllowed as refusal:
        mistakes.blame("device_name", refusal)
    try:
        if serial_number:
            check_attribute("SERIALNUMBER", serial_number)
    except NameNotAllowed:
        mistakes.add(
            "serial_number",
            Words(
                "{serial_number} is no serial number. Use letters, digits and hyphens.",
                serial_number=shown(serial_number),
            ),
        )
    facts = {"device_name": name, "serial_number": serial_number}
    if "." in name:
        facts["fqdn"] = name.lower()
        _refuse_strangers(domains, [name], "device_name", mistakes)
    return facts
