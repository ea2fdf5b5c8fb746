"""Options of `babelscale corpus ...`."""

from __future__ import annotations

import argparse
from typing import Any


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
        description="Files named after their language (en.txt, de.txt.gz, fr.txt.xz: a line a sentence, an empty line\n"
        "between documents), or folders of them. `babelscale corpus add demo` makes the demo's corpus.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument("name", metavar="NAME", help="what studies call it")
    add.add_argument("sources", metavar="SOURCE", nargs="*", help="files and folders (none for the name demo)")
    add.set_defaults(target="corpus:add")
    listing = corpus_verbs.add_parser("list", parents=[common], help="which corpora there are")
    listing.set_defaults(target="corpus:list_all")
    stats = corpus_verbs.add_parser("stats", parents=[common], help="languages, documents, bytes of one")
    stats.add_argument("name", metavar="NAME")
    stats.set_defaults(target="corpus:stats")
    for entry in (add, listing, stats):
        entry.add_argument("--json", action="store_true", help="print JSON for scripts")
