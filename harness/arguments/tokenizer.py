"""Options of `babelscale tokenizer ...`."""

from __future__ import annotations

import argparse
from typing import Any

_VERIFY = """\
Reads every byte of the tokenizers and shards under the root and compares it with the digests that it was written with.
Names what is damaged. --repair makes it anew from the corpus: the bytes come out as they were.
Exit code 1 where something is damaged and was not repaired."""


def add_tokenizer(verbs: Any, common: argparse.ArgumentParser) -> None:
    """`verbs` is what `add_subparsers` gave; `common` holds the options of every verb."""
    tokenizer = verbs.add_parser(
        "tokenizer",
        help="tokenizers and shards: list, statistics, check",
        description="Tokenizers and shards, which the queue of a study makes when they are first wanted.",
    )
    tokenizer_verbs = tokenizer.add_subparsers(dest="tokenizer_verb", metavar="VERB", required=True)

    def entry(name: str, help: str, description: str = "") -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = tokenizer_verbs.add_parser(
            name,
            parents=[common],
            help=help,
            description=description or help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(target=f"tokenizer:{name}")
        made.add_argument("--json", action="store_true", help="print JSON for scripts")
        return made

    entry("list", "which tokenizers there are").set_defaults(target="tokenizer:list_all")
    stats = entry("stats", "fertility, unknown and byte-fallback rates, pieces used, by language")
    stats.add_argument("key", metavar="KEY", help="of the tokenizer, or enough of its start to be unique")
    verify = entry("verify", "check tokenizers and shards against their digests", _VERIFY)
    verify.add_argument("--corpus", metavar="NAME", help="only what was made from this corpus")
    verify.add_argument("--repair", action="store_true", help="make anew what is damaged")
