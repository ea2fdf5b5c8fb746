"""Intent classification: the demo's zero-shot task, from sentence templates people wrote for a voice assistant.

The package `home-assistant-intents` (Apache-2.0) holds, for each of some 65 languages, intents ("HassTurnOn") with
sentence templates ("[<the>] {area} <light> off"). A classifier is trained on English sentences and scored in every
other language.

* Sides are split by template, never by expanded sentence, and no sentence stands on two sides.
* A template is expanded by a seeded sampler over hassil's parsed tree: one alternative at a time, because listing all
  expansions of one template may take hours.
* Slots that the household fills (names of rooms and devices, list items) take words of the same language whatever the
  intent, so they tell nothing about the label.
* Sentences per label are capped, taking from all templates in turn, so that a few large intents do not dominate.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version as package_version
from itertools import zip_longest
from typing import Any

import home_assistant_intents
from hassil import parse_sentence
from hassil.errors import HassilError
from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.parser import ParseError

from sweeps.errors import BadInput

SOURCE = "en"
MIN_TEMPLATES = 3
"""An intent is a label where English has this many templates: one for each side."""
TRAIN_PER_LABEL, DEV_PER_LABEL, TEST_PER_LABEL = 60, 10, 10
TEST_PER_TARGET_LABEL = 20
TARGET_SENTENCES = 300
"""Most test sentences of a language that is only scored."""
TEMPLATES_PER_LABEL = 40
"""Most templates of a label that a scored language expands; which ones, a hash decides."""

_PACKAGE_CODES = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW", "gsw": "de-CH"}
"""Corpus code -> the package's, where they differ."""

# Rooms: kitchen, living room, bedroom, as Home Assistant's own interface names them (Apache-2.0).
_ROOMS = {
    "bg": "кухня|хол|спалня",
    "ca": "cuina|sala d'estar|dormitori",
    "cs": "kuchyně|obývák|ložnice",
    "da": "køkken|stue|soveværelse",
    "de": "Küche|Wohnzimmer|Schlafzimmer",
    "el": "κουζίνα|σαλόνι|υπνοδωμάτιο",
    "en": "kitchen|living room|bedroom",
    "es": "cocina|salón|dormitorio",
    "et": "köök|elutuba|magamistuba",
    "fi": "keittiö|olohuone|makuuhuone",
    "fr": "cuisine|salon|chambre",
    "ga": "cistin|seomra maireachtála|seomra leapa",
    "gl": "cociña|sala de estar|dormitorio",
    "he": "מטבח|סלון|חדר שינה",
    "hu": "konyha|nappali|hálószoba",
    "id": "dapur|ruang keluarga|kamar tidur",
    "it": "cucina|soggiorno|camera da letto",
    "ja": "台所|リビングルーム|寝室",
    "ko": "주방|거실|침실",
    "lb": "Kichen|Stuff|Schlofkummer",
    "lt": "virtuvė|svetainė|miegamasis",
    "nb": "kjøkken|stue|soverom",
    "nl": "keuken|woonkamer|slaapkamer",
    "pl": "kuchnia|salon|sypialnia",
    "pt": "cozinha|sala de estar|quarto",
    "pt-BR": "cozinha|sala de estar|quarto",
    "ro": "bucătărie|living|dormitor",
    "ru": "кухня|гостиная|спальня",
    "sk": "kuchyňa|obývačka|spálňa",
    "sl": "kuhinja|dnevna soba|spalnica",
    "sr-Latn": "kuhinja|dnevna soba|spavaća soba",
    "sv": "kök|vardagsrum|sovrum",
    "tr": "mutfak|oturma odası|yatak odası",
    "uk": "кухня|вітальня|спальня",
    "vi": "phòng bếp|phòng khách|phòng ngủ",
    "zh-Hans": "厨房|客厅|卧室",
    "zh-Hant": "廚房|客廳|臥室",
}
_ROOM_SLOTS = ("area", "zone")
_FLOORS = ("1", "2", "3")
_COMMAND_SLOTS = ("timer_command",)
"""Slots that take a whole further command; templates with one left are dropped."""
_THING_LISTS = ("cover_classes", "color")
"""Lists whose words fill the other open slots, with the rooms: the first that the language has. Most slots name a
device, and covers (blinds, doors, windows) are the devices that most languages list."""


@dataclass(frozen=True)
class IntentItem:
    """One sentence, its intent, and the template it came from."""

    text: str
    label: str
    template: str


