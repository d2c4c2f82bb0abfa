"""Forms and confirmations of the console in every state."""

from __future__ import annotations

from dataclasses import replace

from tests.support.console_details import FORM_CRUMBS, form_tabs
from tests.support.console_frame import ID, LONG, ConsoleSample, frame

from keystead_enroll.web.console.cells import Cell, tag, text
from keystead_enroll.web.console.form_widgets import (
    ConfirmPage,
    FieldButton,
    Fieldset,
    FormField,
    FormPage,
    Option,
)
from keystead_enroll.web.console.widgets import (
    Action,
    Crumb,
    Notice,
)

TYPES = (
    Option("client", "Client", "S/MIME and sign-in of a person"),
    Option("device", "Device", "A machine on the network"),
    Option("ssl", "SSL", "TLS servers"),
)
FORM_DETAILS = FormPage(
    "Staff certificates",
    f"/console/forms/{ID}",
    (
        Fieldset(
            (
                FormField("name", "Name", hint="People see it above the form.", more={"maxlength": 128}),
                FormField("type", "Certificate type", "radios", options=TYPES),
                FormField(
                    "uri_extension",
                    "URI extension",
                    hint="The end of the form's address. Whoever knows it can open the form.",
                    code=True,
                    more={"maxlength": 58, "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"},
                    button=FieldButton("generate_uri", "Generate"),
                    copy="https://enroll.example.org/e/k7Qm2xVt9s",
                ),
                FormField(
                    "help_text",
                    "Help text",
                    "textarea",
                    "Where to get an access code, whom to ask. At most 2048 characters.",
                    required=False,
                    more={"maxlength": 2048},
                ),
                FormField("help_link", "Help link", "url", required=False, more={"inputmode": "url"}),
            )
        ),
        Fieldset(
            (
                FormField("delegation", "Accounts of", "radios", options=(
                    Option("all", "All organizations"), Option("listed", "These organizations only"),
                )),
                FormField("organizations", "Organizations", "checks", required=False, options=tuple(
                    Option(str(number), name)
                    for number, name in enumerate(["Northwind University", "Contoso", LONG, "Fabrikam", "X"])
                )),
            ),
            "Delegation",
            "Who may have web form accounts in this form.",
        ),
    ),
    "Save",
    "/console/forms",
    {
        "name": "Staff certificates",
        "type": "client",
        "uri_extension": "k7Qm2xVt9s",
        "help_text": "For staff and students.\n</textarea><b>not bold</b>",
        "help_link": "https://help.example.org/certificates",
        "delegation": "listed",
        "organizations": ["0", "4"],
    },
    crumbs=FORM_CRUMBS,
    tabs=form_tabs("Details"),
    subtitle="Client certificates",
    tag=tag("good", "Published"),
    danger=Action("Delete this form", f"/console/forms/{ID}/delete", "danger"),
)  # fmt: skip
FORM_WRONG = replace(
    FORM_DETAILS,
    values={**FORM_DETAILS.values, "name": "", "type": "", "help_link": "help.example.org", "organizations": []},
    errors={
        "name": "Give the form a name.",
        "type": "Choose a certificate type.",
        "uri_extension": "Another form has this URI extension. Choose another, or press Generate.",
        "help_link": "Write a whole address that begins with https://.",
        "organizations": "Choose at least one organization.",
    },
)
PROFILE = FormPage(
    "New certificate profile",
    "/console/profiles/new",
    (
        Fieldset(
            (
                FormField("name", "Name"),
                FormField("description", "Description", required=False, hint="People choose by it."),
                FormField("connector", "CA connector", "select", options=(
                    Option("builtin", "Built-in CA"), Option("sectigo", "Sectigo SCM")
                ), short=True),
                FormField("term_days", "Validity terms", "textarea", "In days, one a line, the usual one first.",
                          rows=3, short=True),
                FormField("renewal", "Renewal window", "number", "Days before the end.", short=True,
                          more={"min": 1, "max": 365}),
                FormField("starts", "Usable from", "date", required=False, short=True),
            ),
            "Basics",
        ),
        Fieldset(
            (
                FormField("algorithms", "Key algorithms", "checks", options=tuple(
                    Option(value, label) for value, label in [
                        ("rsa-2048", "RSA 2048"), ("rsa-3072", "RSA 3072"), ("rsa-4096", "RSA 4096"),
                        ("ec-p256", "ECDSA P-256"), ("ec-p384", "ECDSA P-384"), ("ml-dsa", "ML-DSA 65"),
                    ])),
                FormField("subject", "Subject", code=True, hint="For example CN={name}, O={organization}"),
            ),
            "Keys and names",
            "A profile is saved only if a sample certificate made from it passes the linter.",
        ),
        Fieldset(
            (
                FormField("file", "Metadata file", "file", required=False),
                FormField("secret", "Password", "password", more={"autocomplete": "new-password"}),
                FormField("contact", "Contact", "email", required=False),
                FormField("none", "Identity providers", "checks", required=False),
                FormField("page_key", "", "hidden"),
            ),
            "Other kinds of questions",
        ),
    ),
    "Create profile",
    "/console/profiles",
    {"term_days": ["365", "90", "30"], "renewal": "30", "algorithms": ["ec-p256"], "page_key": "abc"},
    {"form": "The sample certificate did not pass the linter: the subject has no common name."},
    intro="A profile says what a certificate will be.",
    crumbs=(Crumb("Certificate profiles", "/console/profiles"),),
)  # fmt: skip
FORMS_SAMPLES = [
    ConsoleSample("form-details", FORM_DETAILS, frame("forms", Notice("Saved."))),
    ConsoleSample("form-wrong", FORM_WRONG, frame("forms")),
    ConsoleSample("form-profile", PROFILE, frame("profiles")),
]


