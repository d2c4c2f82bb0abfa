"""Checks a row of a bulk job against what there is: decided from values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.words import Words
from keystead_enroll.domain.bulk_jobs import BulkJob, FreshRow, RowState, row_key
from keystead_enroll.domain.endorsement_inputs import fingerprint
from keystead_enroll.domain.enrollment import CertificateProfile, Department, Organization
from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.inputs import one_line
from keystead_enroll.domain.names import check_device_name, check_email, plain_host
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.requested_names import AskedNames, Mistakes, requested_names

BY_NAME_UP_TO = AssuranceLevel.CLAIMED
"""What a host name is worth: a machine says it of itself. A profile that demands more is not given away for a name;
deploy/decisions has the page."""
LONGEST_LINE = 128
_ID = re.compile(r"[0-9a-f]{32}")
_DAYS = re.compile(r"\d{1,4}")


@dataclass(frozen=True)
class Book:
    """What the rows of a job are checked against. `profiles` and `departments` by name; `persons` by address."""

    job: BulkJob
    organization: Organization
    departments: Mapping[str, Department] = field(default_factory=dict)
    profiles: Mapping[str, CertificateProfile] = field(default_factory=dict)
    persons: Mapping[str, Person] = field(default_factory=dict)

    @property
    def department(self) -> Department | None:
        """The job's own."""
        return next((each for each in self.departments.values() if each.id == self.job.department_id), None)

    @property
    def profile(self) -> CertificateProfile | None:
        """That of rows that name none."""
        return next((each for each in self.profiles.values() if each.id == self.job.profile_id), None)


def usable(profile: CertificateProfile, job: BulkJob) -> bool:
    """Whether the job's rows may have certificates of this profile."""
    return (
        profile.active
        and profile.certificate_type is job.certificate_type
        and (not profile.organization_ids or job.organization_id in profile.organization_ids)
    )


@dataclass(frozen=True)
class CheckedRow:
    """A row as it will be stored, and what is said of its TPM."""

    row: FreshRow
    label: str = ""
    serial_number: str = ""


def check_row(book: Book, line: int, cells: Mapping[str, str], mistakes: Mistakes) -> CheckedRow:
    """The row of these cells. Whatever is wrong is in `mistakes`, and then the row is of no use."""
    job = book.job
    department = _department(book, cells, mistakes)
    profile = _profile(book, cells, mistakes)
    owner = _owner(book, department, cells, mistakes)
    ek, device_id, name = _machine(cells, mistakes)
    for column in ("label", "serial_number"):
        _check_line(column, cells.get(column, ""), mistakes)
    row = FreshRow(job.id, line, job.organization_id, RowState.WAITING, device_name=name)
    row.ek_sha256, row.named_device_id, row.owner = ek, device_id, owner
    row.department_id = department.id if department else None
    if profile is None:
        return CheckedRow(row)
    row.profile_id = profile.id
    row.key_algorithm = _algorithm(job, profile, cells, mistakes)
    row.term_days = _term(job, profile, cells, mistakes)
    row.by_name = ek is None and device_id is None
    row.device_name = name.lower() if row.by_name else name
    if row.by_name and name and profile.minimum_assurance.rank > BY_NAME_UP_TO.rank:
        mistakes.add(
            "ek_sha256",
            Words(
                "“{profile}” demands proof of which machine it is, and a name is none. Give its TPM, or the id of a "
                "device.",
                profile=profile.name,
            ),
        )
    person = book.persons.get(owner)
    row.owner_name = person.name if person else None
    narrower = department.dns_domains if department else []
    facts = _facts(book.organization, department, owner, person)
    asked = AskedNames(cells.get("dns_names", ""), name, cells.get("serial_number", ""))
    names = requested_names(profile, facts, narrower or book.organization.dns_domains, asked, mistakes)
    row.names = names.to_plain() if names else None
    machine = f"ek:{ek}" if ek else f"id:{device_id}" if device_id else f"name:{name.lower()}"
    row.row_key = row_key(job.organization_id, profile.id, machine)
    return CheckedRow(row, cells.get("label", "") or name[:LONGEST_LINE], cells.get("serial_number", ""))


def _facts(
    organization: Organization, department: Department | None, owner: str, person: Person | None
) -> dict[str, str]:
    facts = {"organization": organization.name, "email": owner, "name": person.name if person else ""}
    facts["upn"] = (person.upn if person else None) or owner
    if department is not None:
        facts["department"] = department.name
    return facts


