"""The fifteen known pitfalls of attention code, one by one: what each constrains here.

Most are also covered, over every variant and encoding, by the tests beside this file and by those against
`transformers`; `tests/plant_pitfalls.py` plants each of them in a copy of `core` and shows which tests fall.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from headlight.core.attention import GQA, MHA, MLA, MQA, Attention
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.model import DecoderBlock, EncoderBlock
from headlight.core.positions import ALiBi, Position, RoPE
from headlight.core.positions.scaling import Yarn
from headlight.core.registry import ATTENTION
from tests.core.attention.windows import windowed
from tests.core.variants import ENCODINGS, LENGTH, SIZES, Case, build, on_random, random, rotary_width

N, G, D = SIZES["n_heads"], SIZES["n_kv_heads"], SIZES["head_dim"]
C, NOPE, ROPE, V = (SIZES[name] for name in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
ROOT = Path(__file__).resolve().parents[3]

every_variant = pytest.mark.parametrize("kind", ATTENTION.values(), ids=ATTENTION)


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def latent(position: Position | None = None, **more: Any) -> Case:
    return on_random(build(MLA, **more), position or RoPE(ROPE, layout="interleaved"))


def outputs(case: Case) -> list[Tensor]:
    """The layer's output by every way there is: traced, fused, and in steps of 5 and 8 tokens with a decoder's buffers."""
    p, past = case.project(), DecodingCache(2)
    xs = (case.position.at_input(case.x[s:e], torch.arange(s, e)) for s, e in ((0, 5), (5, LENGTH)))
    steps = [case.attention.step(x, case.params, case.position, past) for x in xs]
    return [case.attention.trace(p, case.params).out, case.attention.fused(p, case.params), torch.cat(steps)]


def test_pitfall_01_neighbouring_query_heads_share_a_kv_head_and_heads_are_never_tiled() -> None:
    trace = on_random(build(GQA)).attend()
    mine = trace.k[[0, 0, 0, 1, 1, 1]]
    same(trace.scores, torch.einsum("htd,hud->htu", trace.q, mine) / math.sqrt(D))
    same(trace.heads, trace.weights @ trace.v[[0, 0, 0, 1, 1, 1]])
    same(trace.step("products").value, trace.scores * math.sqrt(D))


@every_variant
def test_pitfall_02_a_token_after_remembered_ones_sees_them_all(kind: type[Attention]) -> None:
    q, k, v = random(1, 2, 1, D), random(1, 2, 7, D, seed=1), random(1, 2, 7, D, seed=2)
    same(F.scaled_dot_product_attention(q, k, v, is_causal=True), v[:, :, :1])  # what torch makes of it: key 0 alone
    case = on_random(build(kind))
    whole, past = case.attend(), case.attend(0, 5).cache
    one, three = case.project(5, 6, past), case.project(5, 8, past)
    same(case.attention.fused(one, case.params), whole.out[5:6])
    same(case.attention.fused(three, case.params), whole.out[5:8])
    same(case.attention.rows(three, slice(None)), whole.weights[:, 5:8, :8])


def test_pitfall_03_the_softmax_scale_of_latent_attention_counts_both_parts_and_yarns_temperature() -> None:
    v2 = MLA(26, 2, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128)
    assert v2.scale == pytest.approx(192**-0.5, rel=1e-15)
    yarn = Yarn(40.0, 4096, mscale=0.707, mscale_all_dim=0.707)
    assert (yarn.score_scale, yarn.magnitude) == (pytest.approx(1.2608**2, abs=2e-5), 1.0)
    case = latent(RoPE(ROPE, layout="interleaved", scaling=replace(yarn, original=16)))
    trace, scale = case.attend(), (NOPE + ROPE) ** -0.5 * (0.0707 * math.log(40) + 1) ** 2
    weights = (trace.q @ trace.k.transpose(1, 2) * scale).masked_fill(~trace.mask, -math.inf).softmax(-1)
    p = case.project()
    same(trace.weights, weights)
    same(case.attention.rows(p, slice(None)), weights)
    same(case.attention.absorbed(p.q, p.cache, p.q_pos, p.position, case.params)[0], weights)
    assert trace.scale == pytest.approx(scale, rel=1e-15)


def test_pitfall_04_the_latents_norm_leaves_the_rotated_key_alone_and_has_an_eps_of_1e_6() -> None:
    case = latent(Position())
    down = case.x @ case.params["kv_a_proj_with_mqa.weight"].T
    kept = case.attend().cache.tensors
    same(kept["k_rope"], down[:, C:])
    # On numbers this small the eps decides: mean square and eps are alike.
    quiet = replace(case, x=case.x / 1000)
    c = down[:, :C] / 1000
    normed = c / (c.square().mean(-1, keepdim=True) + 1e-6).sqrt() * case.params["kv_a_layernorm.weight"]
    same(quiet.attend().cache.tensors["c_kv"], normed)


def test_pitfall_05_the_latent_is_kept_after_its_norm_and_absorbed_as_it_is_kept() -> None:
    case = latent()
    kept = case.attend().cache.tensors["c_kv"] / case.params["kv_a_layernorm.weight"]
    torch.testing.assert_close(kept.square().mean(-1), torch.ones(LENGTH).double(), rtol=0, atol=1e-4)  # eps
    same(torch.stack(outputs(case)), case.attend().out.expand(3, -1, -1))


def test_pitfall_06_rows_of_the_up_projections_go_head_by_head_not_kind_by_kind() -> None:
    case, head = latent(), 2
    up = {"kv_b_proj.weight": NOPE + V, "q_b_proj.weight": NOPE + ROPE}
    for name, rows in up.items():
        params = dict(case.params)
        params[name] = params[name].clone()
        params[name][head * rows : (head + 1) * rows] = 0
        before, after = case.project(), replace(case, params=params).project()
        made = {"kv_b_proj.weight": ("k", "v"), "q_b_proj.weight": ("q",)}[name]
        for part in made:
            width = NOPE if part == "k" else None  # the key's other part is shared by all heads
            changed = (getattr(before, part) != getattr(after, part))[..., :width].flatten(1).any(1)
            assert changed.tolist() == [i == head for i in range(N)]
            assert not bool(getattr(after, part)[head, :, :width].any())
    # Within a head: first the part without position, then the rotated part or the value.
    trace, c = case.attend(), case.attend().cache.tensors["c_kv"]
    w = case.params["kv_b_proj.weight"][head * (NOPE + V) : (head + 1) * (NOPE + V)]
    same(trace.k[head, :, :NOPE], c @ w[:NOPE].T)
    same(trace.v[head], c @ w[NOPE:].T)
    p = case.project()
    same(case.attention.absorbed(p.q, p.cache, p.q_pos, p.position, case.params)[1], trace.out)


def test_pitfall_07_each_layout_of_rope_turns_its_own_pairs() -> None:
    first = torch.eye(6, dtype=torch.float64)[None, :1]
    for layout, partner in (("half", 3), ("interleaved", 1)):
        turned = RoPE(6, layout=layout).at_qk(first, torch.tensor([2]))[0, 0]
        expected = torch.zeros(6, dtype=torch.float64)
        expected[0], expected[partner] = math.cos(2), math.sin(2)
        same(turned, expected)
    # Both weigh the same once rows of W_Q and W_K are permuted, and not before.
    order = [*range(0, D, 2), *range(1, D, 2)]
    half, pairs = on_random(build(MHA), RoPE(D)), on_random(build(MHA), RoPE(D, layout="interleaved"))
    moved = {
        name: p.unflatten(0, (N, D))[:, order].flatten(0, 1) if name[0] in "qk" else p
        for name, p in half.params.items()
    }
    same(replace(half, params=moved).attend().weights, pairs.attend().weights)
    assert not torch.allclose(half.attend().weights, pairs.attend().weights, atol=0.01)


@pytest.mark.parametrize("v_head_dim", [1, 7, NOPE + ROPE, 23])
def test_pitfall_08_values_may_be_narrower_or_wider_than_keys(v_head_dim: int) -> None:
    case = latent(v_head_dim=v_head_dim)
    trace = case.attend()
    assert trace.heads.shape == (N, LENGTH, v_head_dim)
    same(trace.heads, trace.weights @ trace.v)
    same(torch.stack(outputs(case)), trace.out.expand(3, -1, -1))


FUSED = [
    pytest.param(kind, encoding, id=f"{name}, {encoding}")
    for name, kind in ATTENTION.items()
    for encoding in ("rope interleaved", "alibi")
]


@pytest.mark.parametrize(("kind", "encoding"), FUSED)
def test_pitfall_08_fused_attention_holds_no_weights_whatever_the_widths(kind: type[Attention], encoding: str) -> None:
    attention = build(kind)
    case = on_random(attention, ENCODINGS[encoding](rotary_width(attention)))
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # torch refuses where this kernel cannot run
        same(case.attention.fused(case.project(), case.params), case.attend().out)
        later = case.project(5, 8, case.attend(0, 5).cache)
        same(case.attention.fused(later, case.params), case.attend().out[5:8])


class _Precisions(TorchDispatchMode):
    """Writes down the precision of every number that any operation of torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = out if isinstance(out, tuple | list) else (out,)
        self.seen |= {t.dtype for t in made if isinstance(t, Tensor) and t.dtype.is_floating_point}
        return out


