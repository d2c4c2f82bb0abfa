"""The bill of materials of the MSI, in CycloneDX: what requirements/agent-windows.txt pins, Python, and what comes with
it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from keystead_windows import runtime
from keystead_windows.places import PYTHON, REQUIREMENTS

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
OPENSSL = re.compile(rb"OpenSSL (\d+\.\d+\.\d+) ")


def write_sbom(path: Path, version: str) -> None:
    """Writes the bill of materials of the agent's `version` to `path`."""
    bom = Bom()
    agent = Component(type=ComponentType.APPLICATION, name="keystead-agent", version=version, bom_ref="keystead-agent")
    bom.metadata.component = agent
    parts = [*_python(), *_packages()]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(agent, parts)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    path.write_text(text, encoding="utf-8")


def _python() -> Iterator[Component]:
    artifact = runtime.ARTIFACT.split(":")
    yield Component(
        type=ComponentType.FRAMEWORK,
        name="CPython",
        version=artifact[2].partition("-")[0],
        purl=PackageURL("maven", artifact[0], artifact[1], artifact[2], {"classifier": artifact[4]}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=runtime.SHA256)],
        licenses=[LicenseFactory().make_from_string("Python-2.0")],
    )
    library = PYTHON / "DLLs/libcrypto-3.dll"
    if found := OPENSSL.search(library.read_bytes()):
        yield Component(
            name="OpenSSL",
            version=found[1].decode(),
            hashes=[HashType.from_hashlib_alg("sha256", _sha256(library))],
            licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        )


def packages(*more: str) -> Iterator[Distribution]:
    """The packages for Windows that the agent has, and `more`."""
    installed = {_plain(found.name): found for found in distributions(path=[str(PYTHON / "Lib/site-packages")])}
    pinned = (REQUIREMENTS / "agent-windows.txt").read_text(encoding="utf-8")
    for name in (*PINNED.findall(pinned), *more):
        yield installed[_plain(name)]


def _packages() -> Iterator[Component]:
    for package in packages():
        licence = licence_of(package)
        yield Component(
            name=package.name,
            version=package.version,
            purl=PackageURL("pypi", None, _plain(package.name), package.version),
            licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        )


def licence_of(package: Distribution) -> str:
    """The terms of `package` as its metadata names them."""
    facts = package.metadata
    first = {name: next(iter(facts.get_all(name) or ()), "") for name in ("License-Expression", "License")}
    classified = [
        each.rpartition(" :: ")[2] for each in facts.get_all("Classifier") or () if each.startswith("License")
    ]
    stated = "" if "\n" in first["License"] else first["License"]
    return first["License-Expression"] or stated or " and ".join(classified)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
