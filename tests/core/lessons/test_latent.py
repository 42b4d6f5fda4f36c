"""What the latent's components carry: by hand where it can be known, by keeping only some of them otherwise."""

from __future__ import annotations

import pytest
import torch

from headlight import load_model, run
from headlight.core.attention import MLA
from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError, InputError
from headlight.core.lessons import latent
from headlight.core.lessons.latent import components, needed, responses
from tests.core.variants import random

ATTENTION = MLA(d_model=13, n_heads=2, kv_lora_rank=3, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=1)


def params(rows: list[list[float]]) -> dict[str, torch.Tensor]:
    """W^UK and W^UV, per head the rows of the key and then those of the value."""
    return {"kv_b_proj.weight": torch.tensor(rows, dtype=torch.float64)}


# Variances 4, 9 and 1 along the axes, none together: +-2, +-3, +-1 in turn, with a mean of (10, 20, 30).
CROSS = torch.tensor(
    [[2.0, 0, 0], [-2, 0, 0], [0, 3, 0], [0, -3, 0], [0, 0, 1], [0, 0, -1]], dtype=torch.float64
) + torch.tensor([10.0, 20, 30], dtype=torch.float64)


def test_shares_are_those_known_by_hand() -> None:
    # Head 0's key reads axis 0 (twice as large) and axis 2; its value axis 1. Head 1's key reads axis 1; its value nothing.
    p = params([[2, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    found = components(CROSS, ATTENTION, p)
    # Six tokens, so each variance is the sum of two squares over five: 18/5, 8/5 and 2/5, the largest first.
    torch.testing.assert_close(found.variance, torch.tensor([3.6, 1.6, 0.4], dtype=torch.float64))
    torch.testing.assert_close(
        found.directions, torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(found.keys, torch.tensor([[0.0, 4 * 1.6, 0.4], [3.6, 0, 0]], dtype=torch.float64))
    torch.testing.assert_close(found.values, torch.tensor([[3.6, 0, 0], [0.0, 0, 0]], dtype=torch.float64))
    shares = found.shares()
    assert shares["latent"].tolist() == pytest.approx([3.6 / 5.6, 1.6 / 5.6, 0.4 / 5.6])
    assert shares["keys"].tolist() == pytest.approx([3.6 / 10.4, 6.4 / 10.4, 0.4 / 10.4])
    assert shares["values"].tolist() == [1, 0, 0]
    assert found.shares(0)["keys"].tolist() == pytest.approx([0, 6.4 / 6.8, 0.4 / 6.8])
    assert found.shares(1)["values"].tolist() == [0, 0, 0], "a head that reads nothing has nothing to share"


def test_activations_are_distances_from_the_mean_in_standard_deviations() -> None:
    found = components(CROSS, ATTENTION, params([[1.0, 1, 1]] * 6))
    sure = found.activations(torch.tensor([[10.0, 20, 30], [10.0, 20 + 2 * 3.6**0.5, 30]], dtype=torch.float64))
    torch.testing.assert_close(sure, torch.tensor([[0.0, 0, 0], [2, 0, 0]], dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kept", [1, 2, 5, 11])
def test_the_first_components_leave_the_variance_that_their_shares_add_up_to(kept: int) -> None:
    """The definition turned round: throw the other components away, expand, and measure what variance is left."""
    attention = MLA(13, n_heads=3, kv_lora_rank=11, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=7)
    latents = random(101, 11) @ random(11, 11, seed=1) + random(11, seed=2)
    p = {"kv_b_proj.weight": random(3 * 11, 11, seed=3)}
    found = components(latents, attention, p)
    u = found.directions[:, :kept]
    short = found.mean + (latents - found.mean) @ u @ u.T
    whole, left = ((c @ p["kv_b_proj.weight"].T).reshape(101, 3, 11).var(0) for c in (latents, short))
    for name, part in (("keys", slice(0, 4)), ("values", slice(4, 11))):
        expected = left[:, part].sum() / whole[:, part].sum()
        torch.testing.assert_close(found.shares()[name][:kept].sum(), expected, rtol=0, atol=1e-12)
        alone = left[1, part].sum() / whole[1, part].sum()
        torch.testing.assert_close(found.shares(1)[name][:kept].sum(), alone, rtol=0, atol=1e-12)
    assert bool((found.directions.abs().amax(0) == found.directions.amax(0)).all()), "the largest entry is positive"


def test_how_many_components_are_needed() -> None:
    shares = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    assert [needed(shares, part) for part in (0.4, 0.5, 0.51, 0.75, 1.0)] == [1, 1, 2, 2, 4]


def test_one_token_has_no_variance() -> None:
    with pytest.raises(InputError, match="variance takes 2 tokens or more; there are 1"):
        components(CROSS[:1], ATTENTION, params([[1.0, 1, 1]] * 6))


def test_tokens_that_respond_most_and_least_come_once_each_with_what_stands_before() -> None:
    model = load_model("mla-none", "cpu")
    texts = (model.tokens("The dog saw the dog."), model.tokens("A dog"))
    places = [(0, 1), (0, 2), (0, 5), (1, 1), (1, 2)]
    names = [texts[r].pieces[t].strip() for r, t in places]
    assert names == ["The", "dog", "dog", "A", "dog"]
    highest, lowest = responses(torch.tensor([0.5, 3.0, 1.0, -1.0, -2.0]), texts, places, 2)
    assert [(r.piece.strip(), r.activation) for r in highest] == [("dog", 3.0), ("The", 0.5)]
    assert [(r.piece.strip(), r.activation) for r in lowest] == [("dog", -2.0), ("A", -1.0)]
    assert highest[0].before.endswith("The") and lowest[0].before.endswith("A")


def test_the_sample_is_every_word_of_the_fixed_text() -> None:
    model = load_model("mla-rope", "cpu")
    found = latent.sample(model)
    assert len(found.texts) == 16 and len(found.latents) == 4 and len(found.places) == len(found.latents[0])
    row, token = found.places[-1]
    kept = run(model, found.texts[row], layers=[2]).layers.projections(2).cache.tensors["c_kv"]
    torch.testing.assert_close(found.latents[2][-1], kept[token])
    assert not any(found.texts[r].special[t] for r, t in found.places)
    assert found.nbytes == sum(len(found.places) * 128 * 4 for _ in range(4))
    shares = components(found.latents[1], model.attention, model.layers[1]).shares()
    assert all(float(share.sum()) == pytest.approx(1, abs=1e-12) for share in shares.values())


def test_a_model_without_a_latent_has_no_sample(minilm) -> None:
    with pytest.raises(InputError, match="MiniLM keeps no latent"):
        latent.sample(minilm)


def test_a_damaged_sample_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "sample.json").write_text("[1, 2")
    tokenizer = load_model("mla-rope", "cpu").tokenizer
    monkeypatch.setattr(sibling, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"sample\.json cannot be read"):
        latent.rows(tokenizer)
    (tmp_path / "sample.json").unlink()
    with pytest.raises(CheckpointError):
        latent.rows(tokenizer)
