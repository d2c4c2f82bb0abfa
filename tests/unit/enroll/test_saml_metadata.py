"""A first look at metadata that somebody pasted."""

from __future__ import annotations

import pytest
from tests.support.administrators import IDP_METADATA

from keystead_enroll.domain.saml_metadata import METADATA, MetadataRefused, check_metadata

LAUGHS = "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};">' for n in range(1, 30))


def test_metadata_of_an_identity_provider_and_of_a_federation_is_taken() -> None:
    assert check_metadata(IDP_METADATA) == IDP_METADATA
    federation = f'<EntitiesDescriptor xmlns="{METADATA}">{IDP_METADATA}</EntitiesDescriptor>'
    assert check_metadata(f'<?xml version="1.0" encoding="UTF-16"?>\n{federation}')


@pytest.mark.parametrize(("text", "why"), [
    ("https://idp.example/metadata", "metadata begins with"),
    (IDP_METADATA[:-5], "mistake on line 1"),
    ("<html><body/></html>", "it is a “html”"),
    ("<EntityDescriptor/>", "not an EntityDescriptor"),
    (IDP_METADATA.replace("IDPSSO", "SPSSO"), "no IDPSSODescriptor"),
    (f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><a>&a29;</a>', "DOCTYPE"),
])  # fmt: skip
def test_what_is_none_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(MetadataRefused, match=why):
        check_metadata(text)
