"""Identity providers as an administrator sets them up. auth speaks to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_contracts.words import Words, from_plain


@dataclass(eq=False)
class IdentityProvider:
    """See `keystead_contracts.people.IdentityProviderPublished` for what each field means."""

    id: str
    name: str
    kind: IdentityProviderKind
    metadata_url: str | None = None
    metadata_xml: str | None = None
    metadata_certificate: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    client_secret_name: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    organization_ids: list[str] = field(default_factory=list)
    for_persons: bool = True
    for_administrators: bool = False
    idp_initiated: bool = False
    active: bool = True
    version: int = 1
    created_at: datetime | None = None
    state: IdentityProviderState | None = None
    """What auth last said of it; None until it has looked."""
    state_detail: str = ""
    state_words: dict[str, object] | None = None
    """The same (`keystead_contracts.words.to_plain`), to be said in another language."""
    entity_id: str = ""
    valid_until: datetime | None = None
    checked_at: datetime | None = None

    @property
    def why(self) -> str:
        """What auth has to say of its state, for whoever reads it in their language."""
        told: str = from_plain(self.state_words) if self.state_words else Words(self.state_detail)
        return told

    def signs_in_for(self, organization_ids: Collection[str]) -> bool:
        """Whether people of one of these organizations, of any where there are none, can sign in through it to enroll:
        one without organizations is for all."""
        if not (self.active and self.for_persons):
            return False
        return not (self.organization_ids and organization_ids) or not set(self.organization_ids).isdisjoint(
            organization_ids
        )
