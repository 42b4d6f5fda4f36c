"""Numbers of one MLA layer that settle what is often told otherwise about it (DeepSeek-V2, arXiv 2405.04434, eqs 9-19)."""

from __future__ import annotations

import torch

from headlight.core.errors import InputError
from headlight.core.types import Trace


@torch.inference_mode()
def facts(trace: Trace) -> dict[str, float]:
    """What a trace of MLA shows of how its keys are put together; raises InputError for another attention.

    first, last: largest difference of the first numbers of k from k^C, of the last ones from k^R; between, own: largest
    difference between heads of those last ones, and of the first ones; scale: the factor on q·k.
    """
    steps = {step.name: step.value for step in trace.projections}
    if "k_rope" not in steps:
        raise InputError("this attention has no rotated key of its own: it is no MLA")
    k, k_nope, k_rope = steps["k"], steps["k_nope"], steps["k_rope"]
    nope = k_nope.shape[-1]
    head, shared = k[..., :nope], k[..., nope:]
    return {
        "first": float((head - k_nope).abs().max()),
        "last": float((shared - k_rope).abs().max()) if k_rope.shape[-1] else 0.0,
        "between": float((shared - shared[:1]).abs().max()) if k_rope.shape[-1] else 0.0,
        "own": float((head - head[:1]).abs().max()),
        "scale": trace.scale,
    }
