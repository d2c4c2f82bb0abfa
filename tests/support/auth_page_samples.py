"""Every page of auth in every state, with the context its template documents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.support.page_sample_data import AUTH, FORM, LONG_FORM, NOW, PERSON, TRACE, Sample

from keystead_auth.web.administrators import in_fours, qr_code


def auth_pages() -> Iterator[Sample]:
    """Pages of auth."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, AUTH, template, {"form": FORM} | context)

    email = {"method": "email", "url": "/auth/sign-in/x"}
    idp: dict[str, Any] = {"method": "idp", "providers": [{"name": "Northwind", "url": "/auth/saml/x/sign-in?form=x"}]}
    long = {"name": LONG_FORM["organization"], "url": "/auth/saml/y/sign-in?form=x"}
    two = {"method": "idp", "providers": [*idp["providers"], long]}
    rest = [idp, {"method": "secret_id", "url": "/auth/secret-id/x"}]
    fresh: dict[str, Any] = {"values": {}, "errors": {}, "notice": None}
    yield sample("sign-in", "sign_in.html", methods=[email], **fresh)
    yield sample(
        "sign-in-many", "sign_in.html", methods=[email, *rest], **fresh | {"notice": "Your session has ended."}
    )
    yield sample("sign-in-idps", "sign_in.html", methods=[two], **fresh)
    yield sample("sign-in-email-and-idps", "sign_in.html", methods=[email, two], **fresh)
    yield sample(
        "idp-post",
        "saml_post.html",
        form=None,
        provider="Northwind",
        url="https://idp.example/sso",
        fields={"SAMLRequest": "PHNhbWw+"},
    )
    yield sample(
        "idp-confirm", "idp_confirm.html", action="/auth/saml/continue/t", email="ada@example.org", provider="Northwind"
    )
    yield sample(
        "sign-in-error",
        "sign_in.html",
        methods=[email],
        values={"email": "ada@example"},
        errors={"email": "Enter an e-mail address like name@example.org."},
        notice=None,
    )
    yield sample("sign-in-long", "sign_in.html", form=LONG_FORM, methods=[email], **fresh)
    mail = {"masked_email": "a…@example.org", "minutes": 15, "sign_in_url": "/auth/sign-in/x"}
    yield sample("check-mail", "check_mail.html", mailbox_url=None, **mail)
    yield sample("check-mail-development", "check_mail.html", mailbox_url="/mailbox", **mail)
    yield sample(
        "confirm",
        "confirm.html",
        action="/auth/confirm/t",
        email="ada.lovelace@example.org",
        expires_at=NOW + timedelta(minutes=12),
    )
    for reason in ("expired", "used"):
        yield sample(
            f"link-{reason}", "link_invalid.html", reason=reason, sign_in_url="/auth/sign-in/x", reference=TRACE
        )
    yield sample("link-unknown", "link_invalid.html", form=None, reason="unknown", sign_in_url=None, reference=TRACE)
    yield sample("signed-out", "signed_out.html", sign_in_url="/auth/sign-in/x")
    yield sample("signed-out-unknown", "signed_out.html", form=None, sign_in_url=None)


def administrator_pages() -> Iterator[Sample]:
    """Administrators sign in."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, AUTH, f"administrators/{template}.html", {"form": None, "errors": {}} | context)

    base = "/auth/administrators"
    door: dict[str, Any] = {"action": f"{base}/sign-in", "forgot_url": f"{base}/forgot", "notice": None}
    providers = [{"name": "Northwind sign-on", "url": "/auth/saml/1/sign-in?purpose=administrator"}]
    yield sample("administrator-sign-in", "sign_in", providers=[], values={}, **door)
    yield sample(
        "administrator-sign-in-wrong",
        "sign_in",
        providers=providers,
        values={"email": "grace@example.org"},
        **door | {"errors": {"form": "The e-mail address or the password is not right."}},
    )
    code: dict[str, Any] = {"action": f"{base}/code", "sign_in_url": f"{base}/sign-in"}
    yield sample("administrator-code", "code", **code)
    yield sample("administrator-code-wrong", "code", **code | {"errors": {"code": "This code is not right."}})
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    yield sample(
        "administrator-authenticator",
        "authenticator",
        action=f"{base}/authenticator",
        qr=qr_code(secret, "grace@example.org"),
        secret=in_fours(secret),
        email="grace@example.org",
    )
    codes = [f"abcd-efgh-ijkl-{number}mno" for number in range(2, 8)]
    yield sample("recovery-codes", "recovery_codes", codes=codes, next_url=f"{base}/sign-in", first=True)
    yield sample("recovery-codes-again", "recovery_codes", codes=codes, next_url="/console", first=False)
    person = {"person": PERSON, "sign_out_url": f"{base}/sign-out", "console_url": "/console"}
    renew: dict[str, Any] = {"action": f"{base}/recovery-codes", **person}
    for left in (7, 1, 0):
        yield sample(f"renew-recovery-codes-{left}", "renew_recovery_codes", left=left, has_authenticator=True, **renew)
    yield sample("renew-recovery-codes-none", "renew_recovery_codes", left=0, has_authenticator=False, **renew)
    here = _session("Firefox on Linux", "192.0.2.7", own=True)
    others = [_session("Safari on iOS", "2001:db8:85a3:8d3:1319:8a2e:370:7348"), _session("A browser", "")]
    account: dict[str, Any] = {
        "has_password": True, "has_authenticator": False, "left": 0, "signed_out": "", "sessions": [here],
        "password_url": f"{base}/password", "recovery_url": f"{base}/recovery-codes",
        "authenticator_url": f"{base}/account/authenticator", "elsewhere_url": f"{base}/account/sign-out-elsewhere",
        **person,
    }  # fmt: skip
    yield sample("my-account", "account", **account)
    yield sample("my-account-wrong", "account", **account | {"errors": {"current": "This is not your password."}})
    yield sample("my-account-authenticator", "account", **account | {"has_authenticator": True, "left": 9})
    yield sample("my-account-elsewhere", "account", **account | {"has_password": False, "signed_out": "elsewhere"})
    yield sample("my-account-sessions", "account", **account | {"sessions": [here, *others], "signed_out": "one"})
    choose: dict[str, Any] = {"action": f"{base}/invitation/t", "email": "grace@example.org", "least": 12}
    yield sample("choose-password", "choose_password", **choose)
    yield sample(
        "choose-password-unfit", "choose_password", **choose | {"errors": {"new_password": "Choose at least 12."}}
    )
    change: dict[str, Any] = {"action": f"{base}/password", "least": 12, **person}
    yield sample("change-password", "password", has_password=True, **change)
    yield sample("change-password-none", "password", has_password=False, **change)
    forgot: dict[str, Any] = {"action": f"{base}/forgot", "sign_in_url": f"{base}/sign-in"}
    yield sample("forgot-password", "forgot", values={}, **forgot)
    mail: dict[str, Any] = {"masked_email": "g…@example.org", "sign_in_url": f"{base}/sign-in"}
    yield sample("administrator-check-mail", "check_mail", mailbox_url=None, **mail)
    yield sample("administrator-check-mail-development", "check_mail", mailbox_url="/mailbox", **mail)
    yield sample("administrator-signed-out", "signed_out", sign_in_url=f"{base}/sign-in")


def _session(browser: str, address: str, *, own: bool = False) -> dict[str, Any]:
    times = {"created_at": NOW - timedelta(hours=3), "seen_at": NOW - timedelta(minutes=4)}
    url = "/auth/administrators/account/sessions/1/sign-out"
    return {"browser": browser, "address": address, "own": own, "url": url, **times}
