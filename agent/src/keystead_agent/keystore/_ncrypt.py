"""ncrypt.dll, call by call: prototypes and constants of ncrypt.h, bcrypt.h and winerror.h (Windows SDK), and nothing
that decides. The DLL is loaded when it is first used, so that this file imports everywhere."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any, Protocol

PLATFORM_PROVIDER = "Microsoft Platform Crypto Provider"
SOFTWARE_PROVIDER = "Microsoft Software Key Storage Provider"

RSA, ECDSA_P256, ECDSA_P384 = "RSA", "ECDSA_P256", "ECDSA_P384"
SHA256, SHA384, SHA512 = "SHA256", "SHA384", "SHA512"

LENGTH = "Length"
LENGTHS = "Lengths"
KEY_USAGE = "Key Usage"
EXPORT_POLICY = "Export Policy"
IMPL_TYPE = "Impl Type"
PROVIDER_HANDLE = "Provider Handle"
ECC_CURVE_NAME = "ECCCurveName"
PCP_PLATFORM_TYPE = "PCP_PLATFORM_TYPE"
PCP_RSA_PROHIBITED = "PCP_TPM_IFX_RSA_KEYGEN_PROHIBITED"
PCP_RSA_VULNERABILITY = "PCP_TPM_IFX_RSA_KEYGEN_VULNERABILITY"
PCP_KEY_USAGE_POLICY = "PCP_KEY_USAGE_POLICY"
PCP_RSA_SCHEME = "PCP_RSA_SCHEME"
PCP_RSA_SCHEME_HASH = "PCP_RSA_SCHEME_HASH_ALG"
PCP_ID_BINDING = "PCP_TPM12_IDBINDING"
PCP_ID_ACTIVATION = "PCP_TPM12_IDACTIVATION"
"""Of TPM 2.0 too, whatever the names say."""
PCP_EK_PUBLIC = "PCP_EKPUB"
PCP_EK_STORES = ("PCP_RSA_EKNVCERT", "PCP_EKNVCERT", "PCP_RSA_EKCERT", "PCP_EKCERT", "PCP_INTERMEDIATE_CA_EKCERT")
"""Certificates of the RSA endorsement key and of CAs above it; each value is an HCERTSTORE."""
SECURITY_DESCRIPTOR = "Security Descr"

MACHINE_KEY_FLAG = 0x20
SILENT_FLAG = 0x40
PAD_PKCS1_FLAG = 0x2
ALLOW_SIGNING_FLAG = 0x2
IMPL_HARDWARE_FLAG = 0x1
IMPL_SOFTWARE_FLAG = 0x2
PCP_IDENTITY_KEY = 0x8
TPM_RSASSA, TPM_SHA256 = 0x14, 0xB
DACL_SECURITY_INFORMATION = 0x4
CLAIM_AUTHORITY_AND_SUBJECT = 0x3
CLAIM_NONCE = 49
"""NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE."""

RSA_PUBLIC_BLOB = "RSAPUBLICBLOB"
ECC_PUBLIC_BLOB = "ECCPUBLICBLOB"
OPAQUE_KEY_BLOB = "OpaqueKeyBlob"

# winerror.h: what the calls answer with, as far as it is told apart (`_cng_errors`)
E_ACCESSDENIED = 0x80070005
BAD_KEY, BAD_LEN, BAD_DATA, BAD_ALGID = 0x80090003, 0x80090004, 0x80090005, 0x80090008
BAD_FLAGS, NO_KEY, NO_MEMORY, EXISTS, PERM, NOT_FOUND = (
    0x80090009,
    0x8009000D,
    0x8009000E,
    0x8009000F,
    0x80090010,
    0x80090011,
)
BAD_PROVIDER, BAD_KEYSET, PROV_TYPE_NOT_DEF, KEYSET_NOT_DEF = 0x80090013, 0x80090016, 0x80090017, 0x80090019
PROV_DLL_NOT_FOUND, PROVIDER_DLL_FAIL, FAIL, SILENT_CONTEXT = 0x8009001E, 0x8009001D, 0x80090020, 0x80090022
INVALID_HANDLE, INVALID_PARAMETER, BUFFER_TOO_SMALL = 0x80090026, 0x80090027, 0x80090028
NOT_SUPPORTED, INTERNAL_ERROR, DEVICE_NOT_READY = 0x80090029, 0x8009002D, 0x80090030

LARGEST_ANSWER = 1 << 20
"""Octets that one property, blob or signature may have; no call here answers with a hundredth of it."""


class NcryptError(Exception):
    """`function` answered with SECURITY_STATUS `status`, an unsigned 32-bit number that is not zero."""

    def __init__(self, function: str, status: int) -> None:
        super().__init__(f"{function}: 0x{status:08X}")
        self.function = function
        self.status = status


class Ncrypt(Protocol):
    """The calls of ncrypt.dll that are used. Handles are numbers that are not zero. Every call raises NcryptError."""

    def open_storage_provider(self, name: str) -> int: ...

    def create_persisted_key(self, provider: int, algorithm: str, name: str, flags: int) -> int: ...

    def open_key(self, provider: int, name: str, flags: int) -> int: ...

    def get_property(self, handle: int, name: str) -> bytes: ...

    def set_property(self, handle: int, name: str, value: bytes, flags: int = 0) -> None: ...

    def finalize_key(self, key: int) -> None: ...

    def export_key(self, key: int, blob_type: str) -> bytes: ...

    def sign_hash(self, key: int, digest: bytes, pkcs1_hash: str | None) -> bytes:
        """With PKCS#1 v1.5 padding for the hash that `pkcs1_hash` names, or, for ECDSA, without padding."""

    def create_claim(self, subject: int, authority: int, nonce: bytes) -> bytes:
        """What key `authority` says of key `subject`, with `nonce` in it."""

    def delete_key(self, key: int) -> None:
        """The handle is gone afterwards, unless this raises."""

    def free_object(self, handle: int) -> None: ...


