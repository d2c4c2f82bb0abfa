"""The certificate stores of Windows: the certificate in My, its issuers in CA, the root in Root if policy says so; for
a key of the user in CurrentUser, for a key of the machine in LocalMachine.

An entry is noted (`made`) before it is put in, and put in before a folder says that the certificate is installed; what
no folder needs is taken out. So a crash at any point leaves nothing that the next `sweep` does not find.

Not seen on a Windows of Microsoft's by its makers: everything here ran under Wine, whose stores are the same to a
program but for three things: no key of CNG is acquired by a certificate, no question is asked before a root is added,
and every account may change the machine's stores.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keystead_agent.certstore import _crypt32 as w32
from keystead_agent.certstore._crypt32 import Crypt32, Crypt32Error, KeyProvInfo
from keystead_agent.certstore._crypt32_errors import explain
from keystead_agent.certstore.made import Entry, MadeEntries
from keystead_agent.certstore.pem import InstalledCertificate
from keystead_agent.certstore.platform import Placed, StoreEntry
from keystead_agent.errors import KeyMismatch, KeyStoreError, StoreUnwritable
from keystead_agent.keystore.base import PublicKey
from keystead_agent.settings import Settings
from keystead_agent.signatures import probe, public_key_of, verify

USER, MACHINE = "user", "machine"
_FLAGS = {USER: w32.CERT_SYSTEM_STORE_CURRENT_USER, MACHINE: w32.CERT_SYSTEM_STORE_LOCAL_MACHINE}
_NAMES = {USER: "CurrentUser", MACHINE: "LocalMachine"}
OWN_CONTAINERS = "tp-"
"""How the names of the agent's keys begin."""
NO_KEY_PROPERTY = 0x8009200B
"""CRYPT_E_NO_KEY_PROPERTY."""
LONGEST_NAME = 200
_log = logging.getLogger(__name__)


class KeysNotAcquired(KeyStoreError):
    """This system does not open keys of CNG by their certificates at all, as Wine does not."""


class CngKeys(Protocol):
    """What the stores need to know of keys that CNG keeps."""

    def named(self, key_file: str, blob: bytes) -> KeyProvInfo | None:
        """How a certificate names the key of `blob`; None if it is none of CNG's. Raises KeyLost if it is damaged."""

    def sign(self, handle: int, key: PublicKey, data: bytes) -> bytes:
        """A signature over `data`, in DER for ECDSA, by the key with NCRYPT_KEY_HANDLE `handle`. Raises
        KeyStoreError's kinds."""

    def explain(self, code: int) -> KeyStoreError:
        """The error for `code`, met while a key was opened."""


@dataclass(frozen=True)
class _Place:
    """Where a pair belongs."""

    location: str
    key: KeyProvInfo

    @classmethod
    def of(cls, key: KeyProvInfo) -> _Place:
        return cls(MACHINE if key.flags & w32.CRYPT_MACHINE_KEYSET else USER, key)


