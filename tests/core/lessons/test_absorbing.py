"""MLA's two forms: the same numbers, what each costs, and a decoding step of each that gives the same output."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight import load_model, run
from headlight.core.attention import GQA, MLA
from headlight.core.errors import ConfigError, InputError
from headlight.core.lessons import absorbing
from headlight.core.lessons.absorbing import LatentLayer, costs, decoders, differences, layer_of
from headlight.core.lessons.mla_facts import facts
from headlight.core.positions import Position, RoPE
from tests.core.variants import LENGTH, SIZES, build, on_random

R, N = SIZES["qk_rope_head_dim"], SIZES["n_heads"]
ENCODINGS = {"none": Position(), "rope": RoPE(R, layout="interleaved")}
SHIPPED = ("mla-rope", "mla-none", "mla-sinusoidal")


def layer(encoding: str = "rope", q_lora_rank: int = 0) -> LatentLayer:
    case = on_random(build(MLA, q_lora_rank=q_lora_rank), ENCODINGS[encoding])
    return LatentLayer(case.attention, case.params, case.position, case.x)


@pytest.mark.parametrize("q_lora_rank", [0, 9])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_both_forms_give_the_same_numbers_up_to_rounding(encoding: str, q_lora_rank: int) -> None:
    found = differences(layer(encoding, q_lora_rank), torch.float64)
    assert list(found) == ["scores", "weights", "heads", "out"]
    for name, difference in found.items():
        assert 0 <= difference.largest < 1e-12 < difference.size, name
    coarse = differences(layer(encoding, q_lora_rank), torch.float32)
    assert all(found[name].largest < coarse[name].largest < 1e-4 for name in found)


def test_a_form_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = MLA.absorbed_steps
    monkeypatch.setattr(MLA, "absorbed_steps", lambda self, q, *rest: right(self, 1.001 * q, *rest))
    assert differences(layer(), torch.float64)["scores"].largest > 1e-4


@pytest.mark.parametrize("q_lora_rank", [0, 9])
def test_each_line_of_the_absorbed_form_is_what_its_formula_says(q_lora_rank: int) -> None:
    made = layer("rope", q_lora_rank)
    step = {each.name: each.value for each in made.absorbed()}
    up = made.params["kv_b_proj.weight"].reshape(SIZES["n_heads"], -1, SIZES["kv_lora_rank"])
    w_uk, w_uv = up[:, : SIZES["qk_nope_head_dim"]], up[:, SIZES["qk_nope_head_dim"] :]
    torch.testing.assert_close(step["q_latent"], torch.einsum("hdc,htd->htc", w_uk, step["q_nope"]))
    scores = torch.einsum("htc,uc->htu", step["q_latent"], step["c_kv"])
    scores = scores + torch.einsum("htr,ur->htu", step["q_rope"], step["k_rope"])
    torch.testing.assert_close(step["scores"], scores / (SIZES["qk_nope_head_dim"] + R) ** 0.5)
    torch.testing.assert_close(step["z"], torch.einsum("htu,uc->htc", step["weights"], step["c_kv"]))
    torch.testing.assert_close(step["heads"], torch.einsum("hdc,htc->htd", w_uv, step["z"]))


@pytest.mark.parametrize("q_lora_rank", [0, 9])
def test_the_lines_are_a_graph_whose_inputs_come_before_them(q_lora_rank: int) -> None:
    made = layer("rope", q_lora_rank)
    for steps in (made.expanded(), made.absorbed(), on_random(build(GQA), RoPE(10)).attend().steps):
        names = [step.name for step in steps]
        for place, step in enumerate(steps):
            assert set(step.inputs) <= set(names[:place]) or step.name in ("k", "v"), step.name
            assert set(step.inputs) <= set(names)
            assert bool(step.inputs) == (step.name != "h")
    assert ("c_q" in names) is False and ("c_q" in [s.name for s in made.expanded()]) is bool(q_lora_rank)


def test_concatenation_comes_after_the_up_projection_and_values_have_no_rotary_part() -> None:
    made = layer()
    step = {each.name: each for each in made.expanded()}
    assert step["k"].inputs == ("k_nope", "k_rope") and step["q"].inputs == ("q_nope", "q_rope")
    assert step["k_nope"].inputs == step["v"].inputs == ("c_kv",) and step["k_rope"].inputs == ("h",)
    for head in range(SIZES["n_heads"]):
        nope = SIZES["qk_nope_head_dim"]
        assert torch.equal(step["k"].value[head, :, nope:], step["k_rope"].value)
        assert torch.equal(step["k"].value[head, :, :nope], step["k_nope"].value[head])
    assert step["v"].value.shape[-1] == SIZES["v_head_dim"]


def test_costs_are_those_counted_by_hand() -> None:
    # 2 heads; a latent of 3, heads of 5 + 2, values of 7; up-projections of 2 (5 + 7) 3 = 72 numbers; 11 tokens of 2 bytes.
    tiny = MLA(d_model=13, n_heads=2, kv_lora_rank=3, qk_nope_head_dim=5, qk_rope_head_dim=2, v_head_dim=7)
    found = costs(tiny, 11)
    assert {form: cost.flops for form, cost in found.items()} == {
        "absorbed": 2 * 11 * 2 * (3 + 2 + 3), "full": 2 * 11 * 2 * (7 + 7), "expanded": 2 * 11 * (72 + 28),
    }  # fmt: skip
    assert {form: cost.traffic() for form, cost in found.items()} == {
        "absorbed": 11 * 5 * 2, "full": 11 * 28 * 2, "expanded": 11 * 5 * 2 + 2 * 11 * 24 * 2,
    }  # fmt: skip


def test_deepseek_v3_at_131072_tokens_costs_what_is_known_of_it() -> None:
    v3 = MLA(7168, 128, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, q_lora_rank=1536)
    found = costs(v3, 131_072)
    assert [round(cost.flops / 1e9) for cost in found.values()] == [37, 11, 4409]
    assert [round(cost.cache_bytes / 1e6) for cost in found.values()] == [151, 10_737, 151]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("context", [2, LENGTH, 3 * LENGTH + 5])
def test_a_decoding_step_is_the_same_in_each_form_and_can_be_repeated(encoding: str, context: int, monkeypatch) -> None:
    monkeypatch.setattr(absorbing, "_BLOCK", 7)  # so that blocks are met
    made = layer(encoding)
    h = made.h.repeat(4, 1)[: context - 1]
    whole = made.attention.attend(torch.cat([h, made.h[-1:]]), made.params, made.position).out[-1]
    with torch.inference_mode():
        for _ in range(2):
            for name, step in decoders(made, context).items():
                torch.testing.assert_close(step()[0], whole, rtol=0, atol=1e-11, msg=name)
                torch.testing.assert_close(step()[0], whole, rtol=0, atol=1e-11, msg=name)


@pytest.mark.parametrize("context", [-1, 0, 1, 65_537, 10**9])
def test_a_context_that_is_none_or_too_long_is_refused(context: int) -> None:
    with pytest.raises(ConfigError, match=rf"context \({context:,}\) must be from 2 to 65,536 tokens"):
        decoders(layer(), context)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_trained_siblings_agree_with_themselves(name: str, sentence: str) -> None:
    model = load_model(name, "cpu")
    result = run(model, sentence)
    for index in range(model.n_layers):
        made = layer_of(model, result, index)
        exact, single = differences(made, torch.float64), differences(made, torch.float32)
        assert max(d.largest / d.size for d in exact.values()) < 1e-13
        assert max(d.largest / d.size for d in single.values()) < 1e-5
        step = {each.name: each.value for each in made.absorbed()}
        torch.testing.assert_close(step["weights"], result.layers[index].weights, rtol=0, atol=1e-5)


def test_a_model_without_a_latent_is_told_so(minilm, sentence: str) -> None:
    with pytest.raises(InputError, match="MiniLM keeps no latent: its attention is MHA, not MLA"):
        layer_of(minilm, run(minilm, sentence), 0)


def test_what_settles_the_often_told_is_read_from_the_layer(minilm, sentence: str) -> None:
    trace = on_random(build(MLA), RoPE(R, layout="interleaved")).attend()
    found = facts(trace)
    assert (found["first"], found["last"], found["between"]) == (0.0, 0.0, 0.0)
    assert found["own"] > 0.1 and found["scale"] == trace.scale
    moved = replace(trace, projections=tuple(
        replace(s, value=s.value + torch.arange(N)[:, None, None]) if s.name == "k" else s for s in trace.projections
    ))  # fmt: skip
    assert facts(moved)["between"] == pytest.approx(N - 1) and facts(moved)["last"] == pytest.approx(N - 1)
    with pytest.raises(InputError, match="it is no MLA"):
        facts(run(minilm, sentence, layers=[0]).layers[0])
