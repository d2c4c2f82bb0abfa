"""Take in what enroll published of a Person."""

from __future__ import annotations

from keystead_auth.domain.persons import KnownPerson
from keystead_auth.ports import Persons
from keystead_contracts.people import PersonPublished


def project_person(persons: Persons, fact: PersonPublished) -> bool:
    """Stores the person as `fact` says, in the inbox's transaction; False if a newer version is known. Of a removed one
    no Secret ID is kept."""
    return persons.put(
        KnownPerson(
            id=fact.person_id,
            version=fact.version,
            organization_id=fact.organization_id,
            email=fact.email.lower(),
            name=fact.name,
            secret_id_hash=None if fact.removed else fact.secret_id_hash,
            removed=fact.removed,
        )
    )
