"""A map of thousands of tokens, zoomed and dragged; the server is asked for the part on screen, the browser keeps the rest."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import on_pick_change, picked_cell, picked_index, register

_mount = register("deep_map")
STEPS = 10_000  # steps of a weight from 0 to 1; shared.js knows it, too


@dataclass(frozen=True)
class Tile:
    """Part of a map: queries [q0, q1) x keys [k0, k1) in cells of `cell` tokens each way.

    values (rows, cols): 0 to 1. allowed: where a pair may look at each other. strongest (rows, cols, 2): query and key of the
    largest weight in each cell, and `largest`, that weight; both None where values are single weights or the tile is only
    looked at.
    """

    part: tuple[int, int, int, int]
    cell: int
    values: np.ndarray
    allowed: np.ndarray
    largest: np.ndarray | None = None
    strongest: np.ndarray | None = None


@dataclass(frozen=True)
class Moved:
    """What a visitor did: the part they want to see, and the pair they picked, if any; number: of the request."""

    number: int
    view: tuple[int, int, int, int]
    pair: tuple[int, int] | None


def codes(values: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Weights as uint16 in steps of 1 / STEPS, 1 added; 0 where looking is not allowed."""
    return np.where(allowed, np.rint(np.clip(values, 0, 1) * STEPS) + 1, 0).astype(np.uint16)


def deep_map(
    tile: Tile,
    overview: Tile | None,
    labels: Sequence[str],
    *,
    picture: str,
    view: tuple[int, int, int, int],
    number: int,
    picked: tuple[int, int | None],
    colours: str,
    says: str,
    alt: str,
    lut: np.ndarray,
    key_name: str,
    on_move: Callable[[Moved], object],
) -> None:
    """Draw the part `view` of a map.

    tile: the part on screen, at the screen's grain. overview: all of it, coarse: what is seen at once when zooming out; None
    where the tile is all of it.
    labels: raw text of each token, may hold anything a visitor typed. picture: changes with what is shown (text, layer,
    head), so that parts of another picture are not kept. number: of the last request that this answers. picked: query and
    key to mark. colours: "log" or "linear". says: what a cell is, with {n} for its width. alt: the picture in words.
    lut: (256, 3) uint8. on_move: called before the rerun with what the visitor did, checked against the text's length.
    """
    meta = {
        "picture": picture, "length": len(labels), "view": [int(n) for n in view], "number": int(number),
        "picked": [None if at is None else int(at) for at in picked], "colours": colours, "says": says, "alt": alt,
    }  # fmt: skip
    packed = {"labels": json.dumps(list(labels)).encode()}
    for name, each in {"tile": tile, **({} if overview is None else {"overview": overview})}.items():
        meta[name] = {"part": [int(n) for n in each.part], "cell": int(each.cell), "shape": list(each.values.shape)}
        packed |= {f"{name}_{part}": raw for part, raw in _planes(each).items()}
    arrays = {name: np.frombuffer(zlib.compress(raw, 6), np.uint8) for name, raw in packed.items()}
    length = len(labels)

    def read(value: object) -> Moved | None:
        return _moved(value, length)

    _mount(
        key=key_name, data=pack(meta, lut=np.asarray(lut, np.uint8), **arrays),
        on_pick_change=on_pick_change(key_name, read, on_move),
    )  # fmt: skip


def _planes(tile: Tile) -> dict[str, bytes]:
    """A tile's numbers as bytes that compress well: low and high halves apart, pairs as places inside their cells."""
    parts = {"values": _halves(codes(tile.values, tile.allowed))}
    if tile.strongest is not None and tile.largest is not None:
        starts = [np.arange(n) * tile.cell + start for n, start in zip(tile.values.shape, tile.part[::2], strict=True)]
        inside = tile.strongest - np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1)
        inside = np.where(tile.allowed[..., None], inside, 0).astype(np.uint16)
        parts |= {"query": _halves(inside[..., 0]), "key": _halves(inside[..., 1])}
        parts |= {"largest": _halves(codes(tile.largest, tile.allowed))}
    return parts


def _halves(numbers: np.ndarray) -> bytes:
    return (numbers & 255).astype(np.uint8).tobytes() + (numbers >> 8).astype(np.uint8).tobytes()


def _moved(value: object, length: int) -> Moved | None:
    """A visitor's request, if it is one: a websocket client can send anything."""
    if not isinstance(value, dict) or not isinstance(value.get("view"), list) or len(value["view"]) != 4:
        return None
    sides = [picked_index(at, length + 1) for at in value["view"]]
    number = picked_index(value.get("number"), 2**31)
    if number is None or None in sides:
        return None
    q0, q1, k0, k1 = (side for side in sides if side is not None)
    if not (q0 < q1 and k0 < k1):
        return None
    return Moved(number, (q0, q1, k0, k1), picked_cell(value.get("pair"), (length, length)))