@dataclass(frozen=True)
class IntentData:
    """Items of one language. `train` and `dev` are empty but for English. `skipped` counts templates not usable."""

    language: str
    train: tuple[IntentItem, ...]
    dev: tuple[IntentItem, ...]
    test: tuple[IntentItem, ...]
    skipped: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that this language's test items carry, sorted: answers may be restricted to them."""
        return tuple(sorted({item.label for item in self.test}))

    @property
    def chance(self) -> float:
        """Accuracy of guessing evenly among the labels of the test items."""
        return 1 / len(self.labels)

    @property
    def majority(self) -> float:
        """Accuracy of always giving the commonest label of the test items."""
        return max(Counter(item.label for item in self.test).values()) / len(self.test)


def languages() -> tuple[str, ...]:
    """Corpus codes of the languages that have sentence templates, sorted."""
    corpus_codes = {code: corpus for corpus, code in _PACKAGE_CODES.items()}
    return tuple(sorted(corpus_codes.get(code, code) for code in home_assistant_intents.get_languages()))


def version() -> str:
    """What the sentences depend on besides the seed: the versions of the data and of the template parser."""
    return " ".join(f"{name}=={package_version(name)}" for name in ("home-assistant-intents", "hassil"))


@cache
def labels() -> tuple[str, ...]:
    """The label inventory: intents with enough English templates, sorted."""
    found = _templates(_package_data(SOURCE))
    return tuple(sorted(intent for intent, templates in found.items() if len(templates) >= MIN_TEMPLATES))


def __getattr__(name: str) -> Any:
    """`LABELS` reads the package when it is first asked for, not when this module is imported."""
    if name == "LABELS":
        return labels()
    raise AttributeError(name)


def load(language: str, *, seed: int, per_template: int) -> IntentData:
    """The items of `language` (a corpus code); at most `per_template` sentences come from one template.

    English is split into train, dev and test by template (about 60, 20, 20 % of each label's). In other languages every
    template serves the test. Raises BadInput for a language without templates.
    """
    data = _package_data(language)
    known = {intent: templates for intent, templates in _templates(data).items() if intent in labels()}
    sampler = Sampler(language, data)
    sides: dict[str, dict[str, list[list[IntentItem]]]] = {side: {} for side in ("test", "dev", "train")}
    for label, templates in sorted(known.items()):
        ranked = sorted(templates, key=lambda template: (_rank(label, template), template))
        for side, chosen in _sides(language, ranked).items():
            expanded = [sampler.items(label, template, seed, per_template) for template in chosen]
            sides[side][label] = [items for items in expanded if items]
    ambiguous = _ambiguous(
        item for side in sides.values() for pools in side.values() for pool in pools for item in pool
    )
    caps = {"train": TRAIN_PER_LABEL, "dev": DEV_PER_LABEL, "test": TEST_PER_LABEL}
    if language != SOURCE:
        caps["test"] = TEST_PER_TARGET_LABEL
    taken = set(ambiguous)
    out: dict[str, list[IntentItem]] = {}
    for side, by_label in sides.items():  # the test first: what it holds is no longer free for dev, then train
        picked = {label: _pick(pools, caps[side], taken) for label, pools in by_label.items()}
        out[side] = [item for items in picked.values() for item in items]
        if side == "test" and language != SOURCE:
            in_turn = (item for row in zip_longest(*picked.values()) for item in row if item is not None)
            out[side] = [item for item, _ in zip(in_turn, range(TARGET_SENTENCES), strict=False)]
    return IntentData(language, tuple(out["train"]), tuple(out["dev"]), tuple(out["test"]), sampler.skipped)


def _package_data(language: str) -> dict[str, Any]:
    data = home_assistant_intents.get_intents(_PACKAGE_CODES.get(language, language))
    if data is None:
        raise BadInput(f"no intents for the language {language}: languages with intents are {', '.join(languages())}")
    return data


def _templates(data: dict[str, Any]) -> dict[str, list[str]]:
    """Intent -> its templates, each once. A template that two intents share labels nothing and is left out."""
    owners: dict[str, set[str]] = defaultdict(set)
    for intent, body in data["intents"].items():
        for block in body["data"]:
            for template in block["sentences"]:
                owners[template].add(intent)
    found: dict[str, list[str]] = defaultdict(list)
    for template, intents in owners.items():
        if len(intents) == 1:
            found[next(iter(intents))].append(template)
    return found


def _rank(label: str, template: str) -> int:
    return int.from_bytes(sha256(f"{label}\n{template}".encode()).digest()[:8])


def _sides(language: str, ranked: list[str]) -> dict[str, list[str]]:
    if language != SOURCE:
        return {"test": ranked[:TEMPLATES_PER_LABEL]}
    held = max(1, round(0.2 * len(ranked)))
    return {"test": ranked[:held], "dev": ranked[held : 2 * held], "train": ranked[2 * held :]}


