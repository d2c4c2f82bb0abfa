"""TPM manufacturers' certificates and revocation lists on disk, as the service reads them at its start: a bundle that
`keystead ek-roots update` made, or a folder of files as somebody put them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from keystead_enroll.adapters.ek_bundle import MANIFEST, read_bundle
from keystead_enroll.adapters.ek_files import (
    CERTIFICATES,
    LISTS,
    certificates_in,
    file_refused,
    folder_files,
    lists_in,
    public_key_in,
)
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.endorsement_certificate import Certificate
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.revocation_lists import RevocationList, revoked_by


def load_roots(folder: Path | None, key_file: Path | None = None) -> EkRoots:
    """The manufacturers' certificates: what signed itself is a root, what another signed an intermediate. With the
    operator's public key in `key_file` they are those of a bundle that this key signed, and of nothing else. Nothing
    without a folder. Raises EkRootsUnusable, which names the file."""
    if folder is None:
        return EkRoots()
    contents: Mapping[Path, bytes]
    if key_file is not None or (folder / MANIFEST).exists():
        contents = read_bundle(folder, public_key_in(key_file) if key_file else None).contents
    else:
        contents = folder_files(folder, CERTIFICATES | LISTS)
    certificates: dict[bytes, Certificate] = {}
    lists: list[tuple[Path, RevocationList]] = []
    for file, content in contents.items():
        try:
            if file.suffix.lower() in CERTIFICATES:
                certificates |= {each.raw: each for each in certificates_in(content)}
            elif file.suffix.lower() in LISTS:
                lists += [(file, each) for each in lists_in(content)]
        except DerMalformed as error:
            raise file_refused(file, error) from error
    kinds: dict[bool, list[Certificate]] = {True: [], False: []}
    for each in certificates.values():
        kinds[is_root(each)].append(each)
    roots, others = tuple(kinds[True]), tuple(kinds[False])
    return EkRoots(roots, others, revoked_by(_signed(lists, (*roots, *others))))


def is_root(certificate: Certificate) -> bool:
    """Whether it signed itself."""
    return certificate.subject == certificate.issuer and certificate.is_signed_by(certificate)


def signer_of(revocation_list: RevocationList, authorities: Iterable[Certificate]) -> Certificate | None:
    """The one that signed the list."""
    return next((each for each in authorities if revocation_list.is_signed_by(each)), None)


def _signed(
    lists: Iterable[tuple[Path, RevocationList]], authorities: tuple[Certificate, ...]
) -> list[tuple[RevocationList, Certificate]]:
    found: list[tuple[RevocationList, Certificate]] = []
    for file, each in lists:
        signer = signer_of(each, authorities)
        if signer is None:
            raise EkRootsUnusable(
                f"{file} is signed by none of the certificates beside it",
                "Add its issuer's certificate, or take the revocation list out of the folder.",
            )
        found.append((each, signer))
    return found
