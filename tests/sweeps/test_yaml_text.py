"""YAML as users mean it: Norwegian is a language, small numbers are numbers, nothing is said twice."""

from __future__ import annotations

import pytest

from sweeps.errors import BadInput
from sweeps.yaml_text import Origin, read_yaml


def read(text: str) -> object:
    return read_yaml(text, "mine.yaml")[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("[en, no, on, yes]", ["en", "no", "on", "yes"]),
        ("true", True),
        ("1e-6", 1e-6),
        ("1.5e3", 1500.0),
        ("-.5", -0.5),
        ("010", 10),
        ("1_000", 1000),
        ("12:30", "12:30"),
        ("2024-01-02", "2024-01-02"),
        ("~", None),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        ("-", "-"),
        ("'7'", "7"),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_reads_them(text: str, value: object) -> None:
    found = read(f"a: {text}" if text != "-" else "a: '-'")
    assert found == {"a": value} and type(found["a"]) is type(value)  # type: ignore[index]


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(BadInput, match=r"mine\.yaml, line 4: the key b\.c stood in line 3 already; keep one"):
        read("a: 1\nb:\n  c: 2\n  c: 3\n")


@pytest.mark.parametrize(
    "text", ["&a [*a]", "a: &x {b: *x}", "[" * 60 + "]" * 60, "a: " + "{b: " * 60 + "1" + "}" * 60]
)
def test_a_text_that_holds_itself_or_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"mine\.yaml"):
        read(text)


def test_aliases_that_multiply_are_read_at_once_because_nothing_is_copied() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 12))
    assert len(read(text)) == 12  # type: ignore[arg-type]


def test_a_file_of_a_million_characters_is_no_study() -> None:
    with pytest.raises(BadInput, match="characters are no study file"):
        read("a" * (1 << 20) + "b")


@pytest.mark.parametrize("text", ["!!python/object:os.system x", "a: !!python/name:os.system", "!local x"])
def test_tags_that_build_objects_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not valid YAML"):
        read(text)


def test_the_line_of_a_key_is_found_first_in_the_profile_that_was_chosen() -> None:
    _, lines = read_yaml("a:\n  b: 1\nprofiles:\n  small:\n    a:\n      b: 2\n", "mine.yaml")
    assert Origin("mine.yaml", lines).at("a.b") == "mine.yaml, line 2, a.b"
    assert Origin("mine.yaml", lines, "small").at("a.b") == "mine.yaml, line 6, a.b"
    assert Origin("mine.yaml", lines).at("a.b.c") == "mine.yaml, line 2, a.b.c"
    assert Origin("mine.yaml", lines).at("z") == "mine.yaml, z"
