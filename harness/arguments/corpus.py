"""Options of `babelscale corpus ...`."""

from __future__ import annotations

import argparse
from typing import Any

from harness.arguments import positive

_ADD = """\
Brings text in and splits it into train and held-out by content, once.

A SOURCE is a file, a folder of them, or a data set of Hugging Face:
  sw.txt, sw.txt.xz, .gz, .zst, .bz2    CC-100: a line a sentence, an empty line between documents
  sw.jsonl, sw.json, compressed too     a JSON object a line, its text in the field `text` (--text-field)
  sw.parquet                            a row a document
  sw/AA/wiki_00                         WikiExtractor, <doc> elements or its JSON
  sw/                                   a folder that Dataset.save_to_disk wrote
  hf:NAME[:CONFIG][@SPLIT]              a data set of the hub, or of a local folder, streamed

The language is said by --language, by a field of each record (--language-field), by the file's name, or by the
nearest folder named by a code. `babelscale corpus add demo` makes the demo's corpus.

Killed or refused, it goes on where it stopped when it is run again.
"""


def add_corpus(verbs: Any, common: argparse.ArgumentParser) -> None:
    """`verbs` is what `add_subparsers` gave; `common` holds the options of every verb."""
    corpus = verbs.add_parser(
        "corpus", help="bring text in, list it", description="Text of many languages, split once."
    )
    corpus_verbs = corpus.add_subparsers(dest="corpus_verb", metavar="VERB", required=True)
    add = corpus_verbs.add_parser(
        "add",
        parents=[common],
        help="add text",
        description=_ADD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument("name", metavar="NAME", help="what studies call it")
    add.add_argument("sources", metavar="SOURCE", nargs="*", help="files, folders, data sets (none for the name demo)")
    _reading(add)
    _splitting(add)
    _running(add)
    add.set_defaults(target="corpus:add")
    listing = corpus_verbs.add_parser("list", parents=[common], help="which corpora there are")
    listing.set_defaults(target="corpus:list_all")
    stats = corpus_verbs.add_parser("stats", parents=[common], help="languages, documents, bytes of one; a picture")
    stats.add_argument("name", metavar="NAME")
    stats.add_argument("--picture", metavar="FILE", help="draw size by language into FILE.png, .pdf or .svg")
    stats.set_defaults(target="corpus:stats")
    for entry in (add, listing, stats):
        entry.add_argument("--json", action="store_true", help="print JSON for scripts")


def _reading(add: argparse.ArgumentParser) -> None:
    group = add.add_argument_group("reading")
    group.add_argument(
        "--language",
        metavar="CODE=SOURCE",
        action="append",
        default=[],
        help="a source of that language, whatever its name; may be given often, also for one language",
    )
    group.add_argument("--language-field", metavar="FIELD", default="", help="field of each record that is its code")
    group.add_argument("--text-field", metavar="FIELD", default="text", help="field of the text (default: text)")
    group.add_argument(
        "--format",
        choices=["cc100", "jsonl", "parquet", "wikiextractor", "datasets"],
        help="read every file so, whatever its name",
    )
    group.add_argument(
        "--errors",
        choices=["strict", "replace", "drop-line"],
        default="strict",
        help="what is not UTF-8: refuse the file (default), put U+FFFD there, or leave the line out",
    )


def _splitting(add: argparse.ArgumentParser) -> None:
    group = add.add_argument_group("splitting")
    group.add_argument("--heldout-share", metavar="SHARE", type=float, help="of each language's bytes (default: 0.1)")
    group.add_argument("--heldout-floor", metavar="BYTES", type=int, help="at least this much, of both sides (3000)")
    group.add_argument("--heldout-ceiling", metavar="BYTES", type=int, help="at most this much (default: 32000000)")
    group.add_argument(
        "--skip-small", action="store_true", help="leave out languages too small for both sides, and record it"
    )


def _running(add: argparse.ArgumentParser) -> None:
    group = add.add_argument_group("running")
    group.add_argument("--workers", metavar="N", type=positive, help="processes, or jobs at once (default: one a core)")
    group.add_argument("--cluster", choices=["local", "slurm"], default="local", help="this machine, or Slurm arrays")
    group.add_argument("--partition", default="", help="of Slurm")
    group.add_argument("--account", default="", help="of Slurm")
    group.add_argument("--hours", type=float, default=12.0, help="of one Slurm job (default: 12)")