@pytest.mark.parametrize("encoding", ENCODINGS)
@every_variant
def test_pitfall_09_nothing_in_a_float64_layer_passes_through_float32(kind: type[Attention], encoding: str) -> None:
    attention = build(kind)
    case = on_random(attention, ENCODINGS[encoding](rotary_width(attention)))
    block = DecoderBlock(1e-5)
    sizes = block.shapes(attention.d_model, 31)
    params = {name: random(*shape, seed=i) for i, (name, shape) in enumerate(sizes.items())}
    with _Precisions() as precisions:
        outputs(case)
        attention.rows(case.project(), slice(1, 3))
        block(case.x, params, lambda h: h)
    assert precisions.seen == {torch.float64}


@every_variant
def test_pitfall_10_a_window_of_w_sees_w_tokens_itself_included(kind: type[Attention]) -> None:
    width, case = 4, on_random(build(kind))
    seen = replace(case, attention=windowed(case.attention, width))
    assert seen.attend().mask.sum(-1).tolist() == [min(t + 1, width) for t in range(LENGTH)]
    # A decoder needs the last W - 1 remembered tokens, and none before.
    last = LENGTH - 1
    past = seen.attend(0, last).cache.tensors
    for forgotten, changes in ((last - width + 1, False), (last - width + 2, True)):
        noisy = {name: t.clone() for name, t in past.items()}
        for t in noisy.values():
            t[..., :forgotten, :] += 1
        step = seen.attention.step(seen.x[last:], seen.params, seen.position, KVCache(noisy))
        assert changes is not torch.allclose(step, seen.attend().out[last:], rtol=0, atol=1e-9)