class _Pkcs1PaddingInfo(ctypes.Structure):
    """BCRYPT_PKCS1_PADDING_INFO."""

    _fields_ = (("pszAlgId", ctypes.c_wchar_p),)


class _Buffer(ctypes.Structure):
    """NCryptBuffer."""

    _fields_ = (("cbBuffer", ctypes.c_uint32), ("BufferType", ctypes.c_uint32), ("pvBuffer", ctypes.c_void_p))


class _BufferDesc(ctypes.Structure):
    """NCryptBufferDesc, of version NCRYPTBUFFER_VERSION, which is 0."""

    _fields_ = (("ulVersion", ctypes.c_uint32), ("cBuffers", ctypes.c_uint32), ("pBuffers", ctypes.POINTER(_Buffer)))


_HANDLE = ctypes.c_size_t
"""NCRYPT_HANDLE and its kin are ULONG_PTR."""
_DWORD = ctypes.c_uint32
_WORDS = ctypes.c_wchar_p
_BYTES = ctypes.c_void_p
_HANDLE_OUT = ctypes.POINTER(_HANDLE)
_DWORD_OUT = ctypes.POINTER(_DWORD)

_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "NCryptOpenStorageProvider": (_HANDLE_OUT, _WORDS, _DWORD),
    "NCryptCreatePersistedKey": (_HANDLE, _HANDLE_OUT, _WORDS, _WORDS, _DWORD, _DWORD),
    "NCryptOpenKey": (_HANDLE, _HANDLE_OUT, _WORDS, _DWORD, _DWORD),
    "NCryptGetProperty": (_HANDLE, _WORDS, _BYTES, _DWORD, _DWORD_OUT, _DWORD),
    "NCryptSetProperty": (_HANDLE, _WORDS, _BYTES, _DWORD, _DWORD),
    "NCryptFinalizeKey": (_HANDLE, _DWORD),
    "NCryptExportKey": (_HANDLE, _HANDLE, _WORDS, _BYTES, _BYTES, _DWORD, _DWORD_OUT, _DWORD),
    "NCryptSignHash": (_HANDLE, _BYTES, _BYTES, _DWORD, _BYTES, _DWORD, _DWORD_OUT, _DWORD),
    "NCryptCreateClaim": (_HANDLE, _HANDLE, _DWORD, _BYTES, _BYTES, _DWORD, _DWORD_OUT, _DWORD),
    "NCryptDeleteKey": (_HANDLE, _DWORD),
    "NCryptFreeObject": (_HANDLE,),
}

