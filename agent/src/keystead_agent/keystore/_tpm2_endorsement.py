"""The TPM's endorsement keys, and the certificates that its maker left for them.

TCG EK Credential Profile for TPM Family 2.0: templates in appendix B, NV indices in sections 2.2.1.4 and 2.2.1.5; TCG
TPM v2.0 Provisioning Guidance section 7.8 for persistent handles. A key that is not persistent is made again from the
TPM's endorsement seed, used, and flushed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tpm2_pytss import types as tpm
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_CAP, TPM2_PT_NV, TPM2_SE, TPMA_NV, TPMA_OBJECT
from tpm2_pytss.TSS2_Exception import TSS2_Exception
from tpm2_pytss.utils import NoSuchIndex, create_ek_template

from keystead_agent.errors import EndorsementUnusable
from keystead_agent.keystore import _tpm2_errors as rc
from keystead_agent.keystore._tpm2_objects import flushing, handles, primary
from keystead_agent.keystore.attesting import Endorsement, StoredCertificate


@dataclass(frozen=True)
class _Kind:
    """A kind of endorsement key: its name here and in tpm2-pytss, and the NV index of its certificate."""

    name: str
    template: str
    certificate: int


_KINDS = (
    _Kind("ec-p256", "EK-ECC256", 0x01C0000A),
    _Kind("ec-p256-high", "EK-HIGH-ECC256", 0x01C00014),
    _Kind("ec-p384", "EK-HIGH-ECC384", 0x01C00016),
    _Kind("rsa-2048", "EK-RSA2048", 0x01C00002),
    _Kind("rsa-2048-high", "EK-HIGH-RSA2048", 0x01C00012),
    _Kind("rsa-3072", "EK-HIGH-RSA3072", 0x01C0001C),
    _Kind("rsa-4096", "EK-HIGH-RSA4096", 0x01C0001E),
    _Kind("ec-p521", "EK-HIGH-ECC521", 0x01C00018),
)
"""Quickest to make first; that of a curve that few servers know last."""
_WITHOUT_CERTIFICATE = [kind for kind in _KINDS if kind.name in ("ec-p256", "rsa-2048")]

NV_FIRST, _KEYS_NV, _CHAIN_NV = 0x01C00000, range(0x01C00002, 0x01C00020), range(0x01C00100, 0x01C00200)
PERSISTENT_FIRST, PERSISTENT_LAST = 0x81010000, 0x8101FFFF
_MOST_HANDLES = 254
LARGEST_CONTENT = 8192
MOST_CONTENT = 32768
"""Bytes of one NV index, and of all, that are read; a certificate has about 1500, and servers take so much."""
_COMMON_BUFFER, _LARGEST_BUFFER = 512, 1024
_NV_TYPE = 0xF0
"""The bits of TPMA_NV that tell counters and the like from ordinary data, which has none (Part 2 section 13.4)."""
_NOT_TO_BE_READ = {0x146, 0x148, 0x149, 0x14A, 0x08B} | rc.AUTH
"""NV_RANGE, NV_LOCKED, NV_AUTHORIZATION, NV_UNINITIALIZED, HANDLE: the index is as good as absent."""


def read_certificates(esys: Any) -> tuple[StoredCertificate, ...]:
    """The certificates of endorsement keys that the TPM keeps. Loads nothing."""
    kept = _kept(esys)
    return tuple(
        StoredCertificate(kind.certificate, kept[kind.certificate], kind.name)
        for kind in _KINDS
        if kind.certificate in kept
    )


def read_endorsement(esys: Any, wanted: str) -> Endorsement:
    """The endorsement key of kind `wanted`, else the quickest that has a certificate, else the quickest. Raises
    EndorsementUnusable."""
    kept = _kept(esys)
    kinds = [kind for kind in _KINDS if wanted == kind.name or (not wanted and kind.certificate in kept)]
    for kind in kinds or _WITHOUT_CERTIFICATE:
        public = _public_of(esys, _template(kind, kept))
        if public is not None:
            own = {kind.certificate: kind.name}
            certificates = tuple(
                StoredCertificate(index, content, own.get(index, ""))
                for index, content in kept.items()
                if index in own or index in _CHAIN_NV
            )
            return Endorsement(kind.name, public.marshal(), certificates)
    raise EndorsementUnusable("the TPM makes no endorsement key of a known kind")


@contextmanager
def endorsement_key(esys: Any, public: Any) -> Iterator[tuple[Any, Any]]:
    """The endorsement key with TPM2B_PUBLIC `public`, and the session that allows its use; both are flushed
    afterwards. Raises EndorsementUnusable."""
    with _found(esys, public) as key, _allowed(esys, public.publicArea) as session:
        yield key, session


@contextmanager
def _found(esys: Any, public: Any) -> Iterator[Any]:
    for handle, persistent in _persistent(esys):
        if persistent.marshal() == public.marshal():
            yield handle
            return
    kept = _kept(esys)
    for kind in _KINDS:
        template = _template(kind, kept)
        if _parameters(template) != _parameters(public):
            continue
        with _made(esys, template) as key:
            made, _, _ = esys.read_public(key)
            if made.marshal() == public.marshal():
                yield key
                return
    raise EndorsementUnusable(
        "the TPM has another endorsement key than before",
        "It was replaced, or reset in the firmware set-up. Register this computer again.",
    )


@contextmanager
def _allowed(esys: Any, public: Any) -> Iterator[Any]:
    """PolicySecret of the endorsement hierarchy, which low-range templates ask for; high-range ones take the key's own
    empty password too (appendix B.6)."""
    if public.objectAttributes & TPMA_OBJECT.USERWITHAUTH:
        yield ESYS_TR.PASSWORD
        return
    no_symmetric = tpm.TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL)
    session = esys.start_auth_session(ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, no_symmetric, public.nameAlg)
    with flushing(esys, session):
        with _hierarchy_open():
            esys.policy_secret(ESYS_TR.RH_ENDORSEMENT, session)
        yield session


@contextmanager
def _made(esys: Any, template: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        with _hierarchy_open():
            key = stack.enter_context(primary(esys, ESYS_TR.RH_ENDORSEMENT, template))
        yield key


@contextmanager
def _hierarchy_open() -> Iterator[None]:
    """Names what the TPM says where the endorsement hierarchy has a password, or is switched off."""
    try:
        yield
    except TSS2_Exception as error:
        if rc.error_code(int(error.rc)) in rc.AUTH | rc.SWITCHED_OFF:
            raise EndorsementUnusable(
                "the TPM wants a password for its endorsement hierarchy, or it is switched off",
                "Clear that password (tpm2_changeauth -c endorsement), or switch the hierarchy on in the firmware "
                "set-up.",
            ) from error
        raise


def _public_of(esys: Any, template: Any) -> Any:
    """The TPM2B_PUBLIC of the endorsement key for `template`, None if the TPM cannot make it."""
    for _, persistent in _persistent(esys):
        if _parameters(persistent) == _parameters(template):
            return persistent
    try:
        with _made(esys, template) as key:
            public, _, _ = esys.read_public(key)
    except TSS2_Exception as error:
        if rc.error_code(int(error.rc)) in rc.UNSUPPORTED:
            return None
        raise
    return public


def _persistent(esys: Any) -> Iterator[tuple[Any, Any]]:
    """The persistent keys of the endorsement hierarchy's range, each with its TPM2B_PUBLIC."""
    for number in handles(esys, PERSISTENT_FIRST, _MOST_HANDLES):
        if PERSISTENT_FIRST <= number <= PERSISTENT_LAST:
            handle = esys.tr_from_tpmpublic(number)
            public, _, _ = esys.read_public(handle)
            yield handle, public


