"""A bundle of TPM manufacturers' certificates and revocation lists: a folder with a manifest, which an operator signed.

The manifest names every file with its SHA-256; a file too many is a mistake like one that is not there. The signature
is Ed25519 over the manifest's octets, in base64: `openssl pkeyutl -verify -rawin` understands it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from keystead_enroll.adapters.ek_files import file_content, folder_files
from keystead_enroll.domain.errors import EkRootsUnusable

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MADE_ANEW = "Make the bundle anew with `keystead ek-roots update`, and copy the folder as a whole."
MOST_NAMED = 5


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Below the manifest's folder, with slashes."""
    sha256: str


class BundledCertificate(_Entry):
    """A certificate; `vendor` is the folder in which it was, `root`: whether it signed itself."""

    subject: str
    vendor: str
    root: bool
    not_before: AwareDatetime
    not_after: AwareDatetime


class BundledList(_Entry):
    """A revocation list, and how many certificates it takes back."""

    issuer: str
    this_update: AwareDatetime
    next_update: AwareDatetime | None
    revoked: int


class Manifest(BaseModel):
    """What is in a bundle, what it was made of, and when. `version` grows with each bundle at a place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["keystead-ek-roots-1"] = "keystead-ek-roots-1"
    version: int
    made_at: AwareDatetime
    source: str
    source_sha256: str
    """Of the source, if that was a file."""
    certificates: tuple[BundledCertificate, ...]
    revocation_lists: tuple[BundledList, ...] = ()

    @property
    def entries(self) -> tuple[_Entry, ...]:
        """All files."""
        return (*self.certificates, *self.revocation_lists)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says. `signed`: whether there is a signature, checked or not."""

    manifest: Manifest
    contents: Mapping[Path, bytes]
    signed: bool


def read_bundle(folder: Path, key: Ed25519PublicKey | None = None) -> Bundle:
    """The bundle in `folder`; with `key` it has to have signed it. Raises EkRootsUnusable."""
    files = folder_files(folder)
    text, signature = files.pop(folder / MANIFEST, None), files.pop(folder / SIGNATURE, None)
    if text is None:
        raise EkRootsUnusable(
            f"{folder} has no {MANIFEST}, and only what an operator signed is taken",
            "Make it with `keystead ek-roots update --sign-with`, or take KEYSTEAD_ENROLL_EK_ROOTS_KEY_FILE away.",
        )
    if key is not None:
        _verify(folder, text, signature, key)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise EkRootsUnusable(f"{folder / MANIFEST} is no manifest of this release", MADE_ANEW) from error
    found = {
        file.relative_to(folder).as_posix(): hashlib.sha256(content).hexdigest() for file, content in files.items()
    }
    listed = {entry.file: entry.sha256 for entry in manifest.entries}
    if found != listed:
        raise EkRootsUnusable(f"{folder} is not what its manifest says: {_differences(found, listed)}", MADE_ANEW)
    return Bundle(manifest, files, signature is not None)


def write_bundle(
    folder: Path, manifest: Manifest, contents: Mapping[str, bytes], key: Ed25519PrivateKey | None
) -> None:
    """Puts a bundle in the place of the one in `folder`, whole or not at all. Raises EkRootsUnusable."""
    text = manifest.model_dump_json(indent=1).encode() + b"\n"
    files = {**contents, MANIFEST: text}
    if key is not None:
        files[SIGNATURE] = base64.b64encode(key.sign(text)) + b"\n"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            fresh, old = Path(beside) / "new", Path(beside) / "old"
            for name, content in files.items():
                file = fresh / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            if folder.exists():
                folder.rename(old)
            try:
                fresh.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise EkRootsUnusable(
            f"{folder} cannot be written: {error.strerror}", "Name another folder with --folder."
        ) from error


def former_manifest(folder: Path) -> Manifest | None:
    """The manifest of the bundle that is in `folder` now; None if there is none. Raises EkRootsUnusable if there is
    something else, which an update would destroy."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not (folder / MANIFEST).is_file():
        raise EkRootsUnusable(
            f"{folder} is there and is no bundle; nothing was written", "Name another folder with --folder."
        )
    try:
        return Manifest.model_validate_json(file_content(folder / MANIFEST))
    except ValidationError as error:
        raise EkRootsUnusable(f"{folder / MANIFEST} is no manifest of this release", "Move the folder away.") from error


def _verify(folder: Path, text: bytes, signature: bytes | None, key: Ed25519PublicKey) -> None:
    if signature is None:
        raise EkRootsUnusable(f"{folder} is not signed", "Make it anew with `keystead ek-roots update --sign-with`.")
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), text)
    except (InvalidSignature, binascii.Error) as error:
        raise EkRootsUnusable(
            f"{folder / MANIFEST} is not signed with the key in KEYSTEAD_ENROLL_EK_ROOTS_KEY_FILE",
            "Whoever made it used another key, or somebody changed it. Ask them; until then use the bundle before.",
        ) from error


def _differences(found: Mapping[str, str], listed: Mapping[str, str]) -> str:
    wrong: Sequence[str] = [
        *(f"{name} is missing" for name in sorted(listed.keys() - found.keys())),
        *(f"{name} is one too many" for name in sorted(found.keys() - listed.keys())),
        *(f"{name} was changed" for name in sorted(found.keys() & listed.keys()) if found[name] != listed[name]),
    ]
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    return ", ".join(wrong[:MOST_NAMED]) + more
