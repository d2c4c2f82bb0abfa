"""crypt32.dll as the certificate stores need it: constants and structures of wincrypt.h, one method a function, and
nothing decided. Addresses are passed as numbers, so that what the DLL gets can be looked at on any system."""

# ruff: noqa: N802, N803 the names are those of wincrypt.h

from __future__ import annotations

import ctypes
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from ctypes import addressof, c_char, c_int32, c_uint32, c_void_p, create_string_buffer, sizeof
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, cast

LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800
CERT_STORE_PROV_SYSTEM_W = 10
CERT_SYSTEM_STORE_CURRENT_USER = 0x00010000
CERT_SYSTEM_STORE_LOCAL_MACHINE = 0x00020000
CERT_STORE_OPEN_EXISTING_FLAG = 0x00004000
CERT_STORE_READONLY_FLAG = 0x00008000
ENCODING = 0x00010001
"""X509_ASN_ENCODING | PKCS_7_ASN_ENCODING."""
CERT_FIND_SHA1_HASH = 0x00010000
CERT_STORE_CTRL_COMMIT = 3
CERT_STORE_ADD_ALWAYS = 4
CERT_KEY_PROV_INFO_PROP_ID = 2
CERT_FRIENDLY_NAME_PROP_ID = 11
CERT_DESCRIPTION_PROP_ID = 13
CRYPT_MACHINE_KEYSET = 0x20
CRYPT_ACQUIRE_CACHE_FLAG = 0x1
CRYPT_ACQUIRE_SILENT_FLAG = 0x40
CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG = 0x40000
CERT_NCRYPT_KEY_SPEC = 0xFFFFFFFF

NTE_BAD_TYPE = 0x8009000A
CRYPT_E_NOT_FOUND = 0x80092004
END_OF_STORE = (CRYPT_E_NOT_FOUND, 0x00000012)
"""CRYPT_E_NOT_FOUND, ERROR_NO_MORE_FILES: how an enumeration ends (CertEnumCertificatesInStore, return value)."""


class CRYPT_DATA_BLOB(ctypes.Structure):  # noqa: N801
    """CRYPT_INTEGER_BLOB and its kin."""

    _fields_ = [("cbData", c_uint32), ("pbData", c_void_p)]


class CRYPT_KEY_PROV_INFO(ctypes.Structure):  # noqa: N801
    """Which key belongs to a certificate. A type and a key spec of 0 mean a key of CNG (NCrypt)."""

    _fields_ = [
        ("pwszContainerName", c_void_p),
        ("pwszProvName", c_void_p),
        ("dwProvType", c_uint32),
        ("dwFlags", c_uint32),
        ("cProvParam", c_uint32),
        ("rgProvParam", c_void_p),
        ("dwKeySpec", c_uint32),
    ]


class CERT_CONTEXT(ctypes.Structure):  # noqa: N801
    """The head of what a PCCERT_CONTEXT points to."""

    _fields_ = [
        ("dwCertEncodingType", c_uint32),
        ("pbCertEncoded", c_void_p),
        ("cbCertEncoded", c_uint32),
        ("pCertInfo", c_void_p),
        ("hCertStore", c_void_p),
    ]


