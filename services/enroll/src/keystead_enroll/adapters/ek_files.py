"""Files with certificates, revocation lists and keys: what is in them, whatever they are called."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator
from errno import ENOTDIR
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from keystead_enroll.domain.endorsement_certificate import Certificate, read_certificate
from keystead_enroll.domain.errors import EkRootsUnusable
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.revocation_lists import RevocationList, read_revocation_list

CERTIFICATES, LISTS = frozenset({".pem", ".crt", ".cer", ".der"}), frozenset({".crl"})
"""Endings of files with certificates and with revocation lists, each in PEM or DER; others are left alone."""
MOST_OCTETS = 32 * 1024 * 1024
MAKE_KEY = "Make one: openssl genpkey -algorithm ed25519 -out operator.key"
_PEM = re.compile(rb"-----BEGIN (?:CERTIFICATE|X509 CRL)-----\s*(.*?)-----END (?:CERTIFICATE|X509 CRL)-----", re.DOTALL)


def certificates_in(content: bytes) -> list[Certificate]:
    """The certificates in a file. Raises DerMalformed."""
    return [read_certificate(each) for each in _blocks(content)]


def lists_in(content: bytes) -> list[RevocationList]:
    """The revocation lists in a file. Raises DerMalformed."""
    return [read_revocation_list(each) for each in _blocks(content)]


def folder_files(folder: Path, suffixes: Collection[str] | None = None) -> dict[Path, bytes]:
    """The files with these endings, or all, in a folder and below it, by their names. Raises EkRootsUnusable."""
    try:
        if not folder.is_dir():
            raise NotADirectoryError(ENOTDIR, "there is no such folder")
        found = sorted(each for each in folder.rglob("*") if not each.is_dir())
        wanted = [each for each in found if suffixes is None or each.suffix.lower() in suffixes]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return {file: file_content(file) for file in wanted}


def file_content(file: Path) -> bytes:
    """What is in a file. Raises EkRootsUnusable."""
    try:
        if not file.is_file():
            raise FileNotFoundError(2, "it is no file")
        with file.open("rb") as opened:
            content = opened.read(MOST_OCTETS + 1)
    except OSError as error:
        raise _unreadable(file, error) from error
    if len(content) > MOST_OCTETS:
        raise EkRootsUnusable(f"{file} has more than {MOST_OCTETS // 2**20} MiB", "Take it out of the folder.")
    return content


def file_refused(file: Path, error: DerMalformed) -> EkRootsUnusable:
    """What is said of a file whose content cannot be read."""
    kind = "revocation list" if file.suffix.lower() in LISTS else "certificate"
    return EkRootsUnusable(
        f"{file} is no {kind} in PEM or DER: {error}", "Replace the file, or take it out of the folder."
    )


def public_key_in(file: Path) -> Ed25519PublicKey:
    """An operator's public key, SubjectPublicKeyInfo in PEM. Raises EkRootsUnusable."""
    try:
        key = load_pem_public_key(file_content(file))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise EkRootsUnusable(
            f"{file} is no Ed25519 public key in PEM",
            f"Its file is made with: openssl pkey -in operator.key -pubout -out {file.name}",
        )
    return key


def private_key_in(file: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """An operator's private key, PKCS#8 in PEM. Raises EkRootsUnusable."""
    try:
        key = load_pem_private_key(file_content(file), passphrase)
    except TypeError as error:
        advice = "Name a file that holds it with --passphrase-file." if passphrase is None else "Leave it out."
        raise EkRootsUnusable(f"{file}: {error}", advice) from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise EkRootsUnusable(f"{file} is no Ed25519 private key in PEM, or its passphrase is another", MAKE_KEY)
    return key


def _blocks(content: bytes) -> Iterator[bytes]:
    blocks = _PEM.findall(content)
    if not blocks:
        yield content
    for block in blocks:
        try:
            yield base64.b64decode(block, validate=False)
        except ValueError as error:
            raise DerMalformed("what stands between BEGIN and END is no base64") from error


def _unreadable(place: Path, error: OSError) -> EkRootsUnusable:
    return EkRootsUnusable(f"{place} cannot be read: {error.strerror}", "Let this user read it, or name another.")