@pytest.mark.parametrize("position", [Position(), ALiBi()])
@every_variant
def test_pitfall_11_a_token_that_may_see_nothing_gets_zeros_on_every_path(
    kind: type[Attention], position: Position
) -> None:
    @dataclass(frozen=True)
    class Blind(kind):
        def allowed(self, q_pos: Tensor, k_pos: Tensor) -> Tensor:
            return super().allowed(q_pos, k_pos) & (q_pos[:, None] != 7)

    case = on_random(build(Blind), position)
    assert not bool(case.attend().weights[:, 7].any())
    assert not bool(case.attention.rows(case.project(), slice(7, 8)).any())
    for out in outputs(case):
        same(out[7], torch.zeros(case.attention.d_model).double())  # this layer has no biases
        same(out, case.attend().out)


@pytest.mark.parametrize("encoding", ENCODINGS)
@every_variant
def test_pitfall_12_rows_sum_to_one_as_no_variant_here_has_a_sink(kind: type[Attention], encoding: str) -> None:
    attention = build(kind)
    assert not any("sink" in name for name in attention.shapes())  # one that has is to be left out of the sums below
    case = on_random(attention, ENCODINGS[encoding](rotary_width(attention)))
    same(case.attend().weights.sum(-1), torch.ones(N, LENGTH).double())


