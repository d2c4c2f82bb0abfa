"""Makes a bundle of TPM manufacturers' certificates from a source, and says what is to be known of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keystead_enroll.adapters.ek_bundle import (
    BundledCertificate,
    BundledList,
    Manifest,
    former_manifest,
    write_bundle,
)
from keystead_enroll.adapters.ek_fetch import Fetcher, fetch_into
from keystead_enroll.adapters.ek_files import certificates_in, file_content, file_refused
from keystead_enroll.adapters.ek_roots import is_root, signer_of
from keystead_enroll.adapters.ek_sources import read_source
from keystead_enroll.domain.endorsement_certificate import Certificate, name_text
from keystead_enroll.domain.lenient_der import DerMalformed

SOON = timedelta(days=90)


@dataclass(frozen=True)
class Updated:
    """A bundle that was made, the one before, and what is not in it: file or address → reason."""

    manifest: Manifest
    former: Manifest | None
    left_out: dict[str, str]


def update_bundle(
    folder: Path,
    place: Path,
    now: datetime,
    *,
    key: Ed25519PrivateKey | None = None,
    fetcher: Fetcher | None = None,
    samples: Sequence[Path] = (),
) -> Updated:
    """Makes the bundle in `folder` from a cab file or a folder, and with `fetcher` from what its certificates and those
    in the files `samples` name. Raises EkRootsUnusable; then the bundle before stays."""
    former = former_manifest(folder)
    shown = [each for file in samples for each in _certificates(file)]
    source = read_source(place)
    left_out = dict(source.left_out)
    if fetcher is not None:
        left_out |= fetch_into(source, shown, fetcher)
    authorities = [each for each, _ in source.certificates.values()]
    for raw, each in list(source.lists.items()):
        if signer_of(each, authorities) is None:
            del source.lists[raw]
            left_out[name_text(each.issuer)] = "its revocation list is signed by none of the certificates"
    contents: dict[str, bytes] = {}
    certificates = []
    for certificate, vendor in source.certificates.values():
        certificates.append(_certificate(certificate, vendor))
        contents[certificates[-1].file] = certificate.raw
    lists = []
    for each in source.lists.values():
        digest = hashlib.sha256(each.raw).hexdigest()
        file = f"lists/{digest}.crl"
        contents[file] = each.raw
        lists.append(
            BundledList(
                file=file, sha256=digest, issuer=name_text(each.issuer), this_update=each.this_update,
                next_update=each.next_update, revoked=len(each.serials),
            )
        )  # fmt: skip
    manifest = Manifest(
        version=former.version + 1 if former else 1,
        made_at=now.replace(microsecond=0),
        source=place.name,
        source_sha256=hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() else "",
        certificates=tuple(sorted(certificates, key=lambda each: each.file)),
        revocation_lists=tuple(sorted(lists, key=lambda each: each.file)),
    )
    write_bundle(folder, manifest, contents, key)
    return Updated(manifest, former, left_out)


def concerns(manifest: Manifest, now: datetime) -> list[str]:
    """What an operator should do something about, though the bundle is whole: what ends soon, lists that are out of
    date, roots that are not there. That certificates of old TPMs ended is nothing of the kind."""
    told = [
        f"{each.subject or each.file} ({each.vendor}) ends on {each.not_after:%Y-%m-%d}"
        for each in manifest.certificates
        if now <= each.not_after < now + SOON
    ]
    told += [
        f"the revocation list of {each.issuer} is out of date since {each.next_update:%Y-%m-%d}: what it names stays "
        "revoked, what came later is not known"
        for each in manifest.revocation_lists
        if each.next_update and each.next_update < now
    ]
    if not any(each.root for each in manifest.certificates):
        told.append("there is no root: no manufacturer can vouch for a TPM")
    return told


def _certificate(certificate: Certificate, vendor: str) -> BundledCertificate:
    digest = hashlib.sha256(certificate.raw).hexdigest()
    return BundledCertificate(
        file=f"certificates/{vendor}/{digest}.der",
        sha256=digest,
        subject=certificate.subject_text,
        vendor=vendor,
        root=is_root(certificate),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )


def _certificates(file: Path) -> Iterable[Certificate]:
    try:
        return certificates_in(file_content(file))
    except DerMalformed as error:
        raise file_refused(file, error) from error
