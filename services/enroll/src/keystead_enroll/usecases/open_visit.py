"""Open a visit: a person comes from auth with a signed identity token."""

from __future__ import annotations

from datetime import timedelta

from keystead_contracts.identity import ATTRIBUTES, IdentityClaims
from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import FormUnknown, IdentityRefused
from keystead_enroll.domain.visits import PortalSession
from keystead_enroll.ports import Clock, Transactions
from keystead_kit.secrets import new_token, token_digest

VISIT_HOURS = 8


def open_visit(transactions: Transactions, clock: Clock, claims: IdentityClaims, uri_extension: str) -> str:
    """Starts a session for the verified `claims` and answers its token (256 bits, only its hash is stored).

    Raises FormUnknown, and IdentityRefused if the token is for another form or was used before.
    """
    now = clock.now()
    token = new_token()
    with transactions.write() as tx:
        form = tx.form_by_uri(uri_extension)
        if form is None or not form.active:
            raise FormUnknown(Words("There is no enrollment form at this address."))
        if claims.form != uri_extension or claims.method not in form.methods:
            raise IdentityRefused(Words("The sign-in was for another form."))
        if not tx.burn_identity(claims.jti, now):
            raise IdentityRefused(Words("This sign-in was used already."))
        tx.add(
            PortalSession(
                digest=token_digest(token),
                form_id=form.id,
                email=claims.sub.lower(),
                name=claims.name,
                method=claims.method.value,
                identity_provider=claims.identity_provider,
                identity_provider_organizations=list(claims.identity_provider_organizations),
                attributes={name: claims.attributes[name] for name in ATTRIBUTES if name in claims.attributes},
                attributes_cut=[name for name in claims.attributes_cut if name in ATTRIBUTES],
                persons=list(claims.persons),
                created_at=now,
                expires_at=now + timedelta(hours=VISIT_HOURS),
            )
        )
    return token
