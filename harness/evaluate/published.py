"""A transformers folder as a model that benchmarks are run on: XLM-R in our encoder, any other in its own class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.batches.keyed import key
from harness.store import file_digest
from models.encoder import Encoder
from models.heads import build_masked_lm
from models.huggingface import import_folder
from models.transformers_encoder import FIRST_ID, Marks, TransformersEncoder, drawn, pretrained
from sweeps.errors import BadInput

_NEEDS = "a model folder needs transformers: pip install 'babelscale[transformers]'"
_LONGEST = 1 << 20
"""Tokens; a tokenizer without a limit of its own says 1e30."""


class FolderTokenizer:
    """A transformers tokenizer. `first`: what its id 0 becomes: 0 for XLM-R's ids as they are, else `FIRST_ID`."""

    def __init__(self, folder: Path, first: int = 0) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise BadInput(_NEEDS) from error
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise BadInput(f"{folder} has no tokenizer that transformers can read: {why}") from error
        self._first = first
        self.longest = min(int(self._tokenizer.model_max_length), _LONGEST)
        found = self._tokenizer
        begin = found.cls_token_id if found.cls_token_id is not None else found.bos_token_id
        end = found.sep_token_id if found.sep_token_id is not None else found.eos_token_id
        if first == 0 and (begin, found.pad_token_id, end) != (0, 1, 2):
            marks = (begin, found.pad_token_id, end)
            raise BadInput(f"{folder}: <s>, <pad>, </s> have the ids {marks}; those of XLM-R, 0, 1, 2, were expected")
        if None in (begin, found.pad_token_id, end):
            raise BadInput(
                f"{folder}: its tokenizer has no token that begins, pads or ends a row; an encoder's has them"
            )
        if not found.is_fast:
            raise BadInput(f"{folder}: its tokenizer has no tokenizer.json, which says where a token stands in a text")
        self.marks = Marks(begin, found.pad_token_id, end)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        found: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [[id_ + self._first for id_ in ids] for ids in found]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        made = []
        for text in texts:
            one = self._tokenizer(text, add_special_tokens=False, verbose=False, return_offsets_mapping=True)
            ends, most = [], 0
            for _, end in one["offset_mapping"]:
                most = max(most, end)
                ends.append(most)
            made.append(([id_ + self._first for id_ in one["input_ids"]], ends))
        return made


@dataclass(frozen=True)
class PublishedXLMR:
    """An XLM-R, in our own encoder (`harness.evaluate.stage.Encoders`). `digest`: of its weights."""

    folder: Path
    tokenizer: FolderTokenizer
    digest: str
    device: str

    @property
    def bf16(self) -> bool:
        return self.device == "cuda"

    def trained(self) -> Encoder:
        return import_folder(self.folder).encoder.to(self.device)

    def untrained(self, seed: int) -> Encoder:
        config = import_folder(self.folder).encoder.config
        return build_masked_lm(config, key(seed, "weights") >> 1).encoder.to(self.device)


@dataclass(frozen=True)
class PublishedOther:
    """Any other encoder that transformers can read, in its own class. `digest`: of its weights and configuration."""

    folder: Path
    tokenizer: FolderTokenizer
    digest: str
    device: str

    @property
    def bf16(self) -> bool:
        return self.device == "cuda"

    def trained(self) -> TransformersEncoder:
        return self._body(pretrained(self.folder))

    def untrained(self, seed: int) -> TransformersEncoder:
        return self._body(drawn(self.folder, key(seed, "weights") >> 1))

    def _body(self, model: nn.Module) -> TransformersEncoder:
        return TransformersEncoder(model, self.tokenizer.marks, self.tokenizer.longest).to(self.device)


def open_published(folder: Path) -> PublishedXLMR | PublishedOther:
    """Raises BadInput for a folder that holds no encoder, no weights in safetensors or no fast tokenizer."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        ours = _is_xlm_r(folder)
        if ours:
            import_folder(folder)
        else:
            pretrained(folder)
    except ImportError as error:
        raise BadInput(_NEEDS) from error
    except ValueError as error:
        raise BadInput(str(error)) from error
    if ours:
        return PublishedXLMR(folder, FolderTokenizer(folder), file_digest(folder / "model.safetensors")[:12], device)
    parts = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    digest = hashlib.sha256("".join(file_digest(part) for part in parts).encode()).hexdigest()[:12]
    return PublishedOther(folder, FolderTokenizer(folder, FIRST_ID), digest, device)


def _is_xlm_r(folder: Path) -> bool:
    """An XLM-R whose weights are one file is read by our own encoder."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no config.json; a model is read from config.json and its safetensors")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path} holds no mapping of fields")
    return fields.get("model_type") == "xlm-roberta" and not (folder / "model.safetensors.index.json").is_file()