def _department(book: Book, cells: Mapping[str, str], mistakes: Mistakes) -> Department | None:
    own, said = book.department, cells.get("department", "")
    if not said or (own is not None and own.name == said):
        return own
    found = book.departments.get(said) if own is None else None
    if found is None:
        mistakes.add("department", Words("There is no such department for this job."))
    return found


def _profile(book: Book, cells: Mapping[str, str], mistakes: Mistakes) -> CertificateProfile | None:
    said = cells.get("profile", "")
    found = book.profiles.get(said) if said else book.profile
    if found is None:
        kind = book.job.certificate_type.value
        told = Words("There is no such profile for {type} certificates here.", type=kind)
        if not said:
            told = Words("Name a certificate profile: the job has none that can be used.")
        mistakes.add("profile", told)
    elif found.scope is CertificateScope.USER:
        told = Words("Certificates of “{profile}” are a person's alone: no registered computer takes one.",
                     profile=found.name)  # fmt: skip
        mistakes.add("profile", told)
    return found


def _owner(book: Book, department: Department | None, cells: Mapping[str, str], mistakes: Mistakes) -> str:
    said = cells.get("owner", "").lower() or book.job.owner or ""
    if not said:
        if book.job.certificate_type is CertificateType.CLIENT:
            mistakes.add("owner", Words("Whose certificate is it? Give an e-mail address."))
        return ""
    try:
        address = check_email(said)
    except NameNotAllowed as refusal:
        mistakes.blame("owner", refusal)
        return ""
    narrower = department.email_domains if department else []
    delegated = book.organization.owns_email(address) and (not narrower or email_is_delegated(address, narrower))
    if not delegated and address not in book.persons:
        mistakes.add("owner", Words("The address is in no e-mail domain of the organization, and nobody's here."))
    return address


def _machine(cells: Mapping[str, str], mistakes: Mistakes) -> tuple[str | None, str | None, str]:
    """Endorsement key, device id and name of the machine."""
    ek: str | None = None
    if said := cells.get("ek_sha256", ""):
        try:
            ek = fingerprint(said)
        except ValueError as error:
            mistakes.add("ek_sha256", error.args[0])
    device_id = cells.get("device_id", "").lower() or None
    if device_id is not None and not _ID.fullmatch(device_id):
        mistakes.add("device_id", Words("There is no such device."))
    name = plain_host(cells.get("device_name", "")).strip()
    if not (said or device_id or name):
        mistakes.add("device_name", Words("Which machine is it? Give its name, its TPM, or the id of a device."))
    elif name and len(name) > 253:
        mistakes.add("device_name", Words("A name has {number} letters at most.", number=253))
    elif name and not (said or device_id):
        try:
            check_device_name(name)
        except NameNotAllowed as refusal:
            mistakes.blame("device_name", refusal)
    return ek, device_id, name[:253]


def _check_line(column: str, text: str, mistakes: Mistakes) -> None:
    if len(text) > LONGEST_LINE:
        mistakes.add(column, Words("This has more than {number} letters.", number=LONGEST_LINE))
    try:
        one_line(text)
    except ValueError:
        mistakes.add(column, Words("This has a tab or a line break, and is one line."))


def _algorithm(
    job: BulkJob, profile: CertificateProfile, cells: Mapping[str, str], mistakes: Mistakes
) -> KeyAlgorithm | None:
    said = cells.get("key_algorithm", "").lower()
    wanted = said or (job.key_algorithm.value if job.key_algorithm else "")
    offered = {each.value: each for each in map(KeyAlgorithm, profile.key_algorithms)}
    if not wanted:
        return next(iter(offered.values()))
    if wanted not in offered:
        mistakes.add("key_algorithm", _offers(profile, offered))
    return offered.get(wanted)


def _term(job: BulkJob, profile: CertificateProfile, cells: Mapping[str, str], mistakes: Mistakes) -> int | None:
    said = cells.get("term_days", "")
    if not said:
        days = job.term_days or profile.term_days[0]
    else:
        days = int(said) if _DAYS.fullmatch(said) and said.isascii() else -1
    if days not in profile.term_days:
        mistakes.add("term_days", _offers(profile, profile.term_days))
        return None
    return days


def _offers(profile: CertificateProfile, values: object) -> Words:
    told = ", ".join(map(str, values))  # type: ignore[call-overload]
    return Words("“{profile}” has: {values}.", profile=profile.name, values=told)
