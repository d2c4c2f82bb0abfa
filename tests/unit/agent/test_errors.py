from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import keystead_agent
from keystead_agent.errors import AgentError, TpmMissing

OTHER_SYSTEM = "keystead_agent.system." + ("posix" if sys.platform == "win32" else "windows")
SOURCES = sorted(Path(keystead_agent.__file__).parent.rglob("*.py"))


def all_errors() -> list[type[AgentError]]:
    for module in pkgutil.walk_packages(keystead_agent.__path__, "keystead_agent."):
        if module.name != OTHER_SYSTEM:
            importlib.import_module(module.name)
    return sorted(below(AgentError), key=lambda kind: kind.__name__)


def below(kind: type[AgentError]) -> Iterator[type[AgentError]]:
    yield kind
    for derived in kind.__subclasses__():
        yield from below(derived)


def example(kind: type[AgentError]) -> AgentError:
    """An error of `kind` in which every argument has a value."""
    values: dict[str, Any] = {"detail": "what", "advice": "do", "status": 418, "problem": "odd", "retry_after": 7.0}
    return kind(**{name: values[name] for name in inspect.signature(kind).parameters})


@pytest.mark.parametrize("kind", all_errors())
def test_an_error_survives_the_way_from_the_helper_process(kind: type[AgentError]) -> None:
    error = example(kind)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 our own
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert copy.report() == error.report()


def test_what_an_error_says_begins_like_a_sentence() -> None:
    error = TpmMissing("there is none", "turn it on")
    assert (error.detail, error.advice) == ("There is none", "Turn it on")


@pytest.mark.parametrize("text", ["https://a.example is away", "/etc/x is no folder", "keystead-agent run is at work"])
def test_addresses_paths_and_commands_keep_their_spelling(text: str) -> None:
    assert AgentError(text).detail == text


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_text_for_people_has_backticks(source: Path) -> None:
    tree = ast.parse(source.read_text())
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            assert "`" not in node.value, node.value
