"""YAML 1.1 (safe subset) whose groups and lists know on which line everything stands."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_TAB = "has a tab where only spaces may stand: indent with spaces"
_HINTS = {
    "mapping values are not allowed": "has a second “name:” or is indented too far: put text with a colon in quotes",
    "found character '\\t' that cannot start any token": _TAB,
    "could not find expected ':'": "comes behind a line that is no “name: value”: look for a missing colon above",
    "found unexpected end of stream": "begins a text in quotes that never ends",
    "found unknown escape character": "has a backslash in double quotes: write it twice, or use single quotes",
    "found undefined alias": "names something with * that is not there: put text that begins with * in quotes",
    "but found another document": "begins a second document with ---: use one file for each",
    "found character": "begins a text with a character that YAML reserves: put the text in quotes",
    "expected <block end>": "is not indented as the lines above: entries of one list or group begin in one column",
    "expected the node content": "ends before a list or group in brackets is closed",
    "expected ',' or": "ends before a list or group in brackets is closed",
}
_OTHER = "cannot be read: look at indentation, colons and quotes here and in the line above"


class YamlMistake(Exception):
    """The text is not YAML that can be read. `line` counts from 1."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line, self.words = line, words


class Group(dict[str, Any]):
    """What YAML calls a mapping. `line` is its own, `lines` those of its names."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, *path: str | int) -> int:
        """The line of what `path` leads to, or else of the last thing on the way that is there."""
        line: int = self.line
        here: Any = self
        for step in path:
            if isinstance(here, Group) and step in here.lines:
                line, here = here.lines[str(step)], here[str(step)]
            elif isinstance(here, Items) and isinstance(step, int) and step < len(here):
                line, here = here.lines[step], here[step]
            else:
                break
        return line


class Items(list[Any]):
    """A list. `lines` are those of its items."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def parse_yaml(text: str) -> Any:
    """The one document in `text`: groups as `Group`, lists as `Items`, None if it is empty. Raises YamlMistake."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return _value(loader, node, ()) if node else None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise YamlMistake(
            line, f"has the character U+{ord(text[int(error.position)]):04X}, which no text may hold"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark if "end of stream" not in str(error.problem) else error.context_mark
        mark = mark or error.problem_mark
        problem = str(error.problem)
        words = next((hint for found, hint in _HINTS.items() if problem.startswith(found)), _OTHER)
        raise YamlMistake(mark.line + 1 if mark else 1, words) from error


def _value(loader: yaml.SafeLoader, node: Node, above: tuple[Node, ...]) -> Any:
    line = node.start_mark.line + 1
    if node in above:
        raise YamlMistake(line, "contains itself by a * name")
    if isinstance(node, MappingNode):
        return _group(loader, node, (*above, node))
    if isinstance(node, SequenceNode):
        items = Items()
        for child in node.value:
            items.append(_value(loader, child, (*above, node)))
            items.lines.append(child.start_mark.line + 1)
        return items
    return _scalar(loader, node, line)


def _group(loader: yaml.SafeLoader, node: MappingNode, above: tuple[Node, ...]) -> Group:
    group = Group(node.start_mark.line + 1)
    written = [name.value for name, _ in node.value if isinstance(name, ScalarNode)]
    for name, _ in node.value:
        if isinstance(name, ScalarNode) and written.count(name.value) > 1:
            raise YamlMistake(name.start_mark.line + 1, f"has “{name.value}” twice in one group")
    loader.flatten_mapping(node)
    for name, value in node.value:
        if not isinstance(name, ScalarNode):
            raise YamlMistake(name.start_mark.line + 1, "has a list or group where a name belongs")
        group[name.value] = _value(loader, value, above)
        group.lines[name.value] = name.start_mark.line + 1
    return group


def _scalar(loader: yaml.SafeLoader, node: Node, line: int) -> Any:
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value  # a date is text here: versions look like dates
    try:
        return loader.construct_object(node)
    except yaml.constructor.ConstructorError as error:
        raise YamlMistake(line, "has a tag (!…), which set-up files have not: leave it out") from error
    except ValueError as error:
        raise YamlMistake(line, "has a value that cannot be read: put it in quotes") from error
