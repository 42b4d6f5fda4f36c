"""The sentence as tokens, shaded by how much the focused token looks at each of them."""

from collections.abc import Callable, Sequence

import numpy as np

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import on_pick_change, picked_index, register

_mount = register("token_strip")


def _codes(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Weights as uint16: 0 where the mask forbids looking, else 1 + 65534 * weight (masked is not zero)."""
    return np.where(mask, np.rint(np.clip(weights, 0, 1) * 65534) + 1, 0).astype(np.uint16)


def token_strip(
    labels: Sequence[str],
    special: Sequence[bool],
    weights: np.ndarray,
    mask: np.ndarray,
    query: int,
    key: int | None = None,
    *,
    lut: np.ndarray,
    key_name: str,
    sink: bool = False,
    on_pick: Callable[[int], object] | None = None,
) -> int | None:
    """Draw the tokens of the text for one head; hovering, the keyboard and the direction switch stay in the browser.

    labels: raw text of each token, a leading space included; may hold anything a visitor typed.
    special: True for tokens like [CLS], drawn muted.
    weights: (q_len, kv_len) floats of the chosen head. With q_len < kv_len the rows belong to the last q_len tokens.
    mask: (q_len, kv_len) bool, True where the query may look at the key.
    query: index of the pinned token. key: index of the picked key token, outlined, or None.
    lut: (256, 3) uint8, the colour ramp for weights 0 to 1.
    key_name: Streamlit's key for this component; keep it the same over reruns.
    sink: leave the first token out of the colour scale; numbers stay as they are.
    on_pick: called before the rerun with the index of a clicked token, already checked to be one of `labels`.

    Returns the picked index during the one rerun the pick caused, else None. Streamlit's own way to read it is
    `st.session_state[key_name]["pick"]` inside a callback: unchecked, and gone on the next rerun.
    """
    if np.shape(weights) != np.shape(mask) or np.shape(weights)[1] != len(labels):
        raise ValueError(f"weights {np.shape(weights)}, mask {np.shape(mask)} and {len(labels)} labels do not fit")
    meta = {
        "name": key_name,
        "labels": list(labels),
        "special": [bool(flag) for flag in special],
        "query": int(query),
        "key": None if key is None else int(key),
        "sink": bool(sink),
    }

    def read(value: object) -> int | None:
        return picked_index(value, len(labels))

    result = _mount(
        key=key_name,
        data=pack(meta, codes=_codes(weights, mask), lut=np.asarray(lut, np.uint8)),
        on_pick_change=on_pick_change(key_name, read, on_pick),
    )
    return read(result.get("pick"))
