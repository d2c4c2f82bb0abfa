"""Choosing an organization or a department of it in one question, and roles in such places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Grant, Role
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.ports import Transaction
from keystead_enroll.web.console.cells import Cell, listed, several, text
from keystead_enroll.web.console.form_widgets import FieldButton, Fieldset, FormField, Option
from keystead_enroll.web.console.mistakes import Wrong
from keystead_enroll.web.console.tools import Posted

PLACE = "place"
AT_PLACE: Mapping[str, str] = {"organization_id": PLACE, "department_id": PLACE}
"""Mistakes about organization and department stand beside the one question about both."""
AT_ROLES: Mapping[str, str] = {"grants": "grant-0"}
"""Mistakes about roles stand beside the first question about them."""
MASTER = "mrao"
MOST_ROLES = 100
TYPE_WORDS = {
    CertificateType.CLIENT: Words("Client certificates"),
    CertificateType.DEVICE: Words("Device certificates"),
    CertificateType.SSL: Words("SSL certificates"),
}
ROLE_WORDS = {
    Role.MRAO: Words("Master administrator"),
    Role.RAO: Words("Organization administrator"),
    Role.DRAO: Words("Department administrator"),
}
_TYPES = tuple(Option(kind.value, words) for kind, words in TYPE_WORDS.items())


# A place


def place_options(tx: Transaction, fits: Callable[[str, str | None], bool]) -> tuple[Option, ...]:
    """The organizations and departments for which `fits(organization_id, department_id)`."""
    parts: dict[str, list[Department]] = {}
    for department in tx.departments():
        parts.setdefault(department.organization_id, []).append(department)
    options: list[Option] = []
    for organization in tx.organizations():
        if fits(organization.id, None):
            options.append(Option(organization.id, organization.name))
        options += [
            Option(f"{organization.id}/{part.id}", f"{organization.name}, {part.name}")
            for part in parts.get(organization.id, ())
            if fits(organization.id, part.id)
        ]
    return tuple(options)


def place_value(organization_id: str, department_id: str | None) -> str:
    """The option of a place."""
    return f"{organization_id}/{department_id}" if department_id else organization_id


def place_ids(value: str) -> dict[str, str | None]:
    """The place that an option stands for, as inputs have it."""
    organization_id, _, department_id = value.partition("/")
    return {"organization_id": organization_id, "department_id": department_id or None}


def place_name(tx: Transaction, organization_id: str, department_id: str | None) -> str:
    """A place in words."""
    name = tx.organization(organization_id).name
    return f"{name}, {tx.department(department_id).name}" if department_id else name


# Roles


def role_cell(tx: Transaction, grants: Iterable[Grant]) -> Cell:
    """Roles below each other: "Organization administrator, Example Hospital"."""
    return several([_role(tx, grant) for grant in grants])


def _role(tx: Transaction, grant: Grant) -> Cell:
    organization = tx.get(Organization, grant.organization_id) if grant.organization_id else None
    department = tx.get(Department, grant.department_id) if grant.department_id else None
    place = "".join(f", {each.name}" for each in (organization, department) if each)
    some = len(grant.certificate_types) < len(CertificateType)
    types = listed(TYPE_WORDS[kind] for kind in CertificateType if kind in grant.certificate_types)
    return text(
        Words("{role}{place}", role=ROLE_WORDS[grant.role], place=place),
        Words("only {types}", types=types) if some else "",
    )


def role_fields(
    tx: Transaction, actor: Actor, count: int, *, needed: bool = True, first_hint: str = ""
) -> tuple[Fieldset, ...]:
    """Questions for `count` roles that the actor may give, the first one `needed`. A button asks for one more, without
    script too."""
    scope = actor.scope
    options = place_options(tx, lambda o, d: any(scope.covers([_grant(o, d, [kind])]) for kind in CertificateType))
    named = tuple(
        Option(
            each.value,
            Words("{place} (department administrator)", place=each.label)
            if "/" in each.value
            else Words("{place} (organization administrator)", place=each.label),
        )
        for each in options
    )
    if scope.everything:
        named = (Option(MASTER, Words("Everything (master administrator)")), *named)
    last = count - 1
    return tuple(
        Fieldset(
            (
                FormField(
                    f"grant-{number}",
                    Words("Where"),
                    "select",
                    hint=first_hint if number == 0 else "",
                    required=needed and number == 0,
                    options=named,
                    button=FieldButton("more_roles", Words("Another role"), str(count + 1)) if number == last else None,
                ),
                FormField(f"grant-{number}-types", Words("For"), "checks", options=_TYPES),
            ),
            legend=Words("Role {number}", number=number + 1) if count > 1 else Words("Role"),
        )
        for number in range(count)
    )


def role_count(values: Mapping[str, str], stored: Sequence[Grant]) -> int:
    """How many roles to ask for: as many as there were, and one more where that was asked for."""
    asked = values.get("more_roles", "") or values.get("roles", "")
    return min(int(asked), MOST_ROLES) if asked.isdigit() and int(asked) else max(1, len(stored))


def role_values(stored: Sequence[Grant], count: int) -> dict[str, str | Sequence[str]]:
    """The questions' answers for these roles; for the rest every type is checked and no place chosen."""
    values: dict[str, str | Sequence[str]] = {}
    for number in range(count):
        grant = stored[number] if number < len(stored) else None
        place = place_value(grant.organization_id, grant.department_id) if grant and grant.organization_id else MASTER
        values[f"grant-{number}"] = place if grant else ""
        values[f"grant-{number}-types"] = sorted(grant.certificate_types if grant else CertificateType)
    return values


def typed_roles(values: Mapping[str, str], count: int) -> dict[str, str | Sequence[str]]:
    """A draft's answers: checks as lists; a role that was just asked for has every type checked."""
    answers: dict[str, str | Sequence[str]] = dict(values)
    for number in range(count):
        name = f"grant-{number}-types"
        fresh = f"grant-{number}" not in values
        answers[name] = sorted(CertificateType) if fresh else values.get(name, "").splitlines()
    return answers


def given_roles(posted: Posted, *, needed: bool = True) -> list[dict[str, object]] | Wrong:
    """The roles of a form that was sent, as `GrantInput` has them. Raises InputRefused, without a mistake, where only
    one more role was asked for."""
    if posted.text("more_roles"):
        raise InputRefused({})
    roles: list[dict[str, object]] = []
    lacking: dict[str, str] = {}
    for number in range(role_count({"roles": posted.text("roles")}, ())):
        place, types = posted.text(f"grant-{number}"), posted.many(f"grant-{number}-types")
        if not place:
            continue
        if not types:
            lacking[f"grant-{number}-types"] = Words("Choose at least one kind of certificate.")
        where = {} if place == MASTER else place_ids(place)
        roles.append({"role": _role_of(place), "certificate_types": types, **where})
    if needed and not roles:
        lacking["grant-0"] = Words("Choose a place.")
    return Wrong(lacking) if lacking else roles


def _role_of(place: str) -> str:
    return MASTER if place == MASTER else Role.DRAO.value if "/" in place else Role.RAO.value


def _grant(organization_id: str, department_id: str | None, types: Iterable[CertificateType]) -> Grant:
    role = Role.DRAO if department_id else Role.RAO
    return Grant(role, organization_id, department_id, frozenset(types))
