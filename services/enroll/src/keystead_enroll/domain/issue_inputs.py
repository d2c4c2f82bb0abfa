"""What a program sends that brings its own certificate signing request; see `domain.inputs`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from keystead_enroll.domain.csr import MAX_CSR_CHARACTERS
from keystead_enroll.domain.inputs import Input, one_line
from keystead_enroll.domain.people_inputs import Email

Id = Annotated[str, StringConstraints(max_length=32)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=253), AfterValidator(one_line)]


class CertificateRequestInput(Input):
    """A certificate signing request, and what the certificate shall be. The names come from here and from the profile;
    of the CSR only the key counts, and a name in it that is not here is refused."""

    organization_id: Id
    department_id: Id | None = None
    profile_id: Id
    csr: str = Field(max_length=MAX_CSR_CHARACTERS, description="PKCS#10 in PEM")
    term_days: int | None = Field(None, ge=1, le=3650, description="one of the profile's; its first if left out")
    owner: Email | None = Field(
        None, description="e-mail address of whose the certificate is; needed for client certificates"
    )
    owner_name: Line = Field("", description="the owner's name, for profiles that have it in the certificate")
    device_name: Line = Field("", description="needed for device certificates")
    serial_number: Line = Field("", description="the device's, for profiles that have it in the certificate")
    dns_names: list[Line] = Field(
        default_factory=list, max_length=100, description="host names of a server; needed for SSL certificates"
    )
