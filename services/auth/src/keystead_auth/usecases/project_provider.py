"""Take in what enroll published of an identity provider."""

from __future__ import annotations

from datetime import datetime

from keystead_auth.domain.providers import IdentityProvider
from keystead_auth.ports import Providers
from keystead_contracts.people import IdentityProviderPublished


def project_provider(providers: Providers, fact: IdentityProviderPublished, now: datetime) -> bool:
    """Stores the provider as `fact` says, in the inbox's transaction, to be read at once; False if a newer version is
    known (facts come in any order)."""
    return providers.put(
        IdentityProvider(
            id=fact.identity_provider_id,
            version=fact.version,
            name=fact.name,
            kind=fact.kind,
            metadata_url=fact.metadata_url,
            metadata_xml=fact.metadata_xml,
            metadata_certificate=fact.metadata_certificate,
            issuer=fact.issuer,
            client_id=fact.client_id,
            client_secret_name=fact.client_secret_name,
            attributes=fact.attributes,
            organization_ids=tuple(fact.organization_ids),
            for_persons=fact.for_persons,
            for_administrators=fact.for_administrators,
            idp_initiated=fact.idp_initiated,
            withdrawn=fact.withdrawn,
        ),
        now,
    )
