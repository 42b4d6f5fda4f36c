"""How far RoPE is from a matrix that could be absorbed, and what that costs."""

from __future__ import annotations

import pytest
import torch

from headlight.core.lessons.rotated_keys import how_far, multiplications
from headlight.core.surgery import JointSVD
from tests.core.surgery.layers import HEAD_DIM, N_HEADS, layer


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_the_matrix_between_input_and_latent_is_another_one_for_every_distance(layout):
    it = layer(2, layout)
    new = JointSVD().convert(it, 11)
    far = how_far(new.attention, new.params, it.position, 4, [0, 1, 5])
    q = it.params["q_proj.weight"][4 * HEAD_DIM : 5 * HEAD_DIM]
    k = new.params["kv_b_proj.weight"].unflatten(0, (2, -1))[1, :HEAD_DIM]
    plain = q.T @ k
    for distance, found in zip([0, 1, 5], far, strict=True):
        # The key stands `distance` tokens before the query: R_t's transpose and R_u meet in between.
        t, u = torch.tensor([distance + 3]), torch.tensor([3])
        turned_k = it.position.at_qk(k.T[None], u.expand(k.shape[1]))[0]
        turned_q = it.position.at_qk(q.T[None], t.expand(q.shape[1]))[0]
        expected = torch.linalg.norm(turned_q @ turned_k.T - plain) / torch.linalg.norm(plain)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-7)
    assert float(far[0]) < 1e-7 and float(far[1]) > 0.1


def test_without_turning_one_matrix_serves_all_distances():
    it = layer(2)
    new = JointSVD().convert(it, 11)
    assert float(how_far(new.attention, new.params, it.position, 0, [0, 1, 50]).max()) == 0


def test_multiplications_are_those_of_the_products():
    attention = JointSVD().convert(layer(2, "half"), 11).attention
    expand = 11 * (2 * 2 * HEAD_DIM)
    assert multiplications(attention) == {
        "expanded": expand + 2 * N_HEADS * HEAD_DIM,
        "absorbed": 2 * N_HEADS * 11,
    }
