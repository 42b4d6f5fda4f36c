"""All heads of a layer as small maps, grouped by the key/value head they share."""

from collections.abc import Callable, Sequence

import numpy as np

from headlight.viz.components.packing import pack, pack_small
from headlight.viz.components.parts import on_pick_change, picked_index, register

_mount = register("head_grid")


def head_grid(
    maps: np.ndarray,
    mask: np.ndarray,
    n_kv_heads: int,
    head: int,
    query: int,
    *,
    lut: np.ndarray,
    key_name: str,
    q_len: int | None = None,
    notes: Sequence[str] = (),
    caption: str | None = None,
    latent: str | None = None,
    small: bool = False,
    on_pick: Callable[[int], object] | None = None,
) -> int | None:
    """Draw every head of a layer; consecutive heads that share a key/value head stand under one bracket.

    maps: (n_heads, rows, cols) uint8, places on the colour ramp. May be coarser than the weights themselves.
    mask: (rows, cols), non-zero where looking is allowed; other cells stay transparent.
    n_kv_heads: number of key/value heads; must divide n_heads. Equal to n_heads: no brackets, a caption instead.
    head: the selected head. query: the pinned token, marked at the left edge of each map.
    lut: (256, 3) uint8, the colour ramp.
    key_name: Streamlit's key for this component; keep it the same over reruns.
    q_len: number of query tokens that the rows stand for, where maps are coarser; default: rows.
    notes: one short text per head for its tooltip ("looks at the token before"), may be empty.
    latent: what stands over all heads where they expand their keys and values from one latent (MLA), else None.
    small: send the maps deflated: fewer bytes, some milliseconds later.
    caption: replaces the sentence below the maps that says how keys and values are shared; "" for none.
    on_pick: called before the rerun with the clicked head, already checked to be one of the heads.

    Returns the picked head during the one rerun the pick caused, else None. Streamlit's own way to read it is
    `st.session_state[key_name]["pick"]` inside a callback: unchecked, and gone on the next rerun.
    """
    n_heads, rows, cols = np.shape(maps)
    if n_heads % n_kv_heads or np.shape(mask) != (rows, cols):
        raise ValueError(f"maps {np.shape(maps)}, mask {np.shape(mask)} and {n_kv_heads} KV heads do not fit")
    meta = {
        "n_kv_heads": int(n_kv_heads),
        "head": int(head),
        "query": int(query),
        "q_len": int(q_len or rows),
        "notes": list(notes),
        "caption": caption,
        "latent": latent,
    }

    def read(value: object) -> int | None:
        return picked_index(value, n_heads)

    arrays = {"maps": np.asarray(maps, np.uint8), "mask": np.asarray(mask, bool).astype(np.uint8)}
    result = _mount(
        key=key_name,
        data=(pack_small if small else pack)(meta, lut=np.asarray(lut, np.uint8), **arrays),
        on_pick_change=on_pick_change(key_name, read, on_pick),
    )
    return read(result.get("pick"))