_NO_KEY_SPEC = 0
_OUT = object()


class WindowsNcrypt:
    """The DLL itself. What could show a window is called silently (0x40): it answers NTE_SILENT_CONTEXT instead."""

    @cached_property
    def _functions(self) -> dict[str, Any]:
        dll = ctypes.WinDLL("ncrypt.dll", winmode=0x800)  # type: ignore[attr-defined, unused-ignore] # System32 alone
        functions = {name: getattr(dll, name) for name in _PROTOTYPES if hasattr(dll, name)}
        for name, function in functions.items():
            function.argtypes = _PROTOTYPES[name]
            function.restype = _DWORD
        return functions

    def _call(self, name: str, *arguments: Any) -> None:
        if name not in self._functions:
            raise NcryptError(name, NOT_SUPPORTED)
        status = self._functions[name](*arguments)
        if status != 0:
            raise NcryptError(name, status)

    def _handle(self, name: str, *arguments: Any) -> int:
        """The handle that a call puts where `_OUT` stands among its arguments."""
        handle = _HANDLE()
        self._call(name, *(ctypes.byref(handle) if argument is _OUT else argument for argument in arguments))
        return handle.value

    def _answer(self, name: str, *arguments: Any, flags: int) -> bytes:
        """What a call writes, which is asked for its size first; it may be shorter than announced."""
        size = _DWORD()
        self._call(name, *arguments, None, 0, ctypes.byref(size), flags)
        if size.value > LARGEST_ANSWER:
            raise NcryptError(name, INTERNAL_ERROR)
        buffer = ctypes.create_string_buffer(size.value)
        self._call(name, *arguments, buffer, size.value, ctypes.byref(size), flags)
        return buffer.raw[: size.value]

    def open_storage_provider(self, name: str) -> int:
        return self._handle("NCryptOpenStorageProvider", _OUT, name, 0)

    def create_persisted_key(self, provider: int, algorithm: str, name: str, flags: int) -> int:
        return self._handle("NCryptCreatePersistedKey", provider, _OUT, algorithm, name, _NO_KEY_SPEC, flags)

    def open_key(self, provider: int, name: str, flags: int) -> int:
        return self._handle("NCryptOpenKey", provider, _OUT, name, _NO_KEY_SPEC, flags | SILENT_FLAG)

    def get_property(self, handle: int, name: str) -> bytes:
        return self._answer("NCryptGetProperty", handle, name, flags=0)

    def set_property(self, handle: int, name: str, value: bytes, flags: int = 0) -> None:
        self._call("NCryptSetProperty", handle, name, value, len(value), flags)

    def finalize_key(self, key: int) -> None:
        self._call("NCryptFinalizeKey", key, SILENT_FLAG)

    def export_key(self, key: int, blob_type: str) -> bytes:
        return self._answer("NCryptExportKey", key, 0, blob_type, None, flags=SILENT_FLAG)

    def sign_hash(self, key: int, digest: bytes, pkcs1_hash: str | None) -> bytes:
        if pkcs1_hash is None:
            return self._answer("NCryptSignHash", key, None, digest, len(digest), flags=SILENT_FLAG)
        padding = ctypes.byref(_Pkcs1PaddingInfo(pkcs1_hash))
        return self._answer("NCryptSignHash", key, padding, digest, len(digest), flags=PAD_PKCS1_FLAG | SILENT_FLAG)

    def create_claim(self, subject: int, authority: int, nonce: bytes) -> bytes:
        content = ctypes.create_string_buffer(nonce, len(nonce))
        buffer = _Buffer(len(nonce), CLAIM_NONCE, ctypes.addressof(content))
        parameters = _BufferDesc(0, 1, ctypes.pointer(buffer))
        described = ctypes.byref(parameters)
        return self._answer("NCryptCreateClaim", subject, authority, CLAIM_AUTHORITY_AND_SUBJECT, described, flags=0)

    def delete_key(self, key: int) -> None:
        self._call("NCryptDeleteKey", key, SILENT_FLAG)

    def free_object(self, handle: int) -> None:
        self._call("NCryptFreeObject", handle)