class WindowsStores:
    """A `PlatformStore`. Roots of the servers that `settings` name are trusted if `settings` say so."""

    def __init__(self, crypt32: Crypt32, made: MadeEntries, keys: CngKeys, settings: Settings) -> None:
        self._crypt32 = crypt32
        self._made = made
        self._keys = keys
        self._settings = settings

    def put(self, pair: InstalledCertificate) -> Placed:
        """See `PlatformStore`. A root that the person does not want to trust is no failure."""
        key = self._keys.named(pair.metadata.request.key_file, pair.blob)
        if key is None:
            return Placed()
        place = _Place.of(key)
        leaf, issuers, root = _certificates(pair)
        absent = {
            entry: encoded
            for encoded in issuers
            if not self._holds(entry := _entry(place.location, "CA", encoded), encoded)
        }
        self._made.note({_entry(place.location, "My", leaf), *absent})
        for entry, encoded in absent.items():
            with self._store(place.location, entry.store) as store, self._crypt32.certificate(encoded) as context:
                self._crypt32.add(store, context)
        self._put_own(place, leaf, friendly_name(pair), description(pair))
        return Placed(_title(place.location, "My"), self._trusts(place.location, root, pair.metadata.request.server))

    def sweep(self, kept: Iterable[InstalledCertificate]) -> None:
        """See `PlatformStore`. An issuer stays while any certificate in the stores names it. A root in the user's
        Root stays: Windows would ask a person who expects no question."""
        wanted = {entry for pair in kept for entry in self._wanted(pair)}
        left = self._made.all() - wanted
        while gone := {entry for entry in left if self._take_out(entry)}:  # an issuer after what it issued
            left -= gone

    def check(self, pair: InstalledCertificate) -> None:
        """See `PlatformStore`. On a system that acquires no keys by certificates what is in the store is all there is
        to check."""
        key = self._keys.named(pair.metadata.request.key_file, pair.blob)
        if key is None:
            return
        place, (leaf, _, _) = _Place.of(key), _certificates(pair)
        title = _title(place.location, "My")
        with self._store(place.location, "My", reading=True) as store:
            with self._crypt32.found(store, _sha1(leaf)) as context:
                if context is None:
                    raise StoreUnwritable(
                        f"the certificate is not in the certificate store {title}",
                        "It was taken out by another program or a person. Enroll again.",
                    )
                if self._crypt32.key(context) != key:
                    raise KeyMismatch(
                        f"the certificate in {title} names another key than the one that was made for it",
                        "Another program changed it. Enroll again.",
                    )
                try:
                    self._sign_by(context)
                except KeysNotAcquired as error:
                    _log.warning("key_not_acquired store=%s reason=%s", title, error.detail)

    def entries(self) -> Iterator[StoreEntry]:
        """See `PlatformStore`. Those of the user first."""
        for location in (USER, MACHINE):
            with self._store(location, "My", reading=True) as store:
                with closing(self._crypt32.certificates(store)) as contexts:
                    found = [entry for context in contexts if (entry := self._own(location, context)) is not None]
            yield from (entry for entry in found if self._holds(_entry(location, "My", entry.encoded), entry.encoded))

    def test(self, entry: StoreEntry) -> None:
        """See `PlatformStore`."""
        location = next(location for location in _NAMES if entry.store == _title(location, "My"))
        with self._store(location, "My", reading=True) as store:
            with self._crypt32.found(store, _sha1(entry.encoded)) as context:
                if context is None:
                    raise KeyMismatch(f"the certificate is no longer in {entry.store}", "List them again.")
                self._sign_by(context)

    def beforehand(self, server: str) -> str:
        """See `PlatformStore`."""
        if not self._settings.trusts_root_of(server):
            return ""
        return (
            f"This computer's policy is to trust the root certificate of {server}. Windows may ask whether to install "
            "it; without it the certificate works too, but this computer does not trust others of the same server."
        )

    def _take_out(self, entry: Entry) -> bool:
        """Whether the entry could go."""
        if (entry.location, entry.store) == (USER, "Root") or self._is_needed(entry):
            return False
        self._delete(entry)
        self._made.strike(entry)
        return True

    def _put_own(self, place: _Place, leaf: bytes, name: str, origin: str) -> None:
        with self._store(place.location, "My") as store, self._crypt32.certificate(leaf) as context:
            with self._crypt32.found(store, _sha1(leaf)) as found:
                known = found is not None and self._crypt32.key(found) == place.key
            if known:
                return
            self._crypt32.set_key(context, place.key)
            self._crypt32.set_text(context, w32.CERT_FRIENDLY_NAME_PROP_ID, name)
            self._crypt32.set_text(context, w32.CERT_DESCRIPTION_PROP_ID, origin)
            self._crypt32.delete(store, _sha1(leaf))
            self._crypt32.add(store, context)

    def _own(self, location: str, context: int) -> StoreEntry | None:
        key = self._crypt32.key(context)
        if key is None or not key.container.startswith(OWN_CONTAINERS):
            return None
        return StoreEntry(
            store=_title(location, "My"),
            encoded=self._crypt32.encoded(context),
            friendly_name=self._crypt32.text(context, w32.CERT_FRIENDLY_NAME_PROP_ID),
            key_container=key.container,
            provider=key.provider,
        )

    def _trusts(self, location: str, root: bytes, server: str) -> bool:
        """Whether the root is trusted, after it was put in if policy says so."""
        entry = _entry(location, "Root", root)
        if self._shows(entry):
            return True
        if not self._settings.trusts_root_of(server):
            return False
        self._made.note({entry})
        try:
            with self._store(location, "Root") as store, self._crypt32.certificate(root) as context:
                self._crypt32.add(store, context)
        except StoreUnwritable as error:
            _log.warning("root_not_trusted server=%s reason=%s", server, error.detail)
            self._made.strike(entry)
            return False
        return True

    def _wanted(self, pair: InstalledCertificate) -> set[Entry]:
        key = self._keys.named(pair.metadata.request.key_file, pair.blob)
        if key is None:
            return set()
        location = _Place.of(key).location
        leaf, issuers, root = _certificates(pair)
        wanted = {_entry(location, "My", leaf), *(_entry(location, "CA", der) for der in issuers)}
        return wanted | ({_entry(location, "Root", root)} if pair.metadata.root_trusted else set())

    def _is_needed(self, entry: Entry) -> bool:
        """Whether a certificate of anybody's chains to this one, which is no end-entity certificate."""
        if entry.store == "My":
            return False
        with self._store(entry.location, entry.store, reading=True) as store:
            with self._crypt32.found(store, bytes.fromhex(entry.sha1)) as context:
                if context is None:
                    return False
                issuer = self._crypt32.encoded(context)
        if not self._holds(entry, issuer):
            return False
        subject = x509.load_der_x509_certificate(issuer).subject.public_bytes()
        return any(
            _issued_by(encoded, subject)
            for location in _FLAGS
            for name in ("My", "CA")
            for encoded in self._all(location, name)
            if encoded != issuer
        )

    def _all(self, location: str, name: str) -> list[bytes]:
        with self._store(location, name, reading=True) as store:
            with closing(self._crypt32.certificates(store)) as contexts:
                return [self._crypt32.encoded(context) for context in contexts]

    def _shows(self, entry: Entry) -> bool:
        """Whether the store shows the certificate, be it of the machine's."""
        with self._store(entry.location, entry.store, reading=True) as store:
            with self._crypt32.found(store, bytes.fromhex(entry.sha1)) as context:
                return context is not None and _is(entry, self._crypt32.encoded(context))

    def _holds(self, entry: Entry, encoded: bytes) -> bool:
        """Whether the certificate is in the store itself: the user's stores show the machine's too."""
        shown = self._all(entry.location, entry.store).count(encoded)
        return shown > (self._all(MACHINE, entry.store).count(encoded) if entry.location == USER else 0)

    def _delete(self, entry: Entry) -> None:
        """Deletes the entry, and nothing that only shows through from the machine's store."""
        with self._store(entry.location, entry.store, reading=True) as store:
            with self._crypt32.found(store, bytes.fromhex(entry.sha1)) as context:
                encoded = b"" if context is None else self._crypt32.encoded(context)
        if _is(entry, encoded) and self._holds(entry, encoded):
            with self._store(entry.location, entry.store) as store:
                self._crypt32.delete(store, bytes.fromhex(entry.sha1))

    def _sign_by(self, context: int) -> None:
        """Signs with the key that Windows finds by the certificate in `context`. Raises KeyMismatch, KeysNotAcquired,
        and KeyStoreError's kinds."""
        key = public_key_of(x509.load_der_x509_certificate(self._crypt32.encoded(context)))
        data = probe()
        try:
            handle = self._crypt32.acquire(context)
        except Crypt32Error as error:
            if error.code == NO_KEY_PROPERTY and self._crypt32.key(context) is not None:
                raise KeysNotAcquired(
                    "this system does not open keys by their certificates (0x8009200B), as Wine does not",
                    "Only Windows itself can run this test.",
                ) from error
            raise self._keys.explain(error.code) from error
        try:
            verify(key, self._keys.sign(handle, key, data), data)
        except InvalidSignature as error:
            raise KeyMismatch("the key that Windows finds is not that of the certificate", "Enroll again.") from error

    @contextmanager
    def _store(self, location: str, name: str, *, reading: bool = False) -> Iterator[int]:
        flags = w32.CERT_STORE_READONLY_FLAG if reading else 0
        try:
            with self._crypt32.store(_FLAGS[location], name, flags) as store:
                yield store
        except Crypt32Error as error:
            raise explain(error, _title(location, name)) from error


