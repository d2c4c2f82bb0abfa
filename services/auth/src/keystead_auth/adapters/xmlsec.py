"""XML signatures and encryption by the xmlsec1 program, through pysaml2, within bounds of time and memory.

Nothing comes here unscreened: xmlsec1 runs whatever transform a document names, an XSLT program too (pysaml2 issue
1035), and pysaml2 does not limit it.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile

from saml2.sigver import CryptoBackendXmlSec1, DecryptError, SignatureError, XmlsecError

from keystead_auth.domain.idp_errors import DecryptionFailed
from keystead_auth.domain.saml.names import MD, SAML, SAMLP
from keystead_auth.domain.saml.xml import ANSWER

SECONDS = 10
MEMORY_OCTETS = 256 * 1024 * 1024
_NAMESPACES = {"Response": SAMLP, "Assertion": SAML, "EntityDescriptor": MD, "EntitiesDescriptor": MD}


def find_xmlsec() -> str | None:
    """The program xmlsec1 (Debian package xmlsec1), if it is installed."""
    return shutil.which("xmlsec1")


class XmlSec:
    """`ports.SignatureVerifier`, and signing. `keys`: PEM files of ours, the current one first; `seconds` is the most
    that one call may take."""

    def __init__(self, program: str, keys: tuple[Path, ...], seconds: float = SECONDS) -> None:
        self._backend = _Bounded(program, seconds)
        self._keys = keys

    def verify(self, document: bytes, element: str, id: str, certificate: str) -> bool:
        """See the port."""
        with NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(_pem(certificate))
            file.flush()
            try:
                return bool(
                    self._backend.validate_signature(
                        document, file.name, "pem", f"{_NAMESPACES[element]}:{element}", id
                    )
                )
            except (SignatureError, XmlsecError):
                return False

    def decrypt(self, document: bytes) -> bytes:
        """See the port."""
        for key in self._keys:
            try:
                opened = self._backend.decrypt(document.decode(), str(key))
            except (DecryptError, XmlsecError, UnicodeError):
                continue
            return str(opened).encode()
        raise DecryptionFailed

    def sign(self, document: str, element: str, id: str) -> str:
        """`document` with the signature template in it filled in by the current key."""
        return str(self._backend.sign_statement(document, element, str(self._keys[0]), id))


class _Bounded(CryptoBackendXmlSec1):  # type: ignore[misc] # pysaml2 has no types
    """pysaml2's way of calling xmlsec1, with limits."""

    def __init__(self, program: str, seconds: float) -> None:
        super().__init__(program)
        self._seconds = seconds

    @cached_property
    def version(self) -> str:
        """The program's version."""
        output = subprocess.run([self.xmlsec, "--version"], capture_output=True, text=True, timeout=SECONDS, check=True)
        return output.stdout.split(" ")[1]

    def _run_xmlsec(self, com_list: list[str], extra_args: list[str]) -> tuple[str, str, bytes]:
        with NamedTemporaryFile(suffix=".xml") as output:
            command = ["prlimit", f"--as={MEMORY_OCTETS}", f"--cpu={SECONDS}", "--core=0", "--", *com_list]
            command += ["--output", output.name]
            if self.version_nums >= (1, 3):
                command.append("--lax-key-search")
            try:
                done = subprocess.run(
                    [*command, *extra_args], stdin=subprocess.DEVNULL, capture_output=True, timeout=self._seconds
                )
            except subprocess.TimeoutExpired as error:
                raise XmlsecError("xmlsec1 took too long") from error
            if done.returncode != 0:
                raise XmlsecError(f"xmlsec1 answered {done.returncode}")
            if Path(output.name).stat().st_size > 2 * ANSWER.octets:
                raise XmlsecError("xmlsec1 wrote too much")
            output.seek(0)
            return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), output.read()


def _pem(certificate: str) -> str:
    lines = [certificate[start : start + 64] for start in range(0, len(certificate), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
