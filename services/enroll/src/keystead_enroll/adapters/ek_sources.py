"""What manufacturers' certificates come from: Microsoft's TrustedTpm.cab, or a folder of files."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from keystead_enroll.adapters.ek_files import CERTIFICATES, LISTS, certificates_in, folder_files, lists_in
from keystead_enroll.domain.endorsement_certificate import Certificate
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.revocation_lists import RevocationList

CABEXTRACT = "cabextract"
SECONDS = 120
_CAB = b"MSCF"
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class Source:
    """Certificates of authorities by the vendor's folder in which they were, revocation lists, and what was left out,
    with the reason."""

    certificates: dict[bytes, tuple[Certificate, str]] = field(default_factory=dict)
    lists: dict[bytes, RevocationList] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, certificate: Certificate, vendor: str) -> bool:
        """Adds an authority; False if it is none or there already."""
        if not certificate.authority[0] or certificate.raw in self.certificates:
            return False
        self.certificates[certificate.raw] = (certificate, vendor)
        return True

    def take(self, files: Mapping[PurePosixPath, bytes]) -> None:
        """Adds what is in files, by their names."""
        for file, content in files.items():
            try:
                if file.suffix.lower() in CERTIFICATES:
                    for each in certificates_in(content):
                        if not self.add(each, vendor_of(file)) and each.raw not in self.certificates:
                            self.left_out[str(file)] = "it is no authority's certificate"
                elif file.suffix.lower() in LISTS:
                    self.lists |= {each.raw: each for each in lists_in(content)}
            except DerMalformed as error:
                self.left_out[str(file)] = str(error)


def read_source(place: Path) -> Source:
    """What is in a cab file or a folder. Raises EkRootsUnusable."""
    source = Source()
    if place.is_dir():
        source.take(_named(place))
    else:
        with tempfile.TemporaryDirectory(prefix="keystead-ek-roots-") as unpacked:
            _unpack(place, Path(unpacked))
            source.take(_named(Path(unpacked)))
    if not source.certificates:
        raise EkRootsUnusable(f"{place} has no authority's certificate in it", "Name TrustedTpm.cab or a folder.")
    return source


def vendor_of(file: PurePosixPath) -> str:
    """The first folder on the way to a file, as it can be a folder's name anywhere."""
    return _STRANGE.sub("-", file.parts[0]).strip(".-") or "other" if len(file.parts) > 1 else "other"


def _named(folder: Path) -> dict[PurePosixPath, bytes]:
    found = folder_files(folder, CERTIFICATES | LISTS)
    return {PurePosixPath(file.relative_to(folder).as_posix()): content for file, content in found.items()}


def _unpack(cab: Path, folder: Path) -> None:
    try:
        with cab.open("rb") as opened:
            is_cab = opened.read(len(_CAB)) == _CAB
    except OSError as error:
        raise EkRootsUnusable(f"{cab} cannot be read: {error.strerror}", "Name TrustedTpm.cab or a folder.") from error
    if not is_cab:
        raise EkRootsUnusable(f"{cab} is neither a cab file nor a folder", "Name TrustedTpm.cab or a folder.")
    tool = shutil.which(CABEXTRACT)
    if tool is None:
        raise EkRootsUnusable(
            f"{cab} cannot be unpacked: there is no {CABEXTRACT} on this machine",
            "Install it (Debian: apt-get install cabextract), or unpack the file elsewhere and name the folder.",
        )
    command = [tool, "--quiet", "--directory", str(folder), "--", str(cab.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise EkRootsUnusable(f"{cab} was not unpacked in {SECONDS} seconds", "See whether it is whole.") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it is damaged"]
        raise EkRootsUnusable(f"{cab} cannot be unpacked: {reason[0]}", "Download it again.")
