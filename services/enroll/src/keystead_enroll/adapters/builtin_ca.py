"""The built-in CA with its keys in files: where the files are, and signing with the issuing key."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from keystead_enroll.domain.certificates import (
    SigningKey,
    authority_key_identifier,
    pem,
    sign_tbs,
    signature_hash,
)
from keystead_enroll.domain.errors import CaFilesExist, CaKeyMismatch, CaUnusable, IntentNotSignable, ListNotSignable
from keystead_enroll.domain.keys import same_key, supported_key
from keystead_enroll.domain.tbs import Tbs, TbsMalformed, parse_tbs
from keystead_kit.setting_types import LEAST_PASSPHRASE_OCTETS

ROOT_CERTIFICATE, ROOT_KEY = "root.pem", "root.key"
ISSUING_CERTIFICATE, ISSUING_KEY = "issuing.pem", "issuing.key"
_BASIC_CONSTRAINTS, _AUTHORITY_KEY_IDENTIFIER = bytes.fromhex("551d13"), bytes.fromhex("551d23")
_END_ENTITY = bytes.fromhex("3000")
"""BasicConstraints with their defaults: no CA, no path length (RFC 5280 section 4.2.1.9)."""


class _MadeCa(Protocol):
    """What `CaFolder.save` stores."""

    @property
    def root(self) -> x509.Certificate: ...
    @property
    def root_key(self) -> ec.EllipticCurvePrivateKey: ...
    @property
    def issuing(self) -> x509.Certificate: ...
    @property
    def issuing_key(self) -> ec.EllipticCurvePrivateKey: ...


class CaFolder:
    """The files of a built-in CA: `root.pem`, `issuing.pem` (mode 0644), `issuing.key` and, in `root_folder` if that is
    given (a medium to be taken offline), `root.key` (PKCS#8, mode 0600; encrypted if there is a passphrase)."""

    def __init__(
        self,
        folder: Path,
        *,
        root_folder: Path | None = None,
        issuing_passphrase: bytes | None = None,
        root_passphrase: bytes | None = None,
    ) -> None:
        self._folder = folder
        self._root_folder = root_folder or folder
        self._issuing_passphrase = issuing_passphrase
        self._root_passphrase = root_passphrase

    def refuse_existing(self) -> None:
        """Raises CaFilesExist if one of the files is there."""
        for path in (
            *(self._folder / name for name in (ROOT_CERTIFICATE, ISSUING_CERTIFICATE, ISSUING_KEY)),
            self._root_key,
        ):
            if path.is_symlink() or path.exists():
                raise CaFilesExist(f"{path} exists already; nothing was written")

    @property
    def _root_key(self) -> Path:
        return self._root_folder / ROOT_KEY

    def save(self, ca: _MadeCa) -> None:
        """Writes all files, each complete or not at all, the issuing certificate last; on an error takes back those
        that were written. Raises CaFilesExist, and CaUnusable when a folder cannot be written or a passphrase is
        too short."""
        files = (
            (self._root_key, _private_key_pem(ca.root_key, "root", self._root_passphrase), 0o600),
            (
                self._folder / ISSUING_KEY,
                _private_key_pem(ca.issuing_key, "issuing CA", self._issuing_passphrase),
                0o600,
            ),
            (self._folder / ROOT_CERTIFICATE, pem(ca.root).encode(), 0o644),
            (self._folder / ISSUING_CERTIFICATE, pem(ca.issuing).encode(), 0o644),
        )
        written: list[Path] = []
        try:
            for folder in {self._folder, self._root_folder}:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path, content, mode in files:
                _write_new(path, content, mode)
                written.append(path)
        except OSError as error:
            _remove(written)
            raise CaUnusable(f"the CA could not be written: {error}", "Give a folder that can be written.") from error
        except CaFilesExist:
            _remove(written)
            raise


class BuiltinCa:
    """The issuing CA, ready to sign. Made by `open`."""

    def __init__(self, key: SigningKey, issuing: x509.Certificate, root: x509.Certificate) -> None:
        """Raises CaKeyMismatch, CaUnusable if the three do not belong together or `issuing` is no CA certificate."""
        if not same_key(supported_key(issuing.public_key()), key.public_key()):
            raise CaKeyMismatch("the issuing CA's private key does not belong to its certificate")
        _check_issuing(issuing, root)
        self._key = key
        self._issuing = issuing
        self._key_identifier = authority_key_identifier(issuing).public_bytes()
        self._name, self._ends = issuing.subject.public_bytes(), issuing.not_valid_after_utc
        self._chain, self._root_pem = [pem(issuing)], pem(root)

    @classmethod
    def open(cls, folder: Path, *, now: datetime, passphrase: bytes | None = None) -> BuiltinCa:
        """The CA in `folder` (see `CaFolder`). `now` is aware.

        Raises CaUnusable if a file is missing or unreadable, the key file can be read by others, the passphrase is
        wrong, missing or superfluous, or a certificate is not valid now; CaKeyMismatch if key and certificate differ.
        """
        issuing, root = (_read_certificate(folder / name) for name in (ISSUING_CERTIFICATE, ROOT_CERTIFICATE))
        ca = cls(_read_key(folder / ISSUING_KEY, passphrase), issuing, root)
        for certificate, what in ((issuing, "issuing CA"), (root, "root")):
            if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
                raise CaUnusable(
                    f"the {what} certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} "
                    f"to {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC, not now",
                    "Check the machine's clock; make a new CA if the old one has ended.",
                )
        return ca

    @property
    def issuer_certificate(self) -> x509.Certificate:
        """The certificate of the issuing CA."""
        return self._issuing

    @property
    def chain(self) -> list[str]:
        """PEM certificates, issuing CA first, without the root."""
        return list(self._chain)

    @property
    def root(self) -> str:
        """The root's PEM certificate."""
        return self._root_pem

    def sign(self, precertificate_der: bytes) -> bytes:
        """The certificate (DER) whose intent is `precertificate_der`, signed by the issuing key.

        The signature is over the intent's own to-be-signed octets. Raises IntentNotSignable if the intent is not an
        end-entity certificate of this CA, if the result does not hold those octets, or if the new signature does not
        verify: then nothing leaves this method.
        """
        try:
            intent = parse_tbs(precertificate_der)
        except TbsMalformed as error:
            raise IntentNotSignable(f"the stored intent cannot be read: {error}") from error
        self._check_intent(intent)
        try:
            signed = sign_tbs(intent, self._key)
            certificate = x509.load_der_x509_certificate(signed)
            ends = certificate.not_valid_after_utc
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise IntentNotSignable(f"the stored intent cannot be signed: {error}") from error
        if certificate.tbs_certificate_bytes != intent.raw:
            raise IntentNotSignable("the certificate to sign differs from its stored intent")
        if ends > self._ends:
            raise IntentNotSignable("the stored intent ends after the issuing CA's certificate")
        try:
            certificate.verify_directly_issued_by(self._issuing)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise IntentNotSignable("the new signature does not verify with the issuing CA's certificate") from error
        return signed

    @property
    def signs_lists(self) -> bool:
        """Whether its certificate allows it to sign revocation lists (keyUsage cRLSign, RFC 5280 section 4.2.1.3)."""
        return self._issuing.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> bytes:
        """The revocation list (DER) that `builder` describes, signed by the issuing key. Raises ListNotSignable if
        this CA may sign none, if the list is another CA's, or if the new signature does not verify."""
        if not self.signs_lists:
            raise ListNotSignable("the issuing CA's certificate does not allow it to sign revocation lists")
        try:
            signed = builder.sign(self._key, signature_hash(self._key))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ListNotSignable(f"the revocation list cannot be signed: {error}") from error
        if signed.issuer != self._issuing.subject:
            raise ListNotSignable("the revocation list is that of another CA")
        if not signed.is_signature_valid(supported_key(self._issuing.public_key())):
            raise ListNotSignable("the new signature does not verify with the issuing CA's certificate")
        return signed.public_bytes(Encoding.DER)

    def _check_intent(self, intent: Tbs) -> None:
        constraints = intent.extension(_BASIC_CONSTRAINTS)
        key_identifier = intent.extension(_AUTHORITY_KEY_IDENTIFIER)
        if constraints is None or key_identifier is None:
            raise IntentNotSignable("the stored intent lacks basic constraints or the CA's key identifier")
        if constraints.value != _END_ENTITY:
            raise IntentNotSignable("the stored intent is a CA certificate")
        if len({extension.oid for extension in intent.extensions}) != len(intent.extensions):
            raise IntentNotSignable("the stored intent has an extension twice (RFC 5280 section 4.2)")
        if intent.issuer != self._name or key_identifier.value != self._key_identifier:
            raise IntentNotSignable("the stored intent is that of another CA")


def _check_issuing(issuing: x509.Certificate, root: x509.Certificate) -> None:
    try:
        root.verify_directly_issued_by(root)
        issuing.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        raise CaUnusable("the issuing CA's certificate is not issued by the root beside it") from None
    try:
        constraints = issuing.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuing.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise CaUnusable("the issuing CA's certificate lacks basic constraints or key usage") from None
    if not constraints.ca or not usage.key_cert_sign:
        raise CaUnusable("the issuing CA's certificate may not sign certificates")


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CaUnusable(f"{path} cannot be read: {error.strerror}", "Make the CA with `keystead ca init`.") from error
    except (ValueError, x509.InvalidVersion) as error:
        raise CaUnusable(f"{path} is not a PEM certificate") from error


def _read_key(path: Path, passphrase: bytes | None) -> SigningKey:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise CaUnusable(f"{path} has mode {mode:04o}: others may use the CA's key", f"chmod 0600 {path}")
            content = file.read()
    except OSError as error:
        raise CaUnusable(f"{path} cannot be read: {error.strerror}", "Make the CA with `keystead ca init`.") from error
    try:
        key = load_pem_private_key(content, passphrase)
    except TypeError as error:
        text = (
            "is encrypted, but no passphrase is set"
            if passphrase is None
            else "is not encrypted, but a passphrase is set"
        )
        raise CaUnusable(f"{path} {text}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CaUnusable(f"{path} is not a PEM private key, or its passphrase is another") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CaUnusable(f"{path} is neither an RSA nor an EC key")
    return key


def _private_key_pem(key: SigningKey, whose: str, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if len(passphrase) < LEAST_PASSPHRASE_OCTETS:
        raise CaUnusable(
            f"the passphrase for the {whose}'s key has fewer than {LEAST_PASSPHRASE_OCTETS} octets",
            "Make a longer one: openssl rand -hex 32",
        )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Writes a file beside `path`, makes it durable and links it to `path`, which must not exist: no reader ever sees
    a part, and nothing is overwritten. Raises CaFilesExist, OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
        _sync_folder(path.parent)
    except FileExistsError:
        raise CaFilesExist(f"{path} exists already; nothing was written") from None
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
