"""Corpora: text of many languages, split into train and held-out by content.

`readers` bring text in, `split` decides the sides, `artefact` is what the rest of the house opens, `build` puts them
together, `demo` is the corpus that comes through pip alone.
"""
