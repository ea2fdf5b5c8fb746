"""YAML as a study file means it: YAML 1.2's plain values, no key twice, and the line of every key.

PyYAML reads YAML 1.1, where the language code `no` is the word false, `1e-6` a text, and the second of two equal keys
silently wins. Only plain data is made: tags that would build objects are refused, as by `yaml.safe_load`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from sweeps.errors import BadInput

MOST_BYTES = 1 << 20
_DEEPEST = 40

Path = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's booleans, numbers and nulls."""


_KINDS = {
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    "null": (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    "int": (re.compile(r"^[-+]?[0-9][0-9_]*$"), "-+0123456789"),
    "float": (
        re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)$"),
        "-+.0123456789",
    ),
}
# The order matters: a whole number is also a float's text. The merge key of YAML 1.1 stays.
_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] == "tag:yaml.org,2002:merge"]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_pattern, _firsts) in _KINDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, list(_firsts))


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)).replace("_", ""))  # no octal: 010 is ten


def _real(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).replace("_", ""))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _real)


@dataclass(frozen=True)
class Origin:
    """Where a study was read: a name for messages, and the line of each key. No two origins differ for `==`."""

    source: str = field(compare=False)
    lines: dict[Path, int] = field(default_factory=dict, compare=False)
    """From 1."""
    profile: str | None = field(default=None, compare=False)

    def line_of(self, path: str) -> str:
        """`mine.yaml, line 7`: where the innermost part of a dotted path stands that the text holds."""
        keys = tuple(path.split(".")) if path else ()
        for length in range(len(keys), 0, -1):
            over = ("profiles", self.profile, *keys[:length]) if self.profile is not None else ()
            line = self.lines.get(over) or self.lines.get(keys[:length])
            if line is not None:
                return f"{self.source}, line {line}"
        return self.source

    def at(self, path: str) -> str:
        """`mine.yaml, line 7, axes.width`."""
        return f"{self.line_of(path)}, {path}" if path else self.source


def read_yaml(text: str, source: str) -> tuple[Any, dict[Path, int]]:
    """The value that the text stands for, and the line of each key. Raises BadInput, naming `source` and the line."""
    if len(text) > MOST_BYTES:
        raise BadInput(f"{source}: {len(text):,} characters are no study file; one has at most {MOST_BYTES:,}")
    lines: dict[Path, int] = {}
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _note_lines(node, (), lines, source, [])
        return loader.construct_document(node), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or "cannot be read").split())
        raise BadInput(f"{source}{where}: not valid YAML ({problem})") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # What a tag such as !!int does with a value that is none: PyYAML lets Python's own errors through.
        reason = " ".join(str(error).split())
        raise BadInput(f"{source}: not valid YAML ({type(error).__name__}: {reason})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _note_lines(node: yaml.Node, path: Path, lines: dict[Path, int], source: str, above: Sequence[int]) -> None:
    """Walk the mappings; a key that stands twice in one of them is refused."""
    if len(path) > _DEEPEST or id(node) in above:
        raise BadInput(f"{source}, line {node.start_mark.line + 1}: a study is not nested this deep; write it flat")
    above = [*above, id(node)]
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _note_lines(item, (*path, str(number)), lines, source, above)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadInput(f"{source}, line {line}: a key is one word, not a list or a mapping")
        if name in seen and name != "<<":
            where = ".".join((*path, name))
            raise BadInput(f"{source}, line {line}: the key {where} stood in line {seen[name]} already; keep one")
        seen[name] = line
        lines.setdefault((*path, name), line)
        _note_lines(value, (*path, name), lines, source, above)