REASON = FormField(
    "reason",
    "Reason",
    "radios",
    options=(
        Option("keyCompromise", "Key compromised", "Somebody else may have the key."),
        Option("cessationOfOperation", "No longer used"),
        Option("superseded", "Replaced by another certificate"),
        Option("unspecified", "Another reason"),
    ),
)
REVOKE = ConfirmPage(
    "Revoke 12 certificates",
    "Revoke 12 certificates",
    "/console/certificates/revoke",
    "/console/certificates",
    "Revoke these certificates for good?",
    (
        "Networks and servers refuse them as soon as they fetch the next CRL, within one hour.",
        "The keys stay in the TPMs, but nothing accepts them.",
        "Their owners get a letter.",
        "This cannot be undone.",
    ),
    tuple(Cell("link", f"laptop-{number:03}.example.org", url="/console/certificates/1") for number in range(12)),
    "revoke",
    (REASON,),
    tuple(("chosen", f"{number}{ID}") for number in range(12)),
    {"reason": "keyCompromise", "typed_word": "rewoke"},
    {"typed_word": "Type the word as it is shown: revoke."},
    (Crumb("Certificates", "/console/certificates"),),
)
CONFIRMS = [
    ConsoleSample("confirm-many", REVOKE, frame("certificates")),
    ConsoleSample(
        "confirm-one",
        replace(
            REVOKE,
            title="Delete “Physics”",
            verb="Delete department",
            question="Delete the department Physics of Northwind University?",
            consequences=("Its 2 web form accounts are closed.", "Its certificates stay valid."),
            objects=(),
            typed_word=None,
            fields=(),
            errors={},
        ),
        frame("organizations"),
    ),
    ConsoleSample(
        "confirm-harmless",
        replace(
            REVOKE,
            title="Approve 3 requests",
            verb="Approve 3 requests",
            question="",
            consequences=("Each computer makes its key and gets its certificate.",),
            objects=(text("Ada Lovelace", "Staff client certificate"), text("Charles Babbage"), text(LONG)),
            typed_word=None,
            fields=(FormField("comment", "Comment", "textarea", "Kept in the audit log.", required=False, rows=2),),
            errors={},
            danger=False,
        ),
        frame("requests"),
    ),
]
