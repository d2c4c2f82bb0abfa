"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_enroll.bootstrap import Enroll
from keystead_enroll.web.presence import DevicePresence
from keystead_enroll.web.streams import Streams
from keystead_kit.drafts import Drafts
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.pages import Pages
from keystead_kit.secrets import TokenVerifier

SESSION = "session"
IDENTITY = "identity"


@dataclass(frozen=True)
class WebContext:
    """Passed to each router."""

    enroll: Enroll
    pages: Pages
    cookies: Cookies
    identity_cookies: Cookies
    guard: FormGuard
    drafts: Drafts
    streams: Streams
    presence: DevicePresence
    identities: TokenVerifier
