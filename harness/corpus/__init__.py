"""Corpora: text of many languages, split into train and held-out by content.

Text comes in by `sources` (which files), `streams` and `utf8` (their bytes and text), `readers` and `hub` (their
documents). `gather` makes a part of each input, `split` decides the sides, `sides` writes them, `spread` runs both over
processes or a cluster, and `build` puts them together. `artefact` and `documents` are what the rest of the house opens;
`demo` is the corpus that comes through pip alone. `tokenizer` and `shards` stand on a finished corpus.
"""