def friendly_name(pair: InstalledCertificate) -> str:
    """What a person knows the certificate by: whose it is, and of which organization."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    subject = certificate.subject
    whose = _attribute(subject, NameOID.COMMON_NAME) or _attribute(subject, NameOID.EMAIL_ADDRESS)
    whose = whose or subject.rfc4514_string() or pair.metadata.request.order_id
    organization = pair.metadata.organization or _attribute(subject, NameOID.ORGANIZATION_NAME)
    return _plain(f"{whose} ({organization})" if organization and organization != whose else whose)


def description(pair: InstalledCertificate) -> str:
    """Where the certificate is from."""
    request, profile = pair.metadata.request, pair.metadata.profile
    return _plain(f"Keystead: {profile + ', ' if profile else ''}order {request.order_id} at {request.server}")


def _plain(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST_NAME]


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _certificates(pair: InstalledCertificate) -> tuple[bytes, list[bytes], bytes]:
    """The certificate, its issuers without the root, and the root, in DER."""
    issuers = x509.load_pem_x509_certificates(pair.chain) if pair.chain.strip() else []
    leaf, root = (x509.load_pem_x509_certificate(pem) for pem in (pair.certificate, pair.root))
    return (
        leaf.public_bytes(Encoding.DER),
        [each.public_bytes(Encoding.DER) for each in issuers],
        root.public_bytes(Encoding.DER),
    )


def _issued_by(encoded: bytes, subject: bytes) -> bool:
    """Whether the certificate names `subject` as its issuer; of one that cannot be read, whether it may."""
    with suppress(ValueError):
        return x509.load_der_x509_certificate(encoded).issuer.public_bytes() == subject
    return subject in encoded


def _entry(location: str, store: str, encoded: bytes) -> Entry:
    return Entry.model_validate(
        {"location": location, "store": store, "sha1": _sha1(encoded).hex(), "sha256": _sha256(encoded)}
    )


def _is(entry: Entry, encoded: bytes) -> bool:
    return _sha256(encoded) == entry.sha256


def _sha1(encoded: bytes) -> bytes:
    """What the stores find a certificate by."""
    return hashlib.sha1(encoded, usedforsecurity=False).digest()


def _sha256(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()


def _title(location: str, name: str) -> str:
    return f"{_NAMES[location]}\\{name}"
