"""Sign an administrator in for whom an identity provider has vouched."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import AdministratorUnknown
from keystead_auth.domain.administrators import SignedInAdministrator
from keystead_auth.domain.email import normalize
from keystead_auth.usecases.administrator_desk import AdministratorDesk, begin_session
from keystead_contracts.people import AdministratorMethod
from keystead_kit.logs import get_logger

_log = get_logger()


def sign_in_administrator_by_idp(desk: AdministratorDesk, *, email: str, provider_id: str) -> SignedInAdministrator:
    """The session of the active administrator with this address who signs in by identity provider. The caller has
    verified the answer, and that the provider speaks for administrators.

    Raises AdministratorUnknown, EmailMalformed.
    """
    address = normalize(email)
    with desk.transactions.write() as tx:
        administrator = tx.administrators.by_email(address)
        if administrator is None or not administrator.may_sign_in_by(AdministratorMethod.IDP):
            raise AdministratorUnknown
        now = desk.clock.now()
        who = begin_session(desk, tx, administrator, AdministratorMethod.IDP, second_factor=False, now=now)
    _log.info("administrator signed in", administrator=administrator.id, method="idp", provider=provider_id)
    return who
