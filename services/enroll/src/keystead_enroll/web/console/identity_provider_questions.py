"""What is asked about an identity provider in the console: its protocol first, then what that protocol needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keystead_contracts.identity import ATTRIBUTES
from keystead_contracts.people import IdentityProviderKind
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import identity_providers as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.web.console.cells import copy
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.mistakes import Wrong
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.once import PAGE_KEY, page_key
from keystead_enroll.web.console.resources import FOR_GOOD, Standing, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import Posted
from keystead_enroll.web.console.widgets import Crumb, Fact
from keystead_kit.drafts import Draft
from keystead_kit.secrets import token_digest

BASE = f"{HOME}/identity-providers"
TOP = Crumb(Words("Identity providers"), BASE)
KIND_WORDS = {IdentityProviderKind.SAML: "SAML 2.0", IdentityProviderKind.OIDC: "OpenID Connect"}
FLAGS = {
    "for_persons": Words("People who enroll"),
    "for_administrators": Words("Administrators"),
    "idp_initiated": Words("May begin a sign-in by itself (IdP-initiated)"),
}
SOUND: Mapping[str, object] = {"name": "-", "attributes": {}, "organization_ids": []}
_KINDS = (
    Option(IdentityProviderKind.SAML.value, "SAML 2.0", Words("Shibboleth, ADFS, SimpleSAMLphp and most federations")),
    Option(IdentityProviderKind.OIDC.value, "OpenID Connect", Words("Entra ID, Keycloak, Google and the like")),
)


def told_to(kind: IdentityProviderKind, origin: str, provider_id: str) -> Fact:
    """What whoever runs the provider needs from us."""
    if kind is IdentityProviderKind.SAML:
        address, name = f"{origin}/auth/saml/metadata", Words("address of our metadata")
        return Fact(Words("Our metadata"), copy(address, name), Words("It is our entity id too."))
    address, name = f"{origin}/auth/oidc/{provider_id}/callback", Words("redirect address")
    return Fact(Words("Redirect address"), copy(address, name), Words("They enter it exactly so."))


def reserved_id(key: str) -> str:
    """The id of the provider that the page with this key makes: it is in an address that is told before."""
    return token_digest(f"identity provider {key}")[:32]


def new_provider(tx: Transaction, actor: Actor, draft: Draft, kind: str, origin: str) -> FormPage:
    """The question about the protocol, or all others once it is known. Raises NotAllowed."""
    masters_only(actor, Words("set up identity providers"))  # the form names every organization
    title = Words("New identity provider")
    chosen = _kind(draft.values.get("kind") or kind)
    if chosen is None:
        return FormPage(
            title=title,
            action=f"{BASE}/new",
            fieldsets=(Fieldset((FormField("kind", Words("Protocol"), "radios", options=_KINDS),)),),
            submit=Words("Go on"),
            cancel_url=BASE,
            values={"kind": IdentityProviderKind.SAML.value},
            errors=draft.errors,
            crumbs=(TOP,),
            method="get",
        )
    key = page_key(draft)
    usual = {"may": ["for_persons"], "active": ["yes"]}
    return new_page(
        title,
        BASE,
        _fieldsets(tx, chosen, told_to(chosen, origin, reserved_id(key))),
        Words("Set it up"),
        {**_answers(draft, usual), "kind": chosen.value, PAGE_KEY.name: key},
        draft,
        (TOP,),
        subtitle=KIND_WORDS[chosen],
    )


def change_provider(tx: Transaction, provider: IdentityProvider, draft: Draft, origin: str) -> FormPage:
    """One that is there. Its protocol stays."""
    stored: dict[str, str | Sequence[str]] = {
        "name": provider.name,
        "may": [name for name in FLAGS if getattr(provider, name)],
        "active": ["yes"] if provider.active else [],
        "organization_ids": provider.organization_ids,
        "attributes": "\n".join(f"{field} = {name}" for field, name in sorted(provider.attributes.items())),
        **{name: getattr(provider, name) or "" for name in verbs.DESCRIBED if name != "kind"},
    }
    return change_page(
        _standing(provider),
        Words("Change the identity provider"),
        _fieldsets(tx, provider.kind, told_to(provider.kind, origin, provider.id)),
        _answers(draft, stored),
        draft,
        delete=Words("Delete this identity provider"),
    )


def delete_provider(_tx: Transaction, _actor: Actor, provider: IdentityProvider) -> ConfirmPage:
    """Before it is gone."""
    verb, effect = Words("Delete this identity provider"), Words("Nobody can sign in through it any more.")
    return asked_once(_standing(provider), verb, effect, FOR_GOOD)


def provider_values(posted: Posted, provider: IdentityProvider | None) -> dict[str, object]:
    """The input's fields: of the two protocols' own, those of the one at hand."""
    kind = provider.kind.value if provider else posted.text("kind")
    own: dict[str, object]
    if kind == IdentityProviderKind.OIDC:
        own = {name: posted.optional(name) for name in ("issuer", "client_id", "client_secret_name")}
    else:
        own = {
            "metadata_url": posted.optional("metadata_url"),
            "metadata_xml": _file(posted) or posted.optional("metadata_xml"),
            "metadata_certificate": posted.optional("metadata_certificate"),
        }
    return {
        **own,
        "name": posted.text("name"),
        "kind": kind,
        "attributes": _attributes(posted.lines("attributes")),
        "organization_ids": posted.many("organization_ids"),
        "active": posted.flag("active"),
        **{name: name in posted.many("may") for name in FLAGS},
    }


def _kind(typed: str) -> IdentityProviderKind | None:
    return next((kind for kind in IdentityProviderKind if kind.value == typed), None)


def _standing(provider: IdentityProvider) -> Standing:
    return Standing(f"{BASE}/{provider.id}", provider.name, (TOP,))


def _fieldsets(tx: Transaction, kind: IdentityProviderKind, told: Fact) -> tuple[Fieldset, ...]:
    saml = kind is IdentityProviderKind.SAML
    flags = tuple(Option(name, words) for name, words in FLAGS.items() if saml or name != "idp_initiated")
    organizations = tuple(Option(o.id, o.name) for o in tx.organizations())
    return (
        Fieldset(
            (),
            Words("What it needs from us"),
            Words("Give it to whoever runs the identity provider. You can do so before you set it up here."),
            (told,),
        ),
        Fieldset(
            (
                FormField("kind", "", "hidden"),
                PAGE_KEY,
                FormField(
                    "name", Words("Name"), hint=Words("People read it on the sign-in page."), more={"maxlength": 128}
                ),
                FormField("may", Words("For"), "checks", required=False, options=flags),
                FormField(
                    "active",
                    Words("In use"),
                    "checks",
                    required=False,
                    options=(Option("yes", Words("People may use it")),),
                ),
            )
        ),
        _SAML if saml else _OIDC,
        Fieldset(
            (
                FormField(
                    "organization_ids",
                    Words("Speaks for"),
                    "checks",
                    required=False,
                    options=organizations,
                    hint=Words("Without a choice, for every organization."),
                ),
                FormField(
                    "attributes",
                    Words("Attribute names"),
                    "textarea",
                    required=False,
                    code=True,
                    hint=Words(
                        "One a line, such as `mail = emailaddress`, where they are not the usual ones. "
                        "There are {names}.",
                        names=", ".join(ATTRIBUTES),
                    ),
                ),
            ),
            legend=Words("What it says"),
        ),
    )


_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_SAML = Fieldset(
    (
        FormField("metadata_url", Words("Address of its metadata"), "url", required=False, hint=Words("With https://")),
        FormField("metadata_file", Words("Or a file with its metadata"), "file", required=False),
        FormField("metadata_xml", Words("Or the metadata itself"), "textarea", required=False, rows=6, code=True),
        FormField(
            "metadata_certificate",
            Words("Certificate that signs it"),
            "textarea",
            required=False,
            rows=4,
            code=True,
            hint=Words(
                "PEM, for metadata from an address: it is taken only with a signature by this certificate's "
                "key. Without one, it is taken as it comes over https."
            ),
        ),
    ),
    legend="SAML 2.0",
    intro=Words("One of the first three. From an address it is read again regularly."),
)
_OIDC = Fieldset(
    (
        FormField("issuer", Words("Issuer"), "url", hint=Words("With https://")),
        FormField("client_id", Words("Client id"), code=True, more=_PLAIN),
        FormField(
            "client_secret_name",
            Words("Name of the client secret"),
            code=True,
            hint=Words("The secret itself is in the settings of the sign-in service, under this name."),
            more=_PLAIN,
        ),
    ),
    legend="OpenID Connect",
)


def _answers(draft: Draft, stored: Mapping[str, str | Sequence[str]]) -> dict[str, str | Sequence[str]]:
    if not draft.values:
        return dict(stored)
    checks = {name: draft.values.get(name, "").splitlines() for name in ("may", "organization_ids", "active")}
    return {**draft.values, **checks}


def _file(posted: Posted) -> str | Wrong:
    try:
        return posted.files.get("metadata_file", b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        return Wrong({"metadata_file": Words("The file is not text in UTF-8.")})


def _attributes(lines: Sequence[str]) -> dict[str, str] | Wrong:
    pairs = [line.partition("=") for line in lines]
    if any(not separator for _, separator, _ in pairs):
        return Wrong({"attributes": Words("Write each line as `mail = emailaddress`.")})
    return {field.strip(): name.strip() for field, _, name in pairs}
