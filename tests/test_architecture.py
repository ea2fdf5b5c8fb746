"""The floors of the house: who may import whom, read from the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "sweeps", "harness", "analysis")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
HEAVY = {"torch", "deepspeed", "transformers", "submitit"}
MOST_LINES = 400


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module named by an import anywhere below `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports_at_top(tree: ast.Module) -> Iterator[str]:
    """Imports that run when the module is imported: those outside functions."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        pending.extend(ast.iter_child_nodes(node))


def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def tops(names: Iterator[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


of = pytest.mark.parametrize


@of("name", [name for name in MODULES if name.startswith(("sweeps", "analysis"))])
def test_sweeps_and_analysis_know_neither_torch_nor_the_harness(name: str) -> None:
    assert not tops(imports(tree(name))) & (HEAVY | {"harness"})


@of("name", [name for name in MODULES if name.startswith("sweeps")])
def test_sweeps_stand_on_the_plain_modules_of_models_alone(name: str) -> None:
    found = {module for module in imports(tree(name)) if module.split(".")[0] in ("models", "analysis")}
    assert all(module.startswith(("models.sizes", "models.cost", "models.room")) for module in found)


@of("name", [name for name in MODULES if name.startswith("models")])
def test_models_stand_on_the_ground(name: str) -> None:
    assert not tops(imports(tree(name))) & {"sweeps", "harness", "analysis", "deepspeed", "submitit"}


@of("name", ["models.sizes", "models.cost", "models.room", "models.__init__"])
def test_prices_are_plain_arithmetic(name: str) -> None:
    assert not tops(imports(tree(name))) & {"torch", "numpy", "transformers"}


@of("name", [name for name in MODULES if name.startswith("harness")])
def test_only_verbs_know_the_analysis_and_only_when_they_run(name: str) -> None:
    if not name.startswith("harness.verbs"):
        assert "analysis" not in tops(imports(tree(name)))
    assert "analysis" not in tops(imports_at_top(tree(name)))


@of("name", [name for name in MODULES if name.startswith("analysis")])
def test_the_analysis_reads_files_only(name: str) -> None:
    found = {module for module in imports(tree(name)) if module.split(".")[0] in ("models", "sweeps")}
    plain = ("sweeps.codes", "sweeps.errors", "sweeps.language_table", "sweeps.languages", "sweeps.pace")
    assert all(module.startswith(plain) for module in found), "of the others only tables and arithmetic"


@of("name", list(MODULES))
def test_no_module_is_too_long_and_each_says_what_it_is(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module begins by saying what it is"


def names_its_encoding(call: ast.Call) -> bool:
    """Whether a call that opens text says in what encoding; anything else passes."""
    if isinstance(call.func, ast.Name):
        method, on = call.func.id, None
    elif isinstance(call.func, ast.Attribute):
        method, on = call.func.attr, call.func.value
    else:
        return True
    if method not in ("open", "read_text", "write_text"):
        return True
    if isinstance(on, ast.Name) and on.id in (
        "os",
        "lzma",
        "gzip",
        "zipfile",
        "webbrowser",
        "Corpus",
        "store",
        "Image",
    ):
        return True
    values = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    values += [keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)]
    if any(isinstance(value, str) and "b" in value and set(value) <= set("rwaxb+t") for value in values):
        return True
    own = method != "open" and on is None  # functions of the harness, which know their encoding by themselves
    return own or any(keyword.arg == "encoding" for keyword in call.keywords)


@of("name", list(MODULES))
def test_text_is_read_and_written_in_a_named_encoding(name: str) -> None:
    calls = [node for node in ast.walk(tree(name)) if isinstance(node, ast.Call)]
    assert not [f"line {call.lineno}" for call in calls if not names_its_encoding(call)]


@of(
    "modules",
    [
        "sweeps.grid, harness.cli",
        "harness.verbs.studies, harness.verbs.corpus, harness.verbs.show, harness.verbs.demo",
        "analysis.report, analysis.figures",
        "harness.launch.queue, harness.launch.freeze",
    ],
)
def test_what_answers_quickly_loads_no_torch(modules: str) -> None:
    code = f"import sys, {modules}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_the_house_has_its_four_packages() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(PACKAGES) and len(MODULES) > 30
