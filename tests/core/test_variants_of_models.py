"""Variants of pretrained models: a delta over the packaged model, loaded onto it without copying the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from headlight import load_model, run
from headlight.core.attention import GQA, MHA, MLA, MQA, Latent
from headlight.core.attention.folds import fold_columns, fold_rows
from headlight.core.checkpoints import variant
from headlight.core.errors import CheckpointError
from headlight.core.positions import ALiBi, RoPE
from training import files

SHIPPED = sorted(path.parent for path in variant.FOLDER.glob("*/model.safetensors"))


@pytest.fixture(scope="module")
def base():
    return load_model("gqa-rope", "cpu")


def plain(base) -> dict[str, torch.Tensor]:
    """The model's own attention, as a variant."""
    own = base.attention.shapes()
    return {f"layers.{i}.{name}": p[name] for i, p in enumerate(base.layers) for name in own}


def write(folder, base, tensors, **changes):
    files.write_json(folder / "config.json", variant.config_of(base.name, base.attention, None) | changes)
    files.write(folder / "model.safetensors", safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()}))
    return folder


def test_the_models_own_attention_as_a_variant_is_the_model(base, tmp_path):
    new = variant.load(write(tmp_path, base, plain(base)), base)
    assert torch.equal(run(new, "Once upon a time").logits, run(base, "Once upon a time").logits)
    assert new.name == tmp_path.name and new.attention == base.attention and new.position is base.position


def test_all_but_the_attention_is_shared(base, tmp_path):
    new = variant.load(write(tmp_path, base, plain(base)), base)
    assert new.embedding is base.embedding and new.head is base.head and new.tokenizer is base.tokenizer
    for ours, theirs in zip(new.layers, base.layers, strict=True):
        assert all(ours[name] is t for name, t in theirs.items() if name not in base.attention.shapes())


def test_parts_are_a_fold_and_a_low_rank_change(base, tmp_path):
    chance, tensors = torch.Generator().manual_seed(1), plain(base)
    width, heads = base.attention.head_dim, base.attention.n_heads
    fold = torch.randn(3, width, width, generator=chance)
    for name in ("q_proj.weight", "o_proj.weight"):
        del tensors[f"layers.1.{name}"]
        rows, columns = base.layers[1][name].shape
        tensors[f"layers.1.{name}.fold"] = fold.clone()
        tensors[f"layers.1.{name}.up"], tensors[f"layers.1.{name}.down"] = (
            torch.randn(*shape, generator=chance) for shape in ((rows, 5), (5, columns))
        )
    new, old = variant.load(write(tmp_path, base, tensors), base).layers[1], base.layers[1]
    per_head = fold.repeat_interleave(heads // 3, 0)
    change = {name: tensors[f"layers.1.{name}.up"] @ tensors[f"layers.1.{name}.down"] for name in old if name[0] in "qo"
              and name.endswith("proj.weight")}  # fmt: skip
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        torch.testing.assert_close(
            new["q_proj.weight"][part], per_head[head] @ old["q_proj.weight"][part] + change["q_proj.weight"][part]
        )  # fmt: skip
        torch.testing.assert_close(
            new["o_proj.weight"][:, part], old["o_proj.weight"][:, part] @ per_head[head] + change["o_proj.weight"][:, part]
        )  # fmt: skip


def test_folds_of_ones_change_nothing():
    weight, ones = torch.randn(12, 7), torch.eye(3).expand(2, -1, -1)
    assert torch.equal(fold_rows(weight, ones), weight) and torch.equal(fold_columns(weight.T, ones), weight.T)


@pytest.mark.parametrize(
    ("attention", "position"),
    [
        (MHA(24, 6, 4, causal=False, bias=True), None), (GQA(24, 6, 4, n_kv_heads=2), None), (MQA(24, 6, 4), None),
        (Latent(24, 6, 4, n_kv_heads=6, kv_lora_rank=9, bias=True), None),
        (MLA(24, 6, bias=True, kv_lora_rank=8, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=4),
         RoPE(2, 316.227766, "interleaved")),
    ],
)  # fmt: skip
def test_a_configuration_comes_back_as_it_was(attention, position):
    config = variant.Config(json.loads(json.dumps(variant.config_of("smollm2", attention, position))))
    assert variant.attention_of(config) == attention
    own = RoPE(64)
    assert variant.position_of(config, own) == (position or own)


def test_damage_is_told_in_a_sentence(base, tmp_path):
    tensors = plain(base)
    with pytest.raises(CheckpointError, match="is a variant of minilm, not of gqa-rope"):
        variant.load(write(tmp_path, base, tensors, model="minilm"), base)
    with pytest.raises(CheckpointError, match="has the attention 'linear'; there are mha"):
        variant.load(write(tmp_path, base, tensors, attention="linear"), base)
    name = "layers.2.k_proj.weight"
    with pytest.raises(CheckpointError, match=r"layer 2: there is no k_proj.weight"):
        variant.load(write(tmp_path, base, {n: t for n, t in tensors.items() if n != name}), base)
    with pytest.raises(CheckpointError, match=r"layer 2: k_proj.weight has shape"):
        variant.load(write(tmp_path, base, tensors | {name: torch.zeros(3, 4)}), base)
    with pytest.raises(CheckpointError, match="its parts do not fit"):
        variant.load(write(tmp_path, base, tensors | {"layers.0.q_proj.weight.up": torch.zeros(3, 4)}), base)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged or unreadable"):
        variant.load(tmp_path, base)
    with pytest.raises(CheckpointError, match=r"the card of .* cannot be read"):
        variant.read_card(tmp_path)


def test_an_encoding_that_a_configuration_cannot_say_is_refused(base):
    with pytest.raises(CheckpointError, match="not ALiBi"):
        variant.config_of("smollm2", base.attention, ALiBi())


def test_all_that_is_shipped_is_under_60_megabytes():
    assert sum(path.stat().st_size for path in variant.FOLDER.rglob("*") if path.is_file()) < 60e6


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_variant_runs_and_its_card_says_what_it_is(folder):
    card, base = variant.read_card(folder), load_model(variant.read_config(folder)["model"], "cpu")
    new = variant.load(folder, base)
    result = run(new, "The animal didn't cross the street because it was too tired.", layers=[3])
    assert bool(result.hidden.isfinite().all()) and result.layers[3].weights.shape[0] == base.n_heads
    assert new.attention.cached_elements_per_token() == card["cached_elements_per_token_and_layer"]
    assert card["cached_elements_per_token_and_layer"] < card["cached_elements_of_the_original"]
    better = -1 if card["measure"] == "perplexity" else 1
    for text, healed in card["healed"].items():
        assert better * healed > better * card["converted"][text]
    assert replace(new, attention=base.attention).context == base.context
