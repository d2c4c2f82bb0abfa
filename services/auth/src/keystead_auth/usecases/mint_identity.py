"""Say who a person is, to enroll, in a signed token."""

from __future__ import annotations

from datetime import datetime, timedelta

from keystead_auth.ports import IdentitySigner, Randomness
from keystead_contracts.identity import IdentityClaims, SignInMethod

IDENTITY_LIFETIME = timedelta(minutes=2)


def mint_identity(
    signer: IdentitySigner, randomness: Randomness, *, email: str, form: str, method: SignInMethod, now: datetime
) -> str:
    """An identity token (`IdentityClaims`) for one form, good once and for `IDENTITY_LIFETIME`."""
    claims = IdentityClaims(
        sub=email,
        jti=randomness.new_id(),
        iat=int(now.timestamp()),
        exp=int((now + IDENTITY_LIFETIME).timestamp()),
        form=form,
        method=method,
    )
    return signer.sign(claims.model_dump(mode="json"))
