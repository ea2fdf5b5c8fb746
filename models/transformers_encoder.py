"""Any encoder of transformers in the place of ours: the same ids in, the same states out, so that heads need not know.

Rows are written with XLM-R's marks (0 begins, 1 pads, 2 ends) and a model's own ids moved up by `FIRST_ID`; here they
become that model's marks and ids again. An XLM-R itself is read into our own encoder (`models.huggingface`) instead,
which is faster.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.encoder import Encoder
from models.sizes import PAD_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_ID = 3
"""What a model's own id 0 is in a row; below it are the marks."""


@dataclass(frozen=True)
class Marks:
    """A tokenizer's own ids of what begins, pads and ends a row."""

    begin: int
    pad: int
    end: int


@dataclass(frozen=True)
class Reach:
    """What heads and batches ask an encoder: `width` of its states, `positions` a row may have."""

    width: int
    positions: int


class TransformersEncoder(nn.Module):
    """A model of transformers as an encoder: ids (B, T) with our marks to states (B, T, D)."""

    def __init__(self, model: nn.Module, marks: Marks, longest: int) -> None:
        """`longest`: of the tokenizer; what the model's own position table allows may be less."""
        super().__init__()
        self.model = model
        fields: Any = model.config
        self.config = Reach(int(fields.hidden_size), min(longest, _positions(model)))
        self.embedding = SimpleNamespace(tokens=SimpleNamespace(tied=False))
        # A layer gives its states in a tuple or bare, as its model likes; what passes here is always the states.
        self.blocks = nn.ModuleList(nn.Identity() for _ in range(int(fields.num_hidden_layers)))
        self.register_buffer("marks", torch.tensor([marks.begin, marks.pad, marks.end]), persistent=False)
        self._freeze_what_states_do_not_need()

    def _freeze_what_states_do_not_need(self) -> None:
        """A class may hold weights for another purpose (ESM's contact head): an optimizer would never update them."""
        with torch.enable_grad():
            self(torch.tensor([[0, 2]])).sum().backward()
        for parameter in self.parameters():
            if parameter.grad is None:
                parameter.requires_grad_(False)
            parameter.grad = None

    @property
    def checkpoint_blocks(self) -> bool:
        """Whether the backward pass computes the layers' activations again instead of keeping them."""
        return bool(getattr(self.model, "is_gradient_checkpointing", False))

    @checkpoint_blocks.setter
    def checkpoint_blocks(self, wanted: bool) -> None:
        model: Any = self.model
        if wanted and model.supports_gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})

    def forward(self, ids_BT: Tensor, *, padded: bool = True) -> Tensor:
        """`padded` is for our encoder, which attends faster over rows without padding."""
        marks: Tensor = self.marks  # type: ignore[assignment]
        own_BT = torch.where(ids_BT < FIRST_ID, marks[ids_BT.clamp(max=FIRST_ID - 1)], ids_BT - FIRST_ID)
        said = self.model(input_ids=own_BT, attention_mask=ids_BT.ne(PAD_ID).long(), output_hidden_states=True)
        for block, state_BTD in zip(self.blocks, said.hidden_states[1:], strict=True):
            block(state_BTD)
        states_BTD: Tensor = said.last_hidden_state
        return states_BTD


Body = Encoder | TransformersEncoder
"""What a head can stand on."""


def read_config(folder: Path) -> Any:
    """The configuration of a model that reads a row both ways.

    Raises ValueError for a folder without one that this transformers knows, and for a decoder or encoder-decoder.
    """
    from transformers import AutoConfig

    try:
        fields = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{folder} has no config.json that transformers can read: {_first_line(error)}") from error
    if getattr(fields, "is_encoder_decoder", False) or getattr(fields, "is_decoder", False):
        raise ValueError(f"{folder} holds a {fields.model_type}, which has a decoder; an encoder alone is scored")
    absent = [name for name in ("hidden_size", "num_hidden_layers") if not isinstance(getattr(fields, name, None), int)]
    if absent:
        raise ValueError(
            f"{folder} holds a {fields.model_type} without {' and '.join(absent)}; a text encoder has them"
        )
    return fields


def pretrained(folder: Path) -> nn.Module:
    """The model of the folder's safetensors, fp32, on the CPU. Raises ValueError as `read_config` does."""
    from transformers import AutoModel

    read_config(folder)

    def load(**more: Any) -> nn.Module:
        model: nn.Module = AutoModel.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True,
            torch_dtype=torch.float32, **more,
        )  # fmt: skip
        return model

    try:
        with _quiet():
            return _without_pooler(load)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{folder} holds no weights that transformers can read: {_first_line(error)}") from error


def drawn(folder: Path, seed: int) -> nn.Module:
    """The folder's model with weights drawn from `seed` alone, as its own class draws them."""
    from transformers import AutoModel

    fields = read_config(folder)
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        return _without_pooler(lambda **more: AutoModel.from_config(fields, **more))


def _without_pooler(make: Callable[..., nn.Module]) -> nn.Module:
    """A pooler's weights would be carried through training and never used; not every class has the choice."""
    try:
        return make(add_pooling_layer=False)
    except TypeError:
        return make()


def _positions(model: nn.Module) -> int:
    fields: Any = model.config
    most = int(getattr(fields, "max_position_embeddings", 0) or 1 << 30)
    table: Any = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    offset = getattr(table, "padding_idx", None)
    return most if offset is None else most - offset - 1  # RoBERTa's family counts from behind the padding id


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' table of the head's weights that an encoder alone does not have."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
