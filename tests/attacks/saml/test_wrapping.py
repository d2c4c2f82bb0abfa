"""Signature wrapping in every shape: refused before any key is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.attacks.saml.forge import (
    Forge,
)
from tests.attacks.saml.service import Service
from tests.attacks.saml.wrapping import SHAPES

from keystead_auth.domain import idp_errors as refusals


@pytest.mark.parametrize("wrap", SHAPES, ids=lambda wrap: wrap.__name__)
def test_a_wrapped_signature_is_refused_unseen(service: Service, forge: Forge, wrap: Callable[[Forge], str]) -> None:
    with pytest.raises((refusals.DocumentRefused, refusals.SignatureRefused)):
        service.take(wrap(forge))
    assert service.verifier.asked == 0
