"""Show through which identity providers a form's people can sign in."""

from __future__ import annotations

from collections.abc import Collection

from keystead_auth.domain.providers import IdentityProvider, offered
from keystead_auth.domain.sign_in import Form
from keystead_auth.ports import Transactions
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock


def view_providers(
    transactions: Transactions, clock: Clock, form: Form, kinds: Collection[IdentityProviderKind]
) -> list[IdentityProvider]:
    """The providers, by name, of the kinds that this server speaks."""
    if SignInMethod.IDP not in form.methods:
        return []
    with transactions.read() as tx:
        providers = tx.providers.all()
    return [each for each in offered(providers, form, clock.now()) if each.kind in kinds]


def has_provider(transactions: Transactions, form: Form) -> bool:
    """Whether an identity provider is set up for the form's people, be it usable at the moment or not."""
    with transactions.read() as tx:
        return any(each.speaks_for(form) for each in tx.providers.all())


def view_administrators_providers(
    transactions: Transactions, clock: Clock, kinds: Collection[IdentityProviderKind]
) -> list[IdentityProvider]:
    """Those through which administrators sign in to the console, by name."""
    now = clock.now()
    with transactions.read() as tx:
        found = [each for each in tx.providers.all() if each.for_administrators and each.ready(now)]
    return sorted((each for each in found if each.kind in kinds), key=lambda each: (each.name.lower(), each.id))
