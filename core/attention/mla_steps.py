"""The lines of MLA's derivation, in both forms, by the paper's symbols (arXiv 2405.04434, eqs 9-19): names, formulas, axes.

R_t is what the position encoding does at t: RoPE turns, no encoding leaves as it is.
"""

from __future__ import annotations

from torch import Tensor

from headlight.core.types import Step


def query_steps(h: Tensor, c_q: Tensor | None, q: Tensor, nope: int) -> tuple[Step, ...]:
    """From h to q; without compression (c_q None) the queries come from h itself. nope: width of q^C."""
    source, symbol = ("h", "h_t") if c_q is None else ("c_q", "c^Q_t")
    head = ("n_heads", "q_len")
    q_nope, q_rope = q[..., :nope], q[..., nope:]
    first: tuple[Step, ...] = (Step("h", "h_t", ("q_len", "d_model"), h),)
    if c_q is not None:
        first += (Step("c_q", r"c^Q_t = \mathrm{RMSNorm}(W^{DQ} h_t)", ("q_len", "q_lora_rank"), c_q, ("h",)),)
    return (
        *first,
        Step("q_nope", rf"q^C_t = W^{{UQ}} {symbol}", (*head, "qk_nope_head_dim"), q_nope, (source,)),
        Step("q_rope", rf"q^R_t = R_t\,W^{{QR}} {symbol}", (*head, "qk_rope_head_dim"), q_rope, (source,)),
        Step("q", r"q_t = [q^C_t;\ q^R_t]", (*head, "qk_head_dim"), q, ("q_nope", "q_rope")),
    )


def key_value_steps(c_kv: Tensor, k_rope: Tensor, k_nope: Tensor, k: Tensor, v: Tensor) -> tuple[Step, ...]:
    """From h through the latent to k and v; concatenation comes last, and values have no rotary part."""
    kv = ("n_heads", "kv_len")
    latent = ("kv_len", "kv_lora_rank")
    return (
        Step("c_kv", r"c^{KV}_u = \mathrm{RMSNorm}(W^{DKV} h_u)", latent, c_kv, ("h",)),
        Step("k_rope", r"k^R_u = R_u\,W^{KR} h_u", ("kv_len", "qk_rope_head_dim"), k_rope, ("h",)),
        Step("k_nope", r"k^C_u = W^{UK} c^{KV}_u", (*kv, "qk_nope_head_dim"), k_nope, ("c_kv",)),
        Step("k", r"k_u = [k^C_u;\ k^R_u]", (*kv, "qk_head_dim"), k, ("k_nope", "k_rope")),
        Step("v", r"v_u = W^{UV} c^{KV}_u", (*kv, "v_head_dim"), v, ("c_kv",)),
    )


def absorbed_steps(
    q_latent: Tensor, scores: Tensor, weights: Tensor, z: Tensor, heads: Tensor, out: Tensor
) -> tuple[Step, ...]:
    """The same attention in latent space, from q^C and q^R to the output."""
    head, cells = ("n_heads", "q_len"), ("n_heads", "q_len", "kv_len")
    parts = ("q_latent", "q_rope", "c_kv", "k_rope")
    score = r"s_{t,u} = (\tilde q_t \cdot c^{KV}_u + q^R_t \cdot k^R_u) / \sqrt{d}"
    softmax = r"p_{t,u} = e^{s_{t,u}} / \sum_w e^{s_{t,w}}"
    return (
        Step("q_latent", r"\tilde q_t = W^{UK\top} q^C_t", (*head, "kv_lora_rank"), q_latent, ("q_nope",)),
        Step("scores", score, cells, scores, parts),
        Step("weights", softmax, cells, weights, ("scores",)),
        Step("z", r"z_t = \sum_u p_{t,u}\, c^{KV}_u", (*head, "kv_lora_rank"), z, ("weights", "c_kv")),
        Step("heads", r"o_t = W^{UV} z_t", (*head, "v_head_dim"), heads, ("z",)),
        Step("out", r"W_O\,[o_{t,1}; \dots; o_{t,n}]", ("q_len", "d_model"), out, ("heads",)),
    )