def _template(kind: _Kind, kept: Mapping[int, bytes]) -> Any:
    """The template for `kind` in this TPM: with the template and the nonce that its maker left, if any."""

    def read(index: int) -> bytes:
        if int(index) not in kept:
            raise NoSuchIndex(index)
        return kept[int(index)]

    def read_plainly(index: int) -> bytes:
        """As if the maker had left a certificate and nothing else."""
        if int(index) != kind.certificate:
            raise NoSuchIndex(index)
        return b""

    try:
        _, template = create_ek_template(kind.template, read)
    except (TSS2_Exception, ValueError):
        _, template = create_ek_template(kind.template, read_plainly)
    return template


def _parameters(public: Any) -> bytes:
    """All of TPM2B_PUBLIC `public` but the key itself."""
    area = public.publicArea
    same = tpm.TPMT_PUBLIC(
        type=area.type,
        nameAlg=area.nameAlg,
        objectAttributes=area.objectAttributes,
        authPolicy=area.authPolicy,
        parameters=area.parameters,
    )
    return bytes(same.marshal())


def _kept(esys: Any) -> dict[int, bytes]:
    """What the TPM keeps at the indices of endorsement keys, by index, as far as anybody may read it."""
    kept: dict[int, bytes] = {}
    room = MOST_CONTENT
    buffer = _buffer_size(esys)
    for index in handles(esys, NV_FIRST, _MOST_HANDLES):
        if index in _KEYS_NV or index in _CHAIN_NV:
            content = _read(esys, index, buffer, min(room, LARGEST_CONTENT))
            if content:
                kept[index] = content
                room -= len(content)
    return kept


def _read(esys: Any, index: int, buffer: int, limit: int) -> bytes:
    """What is at NV index `index`, in pieces of `buffer` bytes; nothing if it is larger than `limit`, no plain data, or
    not for everybody."""
    try:
        handle = esys.tr_from_tpmpublic(index)
        public, _ = esys.nv_read_public(handle)
        attributes, size = int(public.nvPublic.attributes), int(public.nvPublic.dataSize)
        if attributes & _NV_TYPE or size > limit:
            return b""
        reader = handle if attributes & int(TPMA_NV.AUTHREAD) else ESYS_TR.RH_OWNER
        content = b""
        while len(content) < size:
            length = min(buffer, size - len(content))
            content += bytes(esys.nv_read(handle, length, len(content), auth_handle=reader))
    except TSS2_Exception as error:
        if rc.error_code(int(error.rc)) in _NOT_TO_BE_READ:
            return b""
        raise
    return content


def _buffer_size(esys: Any) -> int:
    _, data = esys.get_capability(TPM2_CAP.TPM_PROPERTIES, TPM2_PT_NV.BUFFER_MAX, 1)
    listed = data.data.tpmProperties
    if listed.count and int(listed.tpmProperty[0].property) == int(TPM2_PT_NV.BUFFER_MAX):
        return min(int(listed.tpmProperty[0].value), _LARGEST_BUFFER) or _COMMON_BUFFER
    return _COMMON_BUFFER