class Dll(Protocol):
    """The functions of crypt32.dll that are called, and GetLastError after the call. Handles and pointers are
    numbers; 0 or None is NULL."""

    def last_error(self) -> int: ...
    def CertOpenStore(
        self, lpszStoreProvider: int, dwEncodingType: int, hCryptProv: int, dwFlags: int, pvPara: int
    ) -> int | None: ...
    def CertCloseStore(self, hCertStore: int, dwFlags: int) -> int: ...
    def CertControlStore(self, hCertStore: int, dwFlags: int, dwCtrlType: int, pvCtrlPara: int) -> int: ...
    def CertCreateCertificateContext(
        self, dwCertEncodingType: int, pbCertEncoded: int, cbCertEncoded: int
    ) -> int | None: ...
    def CertFreeCertificateContext(self, pCertContext: int) -> int: ...
    def CertSetCertificateContextProperty(self, pCertContext: int, dwPropId: int, dwFlags: int, pvData: int) -> int: ...
    def CertGetCertificateContextProperty(self, pCertContext: int, dwPropId: int, pvData: int, pcbData: int) -> int: ...
    def CertAddCertificateContextToStore(
        self, hCertStore: int, pCertContext: int, dwAddDisposition: int, ppStoreContext: int
    ) -> int: ...
    def CertEnumCertificatesInStore(self, hCertStore: int, pPrevCertContext: int) -> int | None: ...
    def CertFindCertificateInStore(
        self,
        hCertStore: int,
        dwCertEncodingType: int,
        dwFindFlags: int,
        dwFindType: int,
        pvFindPara: int,
        pPrevCertContext: int,
    ) -> int | None: ...
    def CertDeleteCertificateFromStore(self, pCertContext: int) -> int: ...
    def CryptAcquireCertificatePrivateKey(
        self, pCert: int, dwFlags: int, pvParameters: int, phKey: int, pdwKeySpec: int, pfCallerFree: int
    ) -> int: ...


_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "CertOpenStore": (c_void_p, (c_void_p, c_uint32, c_void_p, c_uint32, c_void_p)),
    "CertCloseStore": (c_int32, (c_void_p, c_uint32)),
    "CertControlStore": (c_int32, (c_void_p, c_uint32, c_uint32, c_void_p)),
    "CertCreateCertificateContext": (c_void_p, (c_uint32, c_void_p, c_uint32)),
    "CertFreeCertificateContext": (c_int32, (c_void_p,)),
    "CertSetCertificateContextProperty": (c_int32, (c_void_p, c_uint32, c_uint32, c_void_p)),
    "CertGetCertificateContextProperty": (c_int32, (c_void_p, c_uint32, c_void_p, c_void_p)),
    "CertAddCertificateContextToStore": (c_int32, (c_void_p, c_void_p, c_uint32, c_void_p)),
    "CertEnumCertificatesInStore": (c_void_p, (c_void_p, c_void_p)),
    "CertFindCertificateInStore": (c_void_p, (c_void_p, c_uint32, c_uint32, c_uint32, c_void_p, c_void_p)),
    "CertDeleteCertificateFromStore": (c_int32, (c_void_p,)),
    "CryptAcquireCertificatePrivateKey": (c_int32, (c_void_p, c_uint32, c_void_p, c_void_p, c_void_p, c_void_p)),
}


def load() -> Dll:
    """crypt32.dll of this system. Raises OSError anywhere but on Windows."""
    if sys.platform != "win32":
        raise OSError("crypt32.dll is a part of Windows")
    dll: Any = ctypes.WinDLL("crypt32.dll", use_last_error=True, winmode=LOAD_LIBRARY_SEARCH_SYSTEM32)
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(dll, name)
        function.restype, function.argtypes = result, arguments
    dll.last_error = lambda: ctypes.get_last_error() & 0xFFFFFFFF
    return cast(Dll, dll)