def _ambiguous(items: Iterable[IntentItem]) -> set[str]:
    """Sentences that several intents may say: no label of theirs would be right."""
    said: dict[str, set[str]] = defaultdict(set)
    for item in items:
        said[_same(item.text)].add(item.label)
    return {text for text, intents in said.items() if len(intents) > 1}


def _same(text: str) -> str:
    return text.casefold()


def _pick(pools: list[list[IntentItem]], cap: int, taken: set[str]) -> list[IntentItem]:
    """Up to `cap` items, from all templates in turn, none of them `taken`; what is picked is taken from then on."""
    picked: list[IntentItem] = []
    for row in zip_longest(*pools):
        for item in row:
            if item is not None and len(picked) < cap and _same(item.text) not in taken:
                taken.add(_same(item.text))
                picked.append(item)
    return picked


class UnusableError(Exception):
    """A template that cannot be said: it refers to nothing, to itself, or to a whole further command."""


class Sampler:
    """Says sentences of one language's templates. `skipped` counts the templates that could not be used."""

    def __init__(self, language: str, data: dict[str, Any]) -> None:
        self.language = language
        self.skipped = 0
        self._rules: dict[str, str] = data["expansion_rules"]
        self._lists: dict[str, Any] = data["lists"]
        self._parsed: dict[str, Expression] = {}
        listed = (self._lists.get(name, {}).get("values", []) for name in _THING_LISTS)
        things = [_value_text(value) for value in next(filter(None, listed), [])]
        rooms = _ROOMS[language].split("|") if language in _ROOMS else []
        self._rooms = rooms or things
        self._things = things + rooms

    def items(self, label: str, template: str, seed: int, count: int) -> list[IntentItem]:
        """Up to `count` different sentences of `template`; the same for the same seed, whatever else is asked."""
        generator = random.Random(f"{seed}|intents|{self.language}|{label}|{template}")
        texts: dict[str, None] = {}
        try:
            for _ in range(3 * count):
                texts[" ".join("".join(self._say(self._parse(template), generator, 0)).split())] = None
                if len(texts) == count:
                    break
        except (UnusableError, ParseError, HassilError):
            self.skipped += 1
            return []
        return [IntentItem(text, label, template) for text in texts if text]

    def _parse(self, template: str) -> Expression:
        if template not in self._parsed:
            self._parsed[template] = parse_sentence(template).expression
        return self._parsed[template]

    def _say(self, expression: Expression, generator: random.Random, depth: int) -> Iterator[str]:
        if depth > 40:
            raise UnusableError("rules refer to each other without end")
        if isinstance(expression, TextChunk):
            yield expression.original_text
        elif isinstance(expression, Alternative):
            yield from self._say(generator.choice(expression.items), generator, depth + 1)
        elif isinstance(expression, Group):
            parts = list(expression.items)
            if isinstance(expression, Permutation):
                generator.shuffle(parts)
            for part in parts:
                yield from self._say(part, generator, depth + 1)
        elif isinstance(expression, RuleReference):
            if expression.rule_name not in self._rules:
                raise UnusableError(f"no rule <{expression.rule_name}>")
            yield from self._say(self._parse(self._rules[expression.rule_name]), generator, depth + 1)
        elif isinstance(expression, ListReference):
            yield from self._say_slot(expression, generator, depth)
        else:
            raise UnusableError(f"unknown part of a template: {type(expression).__name__}")

    def _say_slot(self, slot: ListReference, generator: random.Random, depth: int) -> Iterator[str]:
        name = slot.list_name
        if (inline := slot.get_inline_range()) is not None:
            yield str(generator.choice(range(inline[0], inline[1] + 1, inline[2])))
            return
        values = self._lists.get(name, {"wildcard": True})
        if bounds := values.get("range"):
            yield str(generator.choice(range(bounds["from"], bounds["to"] + 1, bounds.get("step", 1))))
            return
        if values.get("values"):
            choices = [_value_text(value) for value in values["values"]]
        elif name in _COMMAND_SLOTS:
            raise UnusableError(f"{{{name}}} takes a whole command")
        elif name == "floor":
            choices = list(_FLOORS)
        else:
            choices = self._rooms if name in _ROOM_SLOTS else self._things
        if not choices:
            raise UnusableError(f"no word of this language for {{{name}}}")
        yield from self._say(self._parse(generator.choice(choices)), generator, depth + 1)


def _value_text(value: Any) -> str:
    return str(value["in"] if isinstance(value, dict) else value)
