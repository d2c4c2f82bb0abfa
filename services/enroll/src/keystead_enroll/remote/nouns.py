"""What there is to administer: each noun, where it is in the API, and what its commands show and take."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from pydantic import BaseModel

INPUTS, PEOPLE = "keystead_enroll.domain.inputs", "keystead_enroll.domain.people_inputs"
ENDORSEMENT = "keystead_enroll.domain.endorsement_inputs"
ENROLLMENT = "keystead_enroll.domain.enrollment_inputs"


@dataclass(frozen=True)
class Verb:
    """A further verb: `method` at the thing's own path with `path` behind it, with the fields of `given` as its body.

    `asks`: it destroys something, so it asks first or wants --yes. `told` is what to print instead of the answer.
    """

    name: str
    path: str
    help: str
    method: str = "POST"
    given: str = ""
    asks: str = ""
    told: str = ""


@dataclass(frozen=True)
class Noun:
    """A kind of thing at `path`. `named` is the field by which a thing may be called instead of its id."""

    name: str
    path: str
    help: str
    columns: tuple[str, ...]
    search: str
    """The example of a search."""
    named: str = "name"
    given: str = ""
    changed: str = ""
    """The input of a change, if that is another."""
    show: bool = True
    create: bool = True
    change: bool = True
    delete: bool = True
    verbs: tuple[Verb, ...] = ()
    made: str = "id"
    """The field of a creation's answer that names it."""
    secret: str = ""
    """The field of a creation's answer that is told once."""

    @property
    def word(self) -> str:
        """What it is called in a sentence."""
        return {"cert": "certificate", "order": "request", "known-tpm": "known TPM", "bulk": "bulk job"}.get(
            self.name, self.name.replace("-", " ")
        )

    @property
    def placed(self) -> bool:
        """Whether things of different organizations may have the same name."""
        return self.name in (
            "account", "department", "device", "form", "known-tpm", "person", "registration-token"
        )  # fmt: skip

    def model(self, where: str = "") -> type[BaseModel]:
        """The input that `given`, or `where`, names."""
        return load(where or self.given)


def load(where: str) -> type[BaseModel]:
    """The class at `module:Name`."""
    module, _, name = where.partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(module), name)
    return found