class Crypt32Error(Exception):
    """`function` failed with `code`, an HRESULT or a system error code as GetLastError told it."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function}: 0x{code:08x}")
        self.function = function
        self.code = code


@dataclass(frozen=True)
class KeyProvInfo:
    """The content of CERT_KEY_PROV_INFO_PROP_ID."""

    container: str
    provider: str
    provider_type: int = 0
    flags: int = 0
    key_spec: int = 0


class Crypt32:
    """The functions of `dll` with Python's values. Handles are only good inside their `with`. Raises Crypt32Error."""

    def __init__(self, dll: Dll) -> None:
        self._dll = dll

    @contextmanager
    def store(self, location: int, name: str, flags: int = 0) -> Iterator[int]:
        """The open system store `name` at CERT_SYSTEM_STORE_… `location`. What was changed is written on leaving:
        Windows writes at once and may refuse to be told so, Wine sometimes only if told."""
        text = _wide(name)
        handle = self._dll.CertOpenStore(CERT_STORE_PROV_SYSTEM_W, 0, 0, location | flags, addressof(text))
        if not handle:
            raise self._error("CertOpenStore")
        try:
            yield handle
            if not flags & CERT_STORE_READONLY_FLAG:
                self._dll.CertControlStore(handle, 0, CERT_STORE_CTRL_COMMIT, 0)
        finally:
            self._dll.CertCloseStore(handle, 0)

    @contextmanager
    def certificate(self, encoded: bytes) -> Iterator[int]:
        """A context of the DER `encoded` in no store."""
        data = _buffer(encoded)
        context = self._dll.CertCreateCertificateContext(ENCODING, addressof(data), len(encoded))
        if not context:
            raise self._error("CertCreateCertificateContext")
        try:
            yield context
        finally:
            self._dll.CertFreeCertificateContext(context)

    @contextmanager
    def found(self, store: int, sha1: bytes) -> Iterator[int | None]:
        """The first certificate in `store` with this hash, or None."""
        context = self._find(store, sha1)
        try:
            yield context
        finally:
            if context is not None:
                self._dll.CertFreeCertificateContext(context)

    def certificates(self, store: int) -> Generator[int, None, None]:
        """The contexts in `store`, each good until the next is asked for."""
        context = 0
        try:
            while context := self._dll.CertEnumCertificatesInStore(store, context) or 0:
                yield context
            if (code := self._dll.last_error()) not in END_OF_STORE:
                raise Crypt32Error("CertEnumCertificatesInStore", code)
        finally:
            if context:
                self._dll.CertFreeCertificateContext(context)

    def handed_over(self, store: int, most: int) -> list[bytes]:
        """The DER of the first `most` certificates in `store`, a handle that another function gave; it is closed."""
        try:
            return [self.encoded(context) for context in islice(self.certificates(store), most)]
        finally:
            self._dll.CertCloseStore(store, 0)

    @staticmethod
    def encoded(context: int) -> bytes:
        """The certificate's DER."""
        head = CERT_CONTEXT.from_address(context)
        return ctypes.string_at(head.pbCertEncoded or 0, head.cbCertEncoded)

    def set_key(self, context: int, key: KeyProvInfo) -> None:
        """Says which key belongs to the certificate."""
        container, provider = _wide(key.container), _wide(key.provider)
        info = CRYPT_KEY_PROV_INFO(
            pwszContainerName=addressof(container),
            pwszProvName=addressof(provider),
            dwProvType=key.provider_type,
            dwFlags=key.flags,
            dwKeySpec=key.key_spec,
        )
        self._set(context, CERT_KEY_PROV_INFO_PROP_ID, info)

    def key(self, context: int) -> KeyProvInfo | None:
        """Which key belongs to the certificate, if it says so."""
        data = self._get(context, CERT_KEY_PROV_INFO_PROP_ID)
        if data is None:
            return None
        info = CRYPT_KEY_PROV_INFO.from_buffer(data)
        return KeyProvInfo(
            container=_text_at(info.pwszContainerName),
            provider=_text_at(info.pwszProvName),
            provider_type=info.dwProvType,
            flags=info.dwFlags,
            key_spec=info.dwKeySpec,
        )

    def set_text(self, context: int, property_id: int, text: str) -> None:
        """Sets a property whose value is a text (CERT_FRIENDLY_NAME_PROP_ID, CERT_DESCRIPTION_PROP_ID)."""
        value = _wide(text)
        self._set(context, property_id, CRYPT_DATA_BLOB(cbData=sizeof(value), pbData=addressof(value)))

    def text(self, context: int, property_id: int) -> str:
        """A property whose value is a text; empty if it is not set."""
        data = self._get(context, property_id)
        return "" if data is None else data.raw.decode("utf-16-le", "replace").rstrip("\0")

    def add(self, store: int, context: int) -> None:
        """Puts a copy of `context` with its properties into `store`, whatever it shows of other stores. One of the same
        certificate is to be deleted before: which properties it has afterwards is not said."""
        if not self._dll.CertAddCertificateContextToStore(store, context, CERT_STORE_ADD_ALWAYS, 0):
            raise self._error("CertAddCertificateContextToStore")

    def delete(self, store: int, sha1: bytes) -> bool:
        """Deletes the first certificate in `store` with this hash, not its key. Whether there was one."""
        context = self._find(store, sha1)
        if context is None:
            return False
        if not self._dll.CertDeleteCertificateFromStore(context):  # frees the context, also when it fails
            raise self._error("CertDeleteCertificateFromStore")
        return True

    def acquire(self, context: int) -> int:
        """The NCRYPT_KEY_HANDLE of the certificate's key, without a question to anybody. It is the context's: it goes
        with it (CRYPT_ACQUIRE_CACHE_FLAG). Raises Crypt32Error also for a key that is none of CNG's."""
        handle, spec, caller_frees = c_void_p(), c_uint32(), c_int32()
        flags = CRYPT_ACQUIRE_CACHE_FLAG | CRYPT_ACQUIRE_SILENT_FLAG | CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG
        if not self._dll.CryptAcquireCertificatePrivateKey(
            context, flags, 0, addressof(handle), addressof(spec), addressof(caller_frees)
        ):
            raise self._error("CryptAcquireCertificatePrivateKey")
        if spec.value != CERT_NCRYPT_KEY_SPEC or not handle.value:
            raise Crypt32Error("CryptAcquireCertificatePrivateKey", NTE_BAD_TYPE)
        return handle.value

    def _find(self, store: int, sha1: bytes) -> int | None:
        data = _buffer(sha1)
        blob = CRYPT_DATA_BLOB(cbData=len(sha1), pbData=addressof(data))
        context = self._dll.CertFindCertificateInStore(store, ENCODING, 0, CERT_FIND_SHA1_HASH, addressof(blob), 0)
        if not context and (code := self._dll.last_error()) != CRYPT_E_NOT_FOUND:
            raise Crypt32Error("CertFindCertificateInStore", code)
        return context or None

    def _set(self, context: int, property_id: int, value: ctypes.Structure) -> None:
        if not self._dll.CertSetCertificateContextProperty(context, property_id, 0, addressof(value)):
            raise self._error("CertSetCertificateContextProperty")

    def _get(self, context: int, property_id: int) -> ctypes.Array[c_char] | None:
        size = c_uint32()
        if not self._dll.CertGetCertificateContextProperty(context, property_id, 0, addressof(size)):
            if (code := self._dll.last_error()) == CRYPT_E_NOT_FOUND:
                return None
            raise Crypt32Error("CertGetCertificateContextProperty", code)
        data = create_string_buffer(size.value)
        if not self._dll.CertGetCertificateContextProperty(context, property_id, addressof(data), addressof(size)):
            raise self._error("CertGetCertificateContextProperty")
        return data

    def _error(self, function: str) -> Crypt32Error:
        return Crypt32Error(function, self._dll.last_error())


def _buffer(data: bytes) -> ctypes.Array[c_char]:
    return create_string_buffer(data, len(data))


def _wide(text: str) -> ctypes.Array[c_char]:
    """`text` as Windows's wide characters with the closing zero."""
    return _buffer(text.encode("utf-16-le") + b"\0\0")


def _text_at(address: int | None) -> str:
    """The zero-terminated wide text at `address`."""
    if not address:
        return ""
    end = address
    while ctypes.string_at(end, 2) != b"\0\0":
        end += 2
    return ctypes.string_at(address, end - address).decode("utf-16-le", "replace")
