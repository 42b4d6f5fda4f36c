"""GPT-2's and BERT's attention as multi-head attention with biases, against `transformers` in float64."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, DynamicCache, GPT2Config
from transformers.models.bert.modeling_bert import BertSelfAttention
from transformers.models.gpt2 import modeling_gpt2

from headlight.core.attention import MHA, Attention
from headlight.core.model import layer_norm
from headlight.core.positions import Learned, Position
from tests.core.variants import random
from tests.reference.float64 import float64_oracle
from tests.reference.layers.both import Oracle, read_both, same

# (n_heads, head_dim, tokens): GPT-2 and BERT have d_model = n_heads x head_dim.
SIZES = [(6, 7, 29), (1, 13, 11), (5, 2, 17), (3, 22, 1)]
NONE = Position()  # both add positions before layer 0; a layer knows nothing of them


@dataclass(frozen=True)
class ByLayer(MHA):
    """GPT-2 with scale_attn_by_inverse_layer_idx: scores of layer i, counted from 0, are divided by i + 1.

    Our contract knows no layer index; the factor on the scores is a property that a subclass may override.
    """

    layer: int = 0

    @property
    def scale(self) -> float:
        return super().scale / (self.layer + 1)


def gpt2(n_heads: int, head_dim: int, **more: object) -> GPT2Config:
    return GPT2Config(n_embd=n_heads * head_dim, n_head=n_heads, n_layer=7, n_positions=31, vocab_size=37, **more)


def of_gpt2(layer: nn.Module) -> dict[str, Tensor]:
    """Our names for GPT-2's parameters: weights are stored [in, out], queries, keys and values in three thirds."""
    params = {"o_proj.weight": layer.c_proj.weight.T, "o_proj.bias": layer.c_proj.bias}
    thirds = zip(layer.c_attn.weight.T.chunk(3), layer.c_attn.bias.chunk(3), strict=True)
    for name, (weight, bias) in zip(("q_proj", "k_proj", "v_proj"), thirds, strict=True):
        params |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return {name: tensor.detach() for name, tensor in params.items()}


def oracle(config: GPT2Config, layer: int = 0) -> Oracle:
    return Oracle(lambda c: modeling_gpt2.GPT2Attention(c, layer_idx=layer), config, modeling_gpt2)


def agrees(attention: Attention, theirs: Oracle, length: int, sizes: tuple[int, ...], layer: int = 0) -> None:
    params = of_gpt2(theirs.layer)
    assert {name: tuple(tensor.shape) for name, tensor in params.items()} == attention.shapes()
    trace = read_both(attention, NONE, params, theirs, random(length, attention.d_model, seed=99), sizes)
    keys, values = theirs.kept(layer)
    same(trace.cache.tensors["k"], keys)
    same(trace.cache.tensors["v"], values)
    assert trace.cache.nbytes == keys.nbytes + values.nbytes == attention.cached_elements_per_token() * 8 * length


@pytest.mark.parametrize(("n_heads", "head_dim", "length"), SIZES)
def test_a_gpt2_layer_is_transformers_own(n_heads: int, head_dim: int, length: int) -> None:
    attention = MHA(n_heads * head_dim, n_heads, head_dim, bias=True)
    agrees(attention, oracle(gpt2(n_heads, head_dim)), length, (length,))


@pytest.mark.parametrize(("n_heads", "head_dim", "length"), SIZES)
def test_a_gpt2_layer_decodes_token_by_token_as_transformers_does(n_heads: int, head_dim: int, length: int) -> None:
    attention = MHA(n_heads * head_dim, n_heads, head_dim, bias=True)
    agrees(attention, oracle(gpt2(n_heads, head_dim)), length, (1,) * length)


def test_a_gpt2_layer_reads_a_prompt_a_token_and_a_few_more_as_transformers_does() -> None:
    agrees(MHA(42, 6, 7, bias=True), oracle(gpt2(6, 7)), 29, (13, 1, 1, 5, 1, 8))


@pytest.mark.parametrize("layer", [0, 1, 6])
def test_gpt2s_scale_by_layer_is_a_subclass_that_overrides_the_scale(layer: int) -> None:
    config = gpt2(6, 7, scale_attn_by_inverse_layer_idx=True)
    attention = ByLayer(42, 6, 7, bias=True, layer=layer)
    agrees(attention, oracle(config, layer), 29, (19, 1, 1, 8), layer)


def test_gpt2s_positions_enter_before_layer_0_and_nowhere_else() -> None:
    config, ids, start = gpt2(6, 7), torch.tensor([3, 0, 36, 17, 3, 5, 29]), 4
    config._attn_implementation = "eager"
    with float64_oracle(modeling_gpt2), torch.no_grad():
        model = modeling_gpt2.GPT2Model(config).double().eval()
        for seed, parameter in enumerate(model.parameters()):
            parameter.copy_(random(*parameter.shape, seed=seed) / 4)
        cache = DynamicCache(config=config)
        model(ids[None, :start], past_key_values=cache)
        out = model(ids[None, start:], past_key_values=cache, output_hidden_states=True)
        whole = model(ids[None], output_hidden_states=True, output_attentions=True)
    learned = Learned(model.wpe.weight.detach())
    first = learned.at_input(model.wte.weight.detach()[ids], torch.arange(7))
    same(first, whole.hidden_states[0][0])
    same(first[start:], out.hidden_states[0][0])
    for block, hidden, weights in zip(model.h, whole.hidden_states, whole.attentions, strict=False):
        norm = {"ln.weight": block.ln_1.weight, "ln.bias": block.ln_1.bias}
        x = layer_norm(hidden[0], {name: p.detach() for name, p in norm.items()}, "ln", config.layer_norm_epsilon)
        same(MHA(42, 6, 7, bias=True).attend(x, of_gpt2(block.attn), learned).weights, weights[0])


@pytest.mark.parametrize(("n_heads", "head_dim", "length"), SIZES)
def test_a_bert_layer_is_transformers_own(n_heads: int, head_dim: int, length: int) -> None:
    d_model = n_heads * head_dim
    config = BertConfig(hidden_size=d_model, num_attention_heads=n_heads, attention_probs_dropout_prob=0.0)
    theirs = Oracle(lambda c: BertSelfAttention(c, layer_idx=0), config, mask=lambda q_len, kv_len: None)
    params = {f"{name[0]}_proj.{name.partition('.')[2]}": tensor for name, tensor in theirs.params.items()}
    # BERT's dense layer is outside its self-attention: without one, our output is the heads side by side.
    params |= {"o_proj.weight": torch.eye(d_model, dtype=torch.float64), "o_proj.bias": torch.zeros(d_model).double()}
    attention = MHA(d_model, n_heads, head_dim, causal=False, bias=True)
    assert {name: tuple(tensor.shape) for name, tensor in params.items()} == attention.shapes()
    trace = read_both(attention, NONE, params, theirs, random(length, d_model, seed=99), (length,))
    assert bool(trace.mask.all())