@every_variant
def test_pitfall_13_attention_leaves_the_residual_to_the_block_which_adds_it_once(kind: type[Attention]) -> None:
    case = on_random(build(kind))
    mute = {name: p * 0 if name == "o_proj.weight" else p for name, p in case.params.items()}
    assert not bool(torch.stack(outputs(replace(case, params=mute))).any())
    d_model = case.attention.d_model
    for block in (DecoderBlock(0.0), EncoderBlock(0.0)):
        params = {name: torch.zeros(shape).double() for name, shape in block.shapes(d_model, 31).items()}
        params |= {name: p + 1 for name, p in params.items() if name.endswith("layernorm.weight")}
        out = block(case.x, params, lambda h: case.x * 2)
        expected = case.x * 3 if isinstance(block, DecoderBlock) else F.layer_norm(case.x, (d_model,), eps=0.0)
        same(out, expected)


# A model's attention layers -> elements per token per layer, published in bf16: DeepSeek-V3 report, arXiv 2505.09343, Table 1.
PUBLISHED: dict[str, tuple[Callable[[], Attention], int, int]] = {
    "Llama 3.1 405B": (lambda: GQA(16384, 128, 128, n_kv_heads=8), 126, 516_096),
    "Qwen2.5 72B": (lambda: GQA(8192, 64, 128, n_kv_heads=8), 80, 327_680),
    "DeepSeek-V3": (
        lambda: MLA(7168, 128, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128),
        61, 70_272,
    ),
}  # fmt: skip


def test_pitfall_14_keys_and_values_are_counted_once_each_and_a_latent_once_for_both() -> None:
    for make, layers, a_token in PUBLISHED.values():
        assert make().cached_elements_per_token() * layers * 2 == a_token
    # Qwen3-0.6B: head_dim is not d_model / n_heads.
    assert GQA(1024, 16, 128, n_kv_heads=8).cached_elements_per_token() == 2 * 8 * 128
    assert MQA(1024, 16, 128).cached_elements_per_token() == 2 * 128
    for kind in ATTENTION.values():
        case, buffers = on_random(build(kind)), DecodingCache(2)
        held = case.attend().cache
        case.attention.step(case.x, case.params, case.position, buffers)
        count = case.attention.cached_elements_per_token() * LENGTH
        assert sum(t.numel() for t in held.tensors.values()) == count
        assert held.nbytes == buffers.nbytes == count * 8


@pytest.mark.parametrize("name", PUBLISHED)
def test_pitfall_15_bytes_are_bytes_and_a_kb_is_a_thousand_of_them(name: str) -> None:
    make, layers, published = PUBLISHED[name]
    wide = make()
    t = torch.zeros(1, 3, wide.cached_elements_per_token(), dtype=torch.bfloat16)
    held = (KVCache({"k": t}).nbytes, DecodingCache(3).extend(k=t).nbytes)
    assert held == (published * 3 // layers,) * 2
    if name == "DeepSeek-V3":
        assert (f"{published / 1000:.3f} KB", f"{published / 1024:.1f} KiB") == ("70.272 KB", "68.6 KiB")


def test_pitfall_15_no_line_of_ours_divides_by_1024_and_writes_kb_or_by_1000_and_writes_kib() -> None:
    thousands, binary = re.compile(r"\b[kKMGT]B\b"), re.compile(r"\b[KMGT]iB\b")
    by_1000, by_1024 = re.compile(r"/ ?1(e[369]|_?000)"), re.compile(r"/ ?(1024|2 ?\*\* ?\d0)|>> ?[123]0")
    for room in ("core", "viz", "benchmarks"):
        for path in (ROOT / room).rglob("*.py"):
            for line in path.read_text("utf-8").splitlines():
                assert not (thousands.search(line) and by_1024.search(line)), f"{path}: {line}"
                assert not (binary.search(line) and by_1000.search(line)), f"{path}: {line}"
