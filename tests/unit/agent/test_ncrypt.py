"""What ncrypt.dll would be given, looked at where there is none: the calls whose arguments are structures."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from keystead_agent.keystore import _ncrypt as n

CLAIM = b"what the DLL writes"


def test_the_structures_are_laid_out_as_in_the_headers() -> None:
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert (n._Buffer.cbBuffer.offset, n._Buffer.BufferType.offset, n._Buffer.pvBuffer.offset) == (0, 4, 8)
    assert ctypes.sizeof(n._Buffer) == 8 + pointer
    desc = n._BufferDesc
    assert (desc.ulVersion.offset, desc.cBuffers.offset, desc.pBuffers.offset) == (0, 4, 8)
    assert ctypes.sizeof(desc) == 8 + pointer


def test_a_claim_is_asked_for_with_the_nonce_in_a_buffer_of_its_kind() -> None:
    asked: list[tuple[Any, ...]] = []

    def create_claim(*arguments: Any) -> int:
        subject, authority, kind, parameters, out, room, size, flags = arguments
        desc = parameters._obj
        buffer = desc.pBuffers[0]
        nonce = ctypes.string_at(buffer.pvBuffer, buffer.cbBuffer)
        asked.append((subject, authority, kind, desc.ulVersion, desc.cBuffers, buffer.BufferType, nonce, room, flags))
        size._obj.value = len(CLAIM)
        if out is not None:
            ctypes.memmove(out, CLAIM, len(CLAIM))
        return 0

    ncrypt = n.WindowsNcrypt()
    ncrypt.__dict__["_functions"] = {"NCryptCreateClaim": create_claim}
    assert ncrypt.create_claim(7, 8, b"no\0nce") == CLAIM
    assert asked == [(7, 8, 3, 0, 1, 49, b"no\0nce", room, 0) for room in (0, len(CLAIM))]


def test_a_security_descriptor_is_set_with_its_flag() -> None:
    told: list[tuple[Any, ...]] = []

    def set_property(*arguments: Any) -> int:
        told.append(arguments)
        return 0

    ncrypt = n.WindowsNcrypt()
    ncrypt.__dict__["_functions"] = {"NCryptSetProperty": set_property}
    ncrypt.set_property(7, n.SECURITY_DESCRIPTOR, b"sd", n.DACL_SECURITY_INFORMATION)
    ncrypt.set_property(7, n.EXPORT_POLICY, bytes(4))
    assert told == [(7, "Security Descr", b"sd", 2, 4), (7, "Export Policy", bytes(4), 4, 0)]


def test_a_function_that_this_windows_does_not_have_is_not_supported() -> None:
    ncrypt = n.WindowsNcrypt()
    ncrypt.__dict__["_functions"] = {}
    with pytest.raises(n.NcryptError) as caught:
        ncrypt.create_claim(7, 8, b"nonce")
    assert caught.value.status == n.NOT_SUPPORTED
