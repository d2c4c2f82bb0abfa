"""TPM manufacturers' certificates on disk: a folder of files, as somebody put them there."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from errno import ENOTDIR
from pathlib import Path

from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.endorsement_certificate import Certificate, read_certificate
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.domain.lenient_der import DerMalformed

SUFFIXES = frozenset({".pem", ".crt", ".cer", ".der"})
"""Of files with certificates, in PEM or DER whatever they are called; others are left alone."""
MOST_OCTETS = 4 * 1024 * 1024
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s*(.*?)-----END CERTIFICATE-----", re.DOTALL)


def load_roots(folder: Path | None) -> EkRoots:
    """The manufacturers' certificates in the folder and those below it: what signed itself is a root, what another
    signed an intermediate. Nothing without a folder. Raises EkRootsUnusable, which names the file."""
    if folder is None:
        return EkRoots()
    found: dict[bytes, Certificate] = {}
    for file in _files(folder):
        found |= {each.raw: each for each in certificates_in(file)}
    roots = {raw: each for raw, each in found.items() if each.subject == each.issuer and each.is_signed_by(each)}
    others = tuple(each for raw, each in found.items() if raw not in roots)
    return EkRoots(tuple(roots.values()), others)


def certificates_in(file: Path) -> list[Certificate]:
    """The certificates in a file, in PEM or one in DER. Raises EkRootsUnusable."""
    try:
        content = _content(file)
        blocks = [base64.b64decode(block, validate=False) for block in _PEM.findall(content)] or [content]
        return [read_certificate(block) for block in blocks]
    except OSError as error:
        raise _unreadable(file, error) from error
    except (DerMalformed, binascii.Error) as error:
        raise EkRootsUnusable(
            f"{file} is no certificate in PEM or DER: {error}", "Replace the file, or take it out of the folder."
        ) from error


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(MOST_OCTETS + 1)
    if len(content) > MOST_OCTETS:
        raise DerMalformed("the file is too large")
    return content


def _files(folder: Path) -> Iterator[Path]:
    try:
        if not folder.is_dir():
            raise NotADirectoryError(ENOTDIR, "there is no such folder")
        yield from sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(place: Path, error: OSError) -> EkRootsUnusable:
    return EkRootsUnusable(
        f"{place} cannot be read: {error.strerror}",
        "Let the service's user read it, or name another folder in KEYSTEAD_ENROLL_EK_ROOTS_FOLDER.",
    )
