"""What transformers loads is our model and what we load is theirs: equal logits, equal gradients, equal bits."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny import SENTENCES, make_corpus

from harness.corpus.tokenizer import Tokenizer, TokenizerSpec, ensure_tokenizer
from harness.store import Store
from models.heads import MaskedLM, build_masked_lm
from models.huggingface import encoder_config, export_folder, import_folder
from models.huggingface_weights import load_transformers_weights, transformers_weights
from models.sizes import PAD_ID, EncoderConfig

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    store = Store(tmp_path_factory.mktemp("huggingface"))
    corpus = make_corpus(store, "scripts", dict.fromkeys(SENTENCES, 60))
    spec = TokenizerSpec(languages=tuple(SENTENCES), vocabulary=580, alpha=0.3, sample_bytes=60_000)
    return ensure_tokenizer(store, corpus, spec)


def perturbed(model: Any, seed: int = 6) -> Any:
    """Nothing may stay at zero or one: an exchange of two weights would not be seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def config_for(tokenizer: Tokenizer, kind: str = "xlm-r", **more: Any) -> EncoderConfig:
    return EncoderConfig(
        kind=kind,  # type: ignore[arg-type]
        vocabulary=tokenizer.table_rows,
        width=32,
        layers=3,
        heads=4,
        feedforward=96,
        positions=48,
        **more,
    )


def model_for(tokenizer: Tokenizer, kind: str = "xlm-r", **more: Any) -> MaskedLM:
    return perturbed(build_masked_lm(config_for(tokenizer, kind, **more), 5).eval())


def xlm_roberta(**changes: Any) -> Any:
    fields = {"vocab_size": 300, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    fields |= {"intermediate_size": 80, "max_position_embeddings": 50, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    torch.manual_seed(1)
    return perturbed(transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig(**fields | changes)).eval())


def loaded(folder: Path) -> Any:
    """What AutoModelForMaskedLM makes of a folder; every weight of it found its place."""
    theirs, loading = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]
    return theirs.eval()


@pytest.fixture(scope="module", params=["imported", "exported", "exported modern"])
def pair(
    request: pytest.FixtureRequest, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MaskedLM, Any]:
    """Our model and theirs, one made from the other."""
    folder = tmp_path_factory.mktemp("pair") / "model"
    if request.param == "imported":
        theirs = xlm_roberta()
        theirs.save_pretrained(folder)
        return import_folder(folder).eval(), theirs
    kind = "modern" if request.param.endswith("modern") else "xlm-r"
    ours = model_for(tokenizer, kind, rotary_base=100.0)
    export_folder(ours, tokenizer.folder / "sentencepiece.model", folder)
    theirs = loaded(folder)
    assert type(theirs).__name__ == ("EsmForMaskedLM" if kind == "modern" else "XLMRobertaForMaskedLM")
    return ours, theirs


def some_ids(vocabulary: int, padded: bool) -> torch.Tensor:
    ids = torch.randint(4, vocabulary, (3, 40), generator=torch.Generator().manual_seed(2))
    ids[:, 0], ids[:, -1] = 0, 2
    if padded:
        ids[1, 20:], ids[2, 7:] = PAD_ID, PAD_ID
    return ids


