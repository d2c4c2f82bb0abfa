"""What auth counts."""

from __future__ import annotations

from prometheus_client import Counter

SIGN_IN_REQUESTS = Counter(
    "keystead_signin_requests_total", "Requests for a sign-in link, as the web answered them", ["outcome"]
)
SIGN_IN_DECISIONS = Counter(
    "keystead_signin_decisions_total", "Requests for a sign-in link, as the worker decided them", ["outcome"]
)
CONFIRMATIONS = Counter("keystead_signin_confirmations_total", "Presses of a sign-in link's button", ["outcome"])
IDENTITY_TOKENS = Counter("keystead_identity_tokens_total", "Identity tokens made, by how", ["how"])
BUSY_FORMS = Counter("keystead_signin_busy_total", "Requests for a sign-in link beyond what their form usually gets")
ADMINISTRATOR_SIGN_INS = Counter(
    "keystead_administrator_signins_total", "Steps of administrators' sign-in, by what became of them", ["outcome"]
)
SECRET_ID_SIGN_INS = Counter(
    "keystead_secret_id_signins_total", "Sign-ins by Secret ID, by what became of them", ["outcome"]
)
IDP_SIGN_INS = Counter(
    "keystead_idp_signins_total", "Sign-ins through identity providers, by what became of them", ["kind", "outcome"]
)
PROVIDER_CHECKS = Counter("keystead_idp_checks_total", "Readings of identity providers' metadata", ["state"])
