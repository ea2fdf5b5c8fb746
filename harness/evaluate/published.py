"""A transformers folder of XLM-R as a model that benchmarks are run on: our encoder with its weights, its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.batches.keyed import key
from harness.store import file_digest
from models.encoder import Encoder
from models.heads import build_masked_lm
from models.huggingface import import_folder
from sweeps.errors import BadInput


class FolderTokenizer:
    """A transformers tokenizer with XLM-R's ids."""

    def __init__(self, folder: Path) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise BadInput("a model folder needs transformers: pip install 'babelscale[transformers]'") from error
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise BadInput(f"{folder} has no tokenizer that transformers can read: {why}") from error
        marks = (self._tokenizer.bos_token_id, self._tokenizer.pad_token_id, self._tokenizer.eos_token_id)
        if marks != (0, 1, 2):
            raise BadInput(f"{folder}: <s>, <pad>, </s> have the ids {marks}; those of XLM-R, 0, 1, 2, were expected")

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        found: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return found

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        made = []
        for text in texts:
            one = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ends, most = [], 0
            for _, end in one["offset_mapping"]:
                most = max(most, end)
                ends.append(most)
            made.append((one["input_ids"], ends))
        return made


@dataclass(frozen=True)
class Published:
    """An XLM-R in a folder (`harness.evaluate.stage.Encoders`)."""

    folder: Path
    tokenizer: FolderTokenizer
    digest: str
    """Of the weights' file."""
    device: str

    @property
    def bf16(self) -> bool:
        return self.device == "cuda"

    def trained(self) -> Encoder:
        return import_folder(self.folder).encoder.to(self.device)

    def untrained(self, seed: int) -> Encoder:
        config = import_folder(self.folder).encoder.config
        return build_masked_lm(config, key(seed, "weights") >> 1).encoder.to(self.device)


def open_published(folder: Path) -> Published:
    """Raises BadInput for a folder that holds no XLM-R."""
    try:
        import_folder(folder)
    except ValueError as error:
        raise BadInput(str(error)) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    digest = file_digest(folder / "model.safetensors")[:12]
    return Published(folder, FolderTokenizer(folder), digest, device)