def both_logits(pair: tuple[MaskedLM, Any], padded: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of real positions, ours and theirs, (N, V) each, and the ids there."""
    ours, theirs = pair
    ids = some_ids(ours.encoder.config.vocabulary, padded)
    real = ids.ne(PAD_ID)
    mine = ours.logits(ours.encoder(ids, padded=padded)[real])
    return mine, theirs(ids, attention_mask=real.long()).logits[real], ids[real]


PADDED = pytest.mark.parametrize("padded", [False, True], ids=["full rows", "padded"])


@PADDED
def test_both_compute_the_same_logits(pair: tuple[MaskedLM, Any], padded: bool) -> None:
    with torch.no_grad():
        mine, their, _ = both_logits(pair, padded)
    assert mine.std() > 0.5, "logits this flat would be equal by chance"
    assert (mine - their).abs().max() < 1e-5 * max(1.0, float(their.abs().max()))


def test_a_model_with_an_output_multiplier_keeps_its_logits(tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours = model_for(tokenizer, "modern", output_multiplier=0.25)
    export_folder(ours, tokenizer.folder / "sentencepiece.model", tmp_path / "model")
    with torch.no_grad():
        mine, their, _ = both_logits((ours, loaded(tmp_path / "model")), padded=False)
    assert (mine - their).abs().max() < 1e-5 * max(1.0, float(their.abs().max()))


@PADDED
def test_both_have_the_same_gradient_of_every_weight(pair: tuple[MaskedLM, Any], padded: bool) -> None:
    ours, theirs = pair
    ours.zero_grad()
    theirs.zero_grad()
    mine, their, ids = both_logits(pair, padded)
    labels = ids.flip(0)
    F.cross_entropy(mine, labels).backward()
    F.cross_entropy(their, labels).backward()
    holder = copy.deepcopy(ours)  # gradients take the way of the weights: renamed, split
    with torch.no_grad():
        for slot, parameter in zip(holder.parameters(), ours.parameters(), strict=True):
            assert parameter.grad is not None
            slot.copy_(parameter.grad)
    gradients = {name: value.grad for name, value in theirs.named_parameters(remove_duplicate=False)}
    compared = 0
    for name, gradient in transformers_weights(holder).items():
        if ours.encoder.config.kind == "modern" and not name.endswith(("weight", "lm_head.bias")):
            continue  # theirs alone: biases that we do not have
        if "contact_head" in name:
            continue  # no part of the loss
        scale = float(gradients[name].abs().max())
        if name.endswith("key.bias"):  # softmax does not see it: rounding on both sides
            assert scale < 1e-6 and float(gradient.abs().max()) < 1e-6
            continue
        assert scale > 1e-5, f"{name} has no gradient that could differ"
        assert float((gradient - gradients[name]).abs().max()) < 1e-5 * scale, name
        compared += 1
    assert compared > 20


def test_a_model_that_went_there_and_back_is_the_same_to_the_bit(tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours = model_for(tokenizer, dropout=0.1)
    export_folder(ours, tokenizer.folder / "sentencepiece.model", tmp_path / "model")
    again = import_folder(tmp_path / "model")
    assert again.encoder.config == ours.encoder.config
    assert again.decoder.weight is again.encoder.embedding.tokens.weight
    state = again.state_dict()
    assert state.keys() == ours.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


def test_a_model_that_came_here_and_went_back_is_the_same_to_the_bit(tmp_path: Path) -> None:
    theirs = xlm_roberta()
    theirs.save_pretrained(tmp_path)
    back = transformers_weights(import_folder(tmp_path))
    state = theirs.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in back.items())
    left = set(state) - set(back)
    assert all(name.startswith(("lm_head.decoder", "roberta.embeddings.")) for name in left), left


def test_files_with_second_names_poolers_and_half_precision_are_read(tmp_path: Path) -> None:
    """As the released XLM-R files are: a decoder beside its table, a pooler, position ids."""
    theirs = xlm_roberta()
    theirs.save_pretrained(tmp_path)
    plain = import_folder(tmp_path).state_dict()
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.decoder.weight"] = weights["roberta.embeddings.word_embeddings.weight"].clone()
    weights["lm_head.decoder.bias"] = weights.pop("lm_head.bias")
    weights["roberta.pooler.dense.weight"] = torch.ones(48, 48)
    weights["roberta.embeddings.position_ids"] = torch.arange(50)[None]
    save_file(weights, tmp_path / "model.safetensors")
    assert all(torch.equal(value, plain[name]) for name, value in import_folder(tmp_path).state_dict().items())
    save_file({name: value.half() for name, value in weights.items()}, tmp_path / "model.safetensors")
    again = import_folder(tmp_path).state_dict()
    assert all(torch.equal(value, plain[name].half().float()) for name, value in again.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "roberta"}, "its model_type is 'roberta'; only xlm-roberta is read"),
        ({"model_type": None}, "its model_type is None"),
        ({"hidden_act": "relu"}, "its hidden_act is 'relu'; an encoder of kind xlm-r has 'gelu'"),
        ({"layer_norm_eps": 1e-12}, "its layer_norm_eps is 1e-12; an encoder of kind xlm-r has 1e-05"),
        ({"tie_word_embeddings": False}, "its tie_word_embeddings is False"),
        ({"position_embedding_type": "relative_key"}, "its position_embedding_type is 'relative_key'"),
        ({"type_vocab_size": 2}, "its type_vocab_size is 2; an encoder of kind xlm-r has 1"),
        ({"pad_token_id": 0}, "its pad_token_id is 0"),
        ({"is_decoder": True}, "its is_decoder is True"),
        ({"attention_probs_dropout_prob": 0.0}, "its hidden_dropout_prob is 0.1 and its attention_probs_dropout_prob"),
        ({"hidden_size": "wide"}, "its hidden_size is 'wide', which is no number of that sort"),
        ({"num_attention_heads": 5}, "model width 48 is not divisible by 5 heads"),
        ({"hidden_size": 96}, r"has shape \(300, 48\); the configuration asks for \(300, 96\)"),
        ({"num_hidden_layers": 4}, "its weights lack roberta.encoder.layer.3.* and 13 more"),
        ({"num_hidden_layers": 2}, "its weights hold roberta.encoder.layer.2.* and 13 more, which an encoder"),
    ],
)
def test_a_folder_that_is_not_an_xlm_r_is_refused_in_one_sentence(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    xlm_roberta().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=words) as caught:
        import_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("left_out", ["layer_norm_eps", "type_vocab_size"])
def test_a_field_that_is_left_out_means_what_it_means_there(left_out: str) -> None:
    fields = xlm_roberta().config.to_dict()
    assert encoder_config(fields).positions == 48
    del fields[left_out]
    with pytest.raises(ValueError, match=f"its {left_out} is {transformers.XLMRobertaConfig().to_dict()[left_out]}"):
        encoder_config(fields)


def test_the_values_that_leaving_out_means_are_those_of_transformers() -> None:
    """A config.json may hold nothing but what differs from the class's defaults."""
    bare = {"model_type": "xlm-roberta", "layer_norm_eps": 1e-5, "type_vocab_size": 1}
    assert encoder_config(bare) == encoder_config(transformers.XLMRobertaConfig(**bare).to_dict())


def test_weights_that_do_not_fit_are_refused_and_the_model_stays(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    before = copy.deepcopy(model.state_dict())
    good = transformers_weights(perturbed(copy.deepcopy(model), seed=9))
    query = "roberta.encoder.layer.1.attention.self.query.weight"
    for weights, words in (
        ({name: value for name, value in good.items() if name != query}, f"its weights lack {query}"),
        (good | {"roberta.adapter.weight": torch.ones(2)}, "its weights hold roberta.adapter.weight, which"),
        (
            good | {query: torch.ones(32, 31)},
            r"query.weight has shape \(32, 31\); the config",
        ),
        (good | {"lm_head.decoder.weight": torch.ones(582, 32)}, "its lm_head.decoder.weight is not its roberta.embed"),
    ):
        with pytest.raises(ValueError, match=words):
            load_transformers_weights(model, weights)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    load_transformers_weights(model, good)
    assert not torch.equal(model.decoder.bias, before["decoder.bias"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", None, "has no config.json; a model is read from config.json and one model.safetensors"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("config.json", "{", "cannot be read"),
        ("config.json", "[]", "holds no mapping of fields"),
        ("model.safetensors", "{", "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_sentence(
    name: str, content: str | None, words: str, tmp_path: Path
) -> None:
    xlm_roberta().save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        import_folder(tmp_path)


@pytest.mark.parametrize("kind", ["xlm-r", "modern"])
def test_the_folder_holds_data_files_only(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    export_folder(model_for(tokenizer, kind), tokenizer.folder / "sentencepiece.model", tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
        "sentencepiece.bpe.model",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert theirs("the window")["input_ids"] == [0, *tokenizer.encode(["the window"])[0], 2]


def test_a_gated_model_is_refused_with_the_difference_and_nothing_is_written(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = model_for(tokenizer, "modern", gated=True)
    with pytest.raises(ValueError, match="ModernBERT, normalises the token embeddings and has no attention norm"):
        export_folder(model, tokenizer.folder / "sentencepiece.model", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_modernbert_still_differs_as_the_refusal_says() -> None:
    fields = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.ModernBertConfig(**fields, intermediate_size=24, pad_token_id=1)
    model = transformers.ModernBertModel(config)
    assert isinstance(model.embeddings.norm, torch.nn.LayerNorm)
    assert [type(layer.attn_norm).__name__ for layer in model.layers] == ["Identity", "LayerNorm"]


def test_a_bpe_tokenizer_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path / "root")
    corpus = make_corpus(store, "bpe", {"en": 60})
    spec = TokenizerSpec(languages=("en",), vocabulary=320, alpha=0.3, algorithm="bpe", sample_bytes=8000)
    bpe = ensure_tokenizer(store, corpus, spec)
    with pytest.raises(ValueError, match="its tokenizer is BPE; only unigram"):
        export_folder(model_for(bpe), bpe.folder / "sentencepiece.model", tmp_path / "out" / "model")
    assert not list((tmp_path / "out").glob("*")) and not list((tmp_path / "out").glob(".*"))
