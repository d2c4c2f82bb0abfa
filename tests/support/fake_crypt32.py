"""The part of crypt32.dll that the agent calls, in memory: byte for byte what the DLL reads and writes at the
addresses that it is given, with its reference counts and error codes."""

# ruff: noqa: N802 the names are those of wincrypt.h

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from ctypes import addressof, c_char, c_int32, c_uint32, c_void_p, create_string_buffer, sizeof, string_at
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from keystead_agent.certstore import _crypt32 as w32
from keystead_agent.keystore._ncrypt import Ncrypt, NcryptError

USER, MACHINE = w32.CERT_SYSTEM_STORE_CURRENT_USER, w32.CERT_SYSTEM_STORE_LOCAL_MACHINE
E_ACCESSDENIED = 0x80070005
ERROR_CANCELLED = 1223
ERROR_NOT_SUPPORTED = 50
ASN1_CORRUPT = 0x8009310B
NO_KEY_PROPERTY = 0x8009200B

Place = tuple[int, str]
"""A location flag and the name of a store, in lower case as Windows compares them."""


class Crash(BaseException):
    """The process ended here."""


@dataclass
class Element:
    """One certificate in a store, or in none, with its properties as bytes."""

    encoded: bytes
    properties: dict[int, bytes] = field(default_factory=dict)
    key: w32.KeyProvInfo | None = None