NOUNS: tuple[Noun, ...] = (
    Noun(
        "organization", "/organizations", "Organizations and what is delegated to them.",
        ("name", "email_domains", "dns_domains", "id"), "domain:example.org", given=f"{INPUTS}:OrganizationInput",
    ),
    Noun(
        "department", "/departments", "Departments of organizations.",
        ("name", "email_domains", "dns_domains", "id"), 'org:"Example Hospital"', given=f"{INPUTS}:DepartmentInput",
    ),
    Noun(
        "profile", "/profiles", "Certificate profiles: what a certificate will be.",
        ("name", "certificate_type", "key_algorithms", "term_days", "minimum_assurance", "active", "id"), "type:device",
        given=f"{ENROLLMENT}:ProfileInput",
    ),
    Noun(
        "form", "/forms", "Enrollment forms: the pages that people open.",
        ("name", "certificate_type", "methods", "active", "url", "id"), "type:client active:yes",
        given=f"{ENROLLMENT}:FormInput",
        verbs=(
            Verb("generate", "/uri-extension", "Generate a new address for the form.",
                 asks="The address it has now will lead nowhere."),
        ),
    ),
    Noun(
        "account", "/accounts", "Web form accounts: for whom a form is, and what it asks for.",
        ("name", "authorization", "csr_method", "automatic_approval", "active", "form_id", "id"),
        'org:"Example Hospital"', given=f"{ENROLLMENT}:AccountInput",
    ),
    Noun(
        "licence", "/licences", "Licence terms that people accept.", ("version", "current", "published_at"), "",
        named="", given=f"{ENROLLMENT}:LicenceInput", show=False, change=False, delete=False, made="version",
    ),
    Noun(
        "person", "/persons", "People known by name, and their Secret IDs.",
        ("email", "name", "has_secret_id", "invited_at", "id"), "secret_id:no", named="email",
        given=f"{PEOPLE}:PersonInput",
        verbs=(
            Verb("secret-id", "/secret-id", "Give the person a fresh Secret ID and print it, this once.",
                 asks="The Secret ID they have now will not work any more."),
            Verb("invite", "/invitations", "Invite the person to a form by e-mail.", given=f"{PEOPLE}:InvitationInput",
                 told="The invitation is on its way."),
        ),
    ),
    Noun(
        "cert", "/certificates", "Certificates that were issued.",
        ("subject", "owner", "certificate_type", "state", "assurance", "not_after", "serial", "id"),
        "state:valid expires:<30d", named="serial", create=False, change=False, delete=False,
        verbs=(
            Verb("revoke", "/revocation", "Revoke the certificate.", given=f"{INPUTS}:RevocationInput",
                 asks="Its owner cannot use it any more. This cannot be undone, but for the reason certificate_hold."),
            Verb("release", "/release", "Release the certificate, which is on hold.", given=f"{INPUTS}:ReleaseInput"),
        ),
    ),
    Noun(
        "order", "/requests", "Requests of people: look at them, decide those that wait for approval.",
        ("id", "state", "person_email", "names", "profile", "created_at"), "state:awaiting_approval", named="",
        create=False, change=False, delete=False,
        verbs=(
            Verb("approve", "/approval", "Approve the request. The person gets a letter.",
                 given=f"{INPUTS}:ApprovalInput", told="Approved. They get a letter."),
            Verb("reject", "/rejection", "Decline the request. The person gets a letter with the note.",
                 given=f"{INPUTS}:RejectionInput", told="Declined. They get a letter."),
            Verb("cancel", "/cancellation", "End a request that is not installed yet; its certificate is retired.",
                 given=f"{INPUTS}:CancellationInput", asks="The person has to ask again.",
                 told="Cancelled. They get a letter."),
        ),
    ),
    Noun(
        "device", "/devices", "Registered machines.",
        ("name", "group", "platform", "owner", "organization", "assurance", "connected", "seen_at", "id"),
        "group:laptops seen:>90d", create=False, change=False,
        verbs=(
            Verb("same-machine", "/same-machine", "Say that it takes the place of its computer's earlier registration.",
                 asks="The earlier registration's key will open nothing any more.", told="Done."),
        ),
    ),
    Noun(
        "registration-token", "/registration-tokens", "Tokens with which machines register.",
        ("name", "state", "group", "uses", "most_devices", "organization", "expires_at", "id"), "state:usable laptops",
        given=f"{INPUTS}:RegistrationTokenInput", changed=f"{INPUTS}:RegistrationTokenLimitsInput",
        secret="secret",  # noqa: S106 the name of a field
        verbs=(
            Verb("revoke", "/revocation", "Revoke the token, and keep what is known of it.",
                 asks="No machine can register with it any more. This cannot be undone.", told="Revoked."),
        ),
    ),
    Noun(
        "bulk", "/bulk-jobs", "Bulk jobs: certificates for the machines of a file.",
        ("name", "state", "progress.done", "progress.rows", "progress.rate", "organization", "profile", "created_at",
         "id"),
        "state:running", show=False, create=False, change=False, delete=False,
        verbs=(
            Verb("pause", "/pause", "Begin nothing new for the job; requests under way go on.", told="Paused."),
            Verb("resume", "/resume", "Go on with the job.", told="It goes on."),
            Verb("cancel", "/cancel", "End the job.", told="It is being ended.",
                 asks="Rows that wait come to nothing and open requests are cancelled; certificates that are "
                 "installed stay. This cannot be undone."),
        ),
    ),
    Noun(
        "known-tpm", "/endorsement-keys", "TPMs that are an organization's or refused, by their endorsement keys.",
        ("label", "ruling", "sha256", "model", "serial_number", "created_at", "id"), "ruling:deny added:<7d",
        named="sha256", given=f"{ENDORSEMENT}:EndorsementKeyInput",
    ),
    Noun(
        "identity-provider", "/identity-providers", "Identity providers that vouch for people.",
        ("name", "kind", "state", "state_detail", "active", "id"), "active:yes",
        given=f"{PEOPLE}:IdentityProviderInput",
    ),
    Noun(
        "administrator", "/administrators", "Administrators of the console.",
        ("email", "name", "grants", "active", "last_seen_at", "id"), "role:rao", named="email",
        given=f"{PEOPLE}:AdministratorInput", delete=False,
        verbs=(Verb("invite", "/invitations", "Send an invitation (again).", told="The invitation is on its way."),),
    ),
    Noun(
        "token", "/tokens", "API tokens. The console makes them; here they are listed and ended.",
        ("name", "administrator", "grants", "expires_at", "last_used_at", "revoked_at", "id"), "active:yes",
        create=False, change=False,
    ),
    Noun(
        "audit", "/audit", "Who did what, when, from where, to what.",
        ("at", "actor", "action", "target", "address", "id"), "action:revoke at:<7d", named="",
        create=False, change=False, delete=False,
    ),
)  # fmt: skip
