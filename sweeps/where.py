"""Conditions over a cell, as users write them: `K >= 30 and alpha == 0.3`.

A small, safe subset of Python expressions: names, numbers, strings, lists, comparisons, and, or, not, in. Parsed, never
evaluated as code.
"""

from __future__ import annotations

import ast
import difflib
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from sweeps.errors import BadInput

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


@functools.lru_cache(maxsize=256)
def _parsed(condition: str) -> ast.expr:
    try:
        return ast.parse(condition.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BadInput(
            f"the condition {condition!r} cannot be read; write for example: K >= 8 and alpha == 0.3"
        ) from error


def matches(condition: str, values: Mapping[str, Any]) -> bool:
    """Whether a cell with these axis values meets the condition. Raises BadInput for what cannot be read."""
    tree = _parsed(condition)

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                if name not in values:
                    near = difflib.get_close_matches(name, values, n=1)
                    hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(values))}"
                    raise BadInput(f"the condition {condition!r} names {name!r}, which a cell does not have; {hint}")
                return values[name]
            case ast.Attribute() if ast.unparse(node) in values:  # an axis that is a key's path
                return values[ast.unparse(node)]
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [value(item) for item in items]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not value(operand)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(value(part) for part in parts)
            case ast.BoolOp(op=ast.Or(), values=parts):
                return any(value(part) for part in parts)
            case ast.Compare(left=left, ops=operators, comparators=rights):
                chain = [value(left), *(value(right) for right in rights)]
                return all(_COMPARE[type(op)](a, b) for op, a, b in zip(operators, chain[:-1], chain[1:], strict=True))
        raise BadInput(
            f"the condition {condition!r} holds {ast.unparse(node)!r}; "
            "only names, numbers, strings, lists, comparisons, and, or, not, in are understood"
        )

    try:
        return bool(value(tree))
    except RecursionError as error:
        raise BadInput(f"the condition {condition[:60]!r}... is nested too deep") from error
    except (TypeError, KeyError) as error:
        raise BadInput(f"the condition {condition!r} compares values of different kinds: {error}") from error