class _Context:
    """What a PCCERT_CONTEXT points to."""

    def __init__(self, element: Element, place: Place | None) -> None:
        self.element = element
        self.place = place
        self.handles: tuple[int, ...] = ()
        self._data = create_string_buffer(element.encoded, len(element.encoded))
        self.head = w32.CERT_CONTEXT(w32.ENCODING, addressof(self._data), len(element.encoded), None, None)


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Notes the call, and crashes before it if the test says so."""

    @wraps(function)
    def wrapper(self: FakeCrypt32, *arguments: Any) -> Any:
        self.calls.append(function.__name__)
        if self.crash_before == len(self.calls):
            raise Crash(function.__name__)
        return function(self, *arguments)

    return wrapper


class FakeCrypt32:
    """The DLL, beside `ncrypt`, which has the keys. `read_only` are the places that the account must not change,
    `says_no` is whether the person refuses new roots, `acquires` whether keys are opened by certificates (Wine: no),
    `merges_my` whether the user's My shows the machine's (Wine: yes)."""

    def __init__(self, ncrypt: Ncrypt | None = None) -> None:
        self.ncrypt = ncrypt
        self.places: dict[Place, list[Element]] = {}
        self.acquires = True
        self.merges_my = False
        self.read_only: set[Place] = set()
        self.says_no = False
        self.questions = 0
        self.calls: list[str] = []
        self.crash_before: int | None = None
        self._last_error = 0
        self._stores: dict[int, tuple[Place, bool]] = {}
        self._contexts: dict[int, _Context] = {}
        self._next_store = 0x1000

    # What a test does

    def content(self, location: int, name: str) -> list[Element]:
        """What is in the physical store of that location."""
        return self.places.setdefault((location, name.lower()), [])

    def put(self, location: int, name: str, certificate: x509.Certificate, **changes: Any) -> Element:
        """A certificate that another program put there."""
        element = Element(certificate.public_bytes(serialization.Encoding.DER), **changes)
        self.content(location, name).append(element)
        return element

    def handed_over(self, certificates: list[bytes]) -> int:
        """The HCERTSTORE of a store in memory, as another DLL gives one away."""
        self._next_store += 8
        place = (0, f"memory {self._next_store}")
        self.places[place] = [Element(encoded) for encoded in certificates]
        self._stores[self._next_store] = (place, True)
        return self._next_store

    def open_handles(self) -> int:
        """The stores and contexts that were not given back."""
        return len(self._stores) + len(self._contexts)

    def end_process(self) -> None:
        """What Windows does when a process ends: its handles go, its changes stay."""
        self.crash_before = None
        self._stores.clear()
        for context in list(self._contexts):
            self._let_go(context)

    # What the DLL does

    def last_error(self) -> int:
        return self._last_error

    @_counted
    def CertOpenStore(self, provider: int, encoding: int, legacy: int, flags: int, parameter: int) -> int | None:
        assert (provider, encoding, legacy) == (w32.CERT_STORE_PROV_SYSTEM_W, 0, 0)
        place = (flags & 0x00FF0000, _wide_at(parameter).lower())
        assert place[0] in (USER, MACHINE)
        read_only = bool(flags & w32.CERT_STORE_READONLY_FLAG)
        if not read_only and place in self.read_only and place[0] == MACHINE:
            return self._fail(E_ACCESSDENIED, None)
        self._next_store += 8
        self._stores[self._next_store] = (place, read_only)
        return self._next_store

    @_counted
    def CertCloseStore(self, store: int, flags: int) -> int:
        assert flags == 0
        del self._stores[store]
        return 1

    @_counted
    def CertControlStore(self, store: int, flags: int, control: int, parameter: int) -> int:
        assert store in self._stores
        assert (flags, control, parameter) == (0, w32.CERT_STORE_CTRL_COMMIT, 0)
        return int(self._fail(ERROR_NOT_SUPPORTED, 0))

    @_counted
    def CertCreateCertificateContext(self, encoding: int, data: int, size: int) -> int | None:
        assert encoding == w32.ENCODING
        encoded = string_at(data, size)
        try:
            x509.load_der_x509_certificate(encoded)
        except ValueError:
            return self._fail(ASN1_CORRUPT, None)
        return self._context(Element(encoded), None)

    @_counted
    def CertFreeCertificateContext(self, context: int) -> int:
        self._let_go(context)
        return 1

    @_counted
    def CertSetCertificateContextProperty(self, context: int, property_id: int, flags: int, value: int) -> int:
        assert flags == 0
        element = self._contexts[context].element
        if property_id == w32.CERT_KEY_PROV_INFO_PROP_ID:
            element.key = _key_at(value)
        else:
            blob = w32.CRYPT_DATA_BLOB.from_address(value)
            element.properties[property_id] = string_at(blob.pbData, blob.cbData)
        return 1

    @_counted
    def CertGetCertificateContextProperty(self, context: int, property_id: int, data: int, size: int) -> int:
        element = self._contexts[context].element
        if property_id == w32.CERT_KEY_PROV_INFO_PROP_ID:
            value = None if element.key is None else _key_bytes(element.key, data)
        else:
            value = element.properties.get(property_id)
        if value is None:
            return int(self._fail(w32.CRYPT_E_NOT_FOUND, 0))
        room = c_uint32.from_address(size)
        if data:
            assert room.value >= len(value)
            ctypes.memmove(data, value, len(value))
        room.value = len(value)
        return 1

    @_counted
    def CertAddCertificateContextToStore(self, store: int, context: int, disposition: int, result: int) -> int:
        assert (disposition, result) == (w32.CERT_STORE_ADD_ALWAYS, 0)
        place, read_only = self._stores[store]
        if read_only or place in self.read_only:
            return int(self._fail(E_ACCESSDENIED, 0))
        source = self._contexts[context].element
        if place == (USER, "root"):
            self.questions += 1
            if self.says_no:
                return int(self._fail(ERROR_CANCELLED, 0))
        elements = self.places.setdefault(place, [])
        copy = Element(source.encoded, dict(source.properties), source.key)
        assert all(element.encoded != copy.encoded for element in elements), "not deleted before"
        elements.append(copy)
        return 1

    @_counted
    def CertEnumCertificatesInStore(self, store: int, previous: int) -> int | None:
        elements = self._view(self._stores[store][0])
        index = 0
        if previous:
            last = self._let_go(previous)
            index = next(i for i, (_, element) in enumerate(elements) if element is last.element) + 1
        if index == len(elements):
            return self._fail(w32.CRYPT_E_NOT_FOUND, None)
        place, element = elements[index]
        return self._context(element, place)

    @_counted
    def CertFindCertificateInStore(
        self, store: int, encoding: int, flags: int, kind: int, parameter: int, previous: int
    ) -> int | None:
        assert (encoding, flags, kind, previous) == (w32.ENCODING, 0, w32.CERT_FIND_SHA1_HASH, 0)
        blob = w32.CRYPT_DATA_BLOB.from_address(parameter)
        wanted = string_at(blob.pbData, blob.cbData)
        for place, element in self._view(self._stores[store][0]):
            if hashlib.sha1(element.encoded, usedforsecurity=False).digest() == wanted:
                return self._context(element, place)
        return self._fail(w32.CRYPT_E_NOT_FOUND, None)

    @_counted
    def CertDeleteCertificateFromStore(self, context: int) -> int:
        removed = self._let_go(context)
        assert removed.place is not None
        if removed.place in self.read_only:
            return int(self._fail(E_ACCESSDENIED, 0))
        self.places[removed.place].remove(removed.element)
        return 1

    @_counted
    def CryptAcquireCertificatePrivateKey(
        self, context: int, flags: int, parameters: int, handle: int, spec: int, caller_frees: int
    ) -> int:
        assert (flags, parameters) == (0x40041, 0)
        key = self._contexts[context].element.key
        if not self.acquires or key is None:
            return int(self._fail(NO_KEY_PROPERTY, 0))
        assert (key.provider_type, key.key_spec) == (0, 0)
        assert self.ncrypt is not None
        try:
            provider = self.ncrypt.open_storage_provider(key.provider)
            opened = self.ncrypt.open_key(provider, key.container, key.flags)
        except NcryptError as error:
            self.ncrypt.free_object(provider)
            return int(self._fail(error.status, 0))
        self._contexts[context].handles = (opened, provider)
        c_void_p.from_address(handle).value = opened
        c_uint32.from_address(spec).value = w32.CERT_NCRYPT_KEY_SPEC
        c_int32.from_address(caller_frees).value = 0
        return 1

    def _view(self, place: Place) -> list[tuple[Place, Element]]:
        """What a system store shows: that of a user, but for My, shows the machine's certificates too."""
        places = [place]
        if place[0] == USER and (place[1] != "my" or self.merges_my):
            places.append((MACHINE, place[1]))
        return [(shown, element) for shown in places for element in self.places.get(shown, [])]

    def _context(self, element: Element, place: Place | None) -> int:
        context = _Context(element, place)
        self._contexts[addressof(context.head)] = context
        return addressof(context.head)

    def _let_go(self, address: int) -> _Context:
        context = self._contexts.pop(address)
        for handle in context.handles:
            assert self.ncrypt is not None
            self.ncrypt.free_object(handle)
        return context

    def _fail(self, code: int, answer: Any) -> Any:
        self._last_error = code
        return answer


def _wide_at(address: int | None) -> str:
    if not address:
        return ""
    end = address
    while string_at(end, 2) != b"\0\0":
        end += 2
    return string_at(address, end - address).decode("utf-16-le")


def _key_at(address: int) -> w32.KeyProvInfo:
    info = w32.CRYPT_KEY_PROV_INFO.from_address(address)
    assert (info.cProvParam, info.rgProvParam) == (0, None)
    return w32.KeyProvInfo(
        _wide_at(info.pwszContainerName), _wide_at(info.pwszProvName), info.dwProvType, info.dwFlags, info.dwKeySpec
    )


def _key_bytes(key: w32.KeyProvInfo, address: int) -> bytes:
    """The property as the DLL lays it out at `address`: the structure, then the texts that it points to."""
    container, provider = (text.encode("utf-16-le") + b"\0\0" for text in (key.container, key.provider))
    first = address + sizeof(w32.CRYPT_KEY_PROV_INFO)
    info = w32.CRYPT_KEY_PROV_INFO(first, first + len(container), key.provider_type, key.flags, 0, None, key.key_spec)
    return bytes((c_char * sizeof(info)).from_buffer(info)) + container + provider
