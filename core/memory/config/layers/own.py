"""What single layers have of their own: numbers or blocks a layer, `per_layer_config`; by the usual fields' first names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_WIDTH, told, whole
from headlight.core.memory.config.fields import HEAD_DIM, HEADS, KV_HEADS, WINDOW, Fields
from headlight.core.memory.config.layers.lists import FULL, NONE, WINDOWED, kind_of

Own = dict[str, Any]  # first name of a field -> value; "kind" -> what the layer keeps

_NUMBERS = (HEADS, KV_HEADS, HEAD_DIM, WINDOW, ("v_head_dim",), ("kv_lora_rank",), ("qk_rope_head_dim",))
_BLOCKS = (
    "block_configs",
    "layer_configs",
    "layers_config",
    "blocks",
    "layers",
    "layer_config",
    "block_config",
    "decoder_layers",
)
_PARTS = ("attention", "attn", "self_attention", "self_attn", "mixer", "attention_config")
_OFF = ("no_op", "noop", "skip", "replace_with_linear", "is_identity", "disabled")
_TYPES = ("type", "layer_type", "kind", "mixer_type", "attention_type", "block_type")


def own_layers(fields: Fields, n_layers: int) -> list[Own]:
    """One dict a layer, empty where a layer is like the others. Raises ConfigError for lists of another length."""
    layers: list[Own] = [{} for _ in range(n_layers)]
    for names in _NUMBERS:
        _from_lists(fields, names, layers)
    _without_positions(fields, layers)
    for name in _BLOCKS:
        value = fields.values.get(name)
        if isinstance(value, list) and value and all(isinstance(block, dict) for block in value):
            _from_blocks(fields, name, layers)
    for i, said in _numbered(fields).items():
        if i < n_layers:
            layers[i] |= _from_block(said)
    return layers


def heads_of(fields: Fields) -> int | None:
    """The most query heads of a layer, where a list says how many each has."""
    listed = [fields.values.get(name) for name in _spellings(HEADS)]
    entries = next((value for value in listed if isinstance(value, list) and value), None)
    if entries is None:
        return None
    return max(whole("an entry of the query heads", n, MAX_HEADS) for n in entries[: 2 * MAX_LAYERS])


def _spellings(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *(f"{name}_per_layer" for name in names), *(f"per_layer_{name}" for name in names))


def _from_lists(fields: Fields, names: tuple[str, ...], layers: list[Own]) -> None:
    """A list of one number a layer; windows may be left out (null, 0 or -1) and their pattern repeated (Mistral)."""
    windows = names is WINDOW
    for name in _spellings(names):
        value = fields.values.get(name)
        if not isinstance(value, list):
            continue
        fields.aside(*names, name)  # a number beside the list has no say
        if not value or len(layers) % len(value) or (len(value) != len(layers) and not windows):
            raise ConfigError(f"{name} ({told(value)}) has {len(value):,} entries for {len(layers):,} layers")
        for i, own in enumerate(layers):
            own |= _window(name, value[i % len(value)]) if windows else _number(name, names[0], value[i])


def _number(name: str, first: str, value: Any) -> Own:
    if value is None or (value == 0 and first == KV_HEADS[0]):  # no KV heads: no attention (DeciLM)
        return {"kind": NONE} if value == 0 else {}
    return {first: whole(f"an entry of {name}", value, MAX_WIDTH)}


def _window(name: str, value: Any) -> Own:
    if value in (None, 0, -1, False):
        return {"kind": FULL}
    return {"kind": WINDOWED, WINDOW[0]: whole(f"an entry of {name}", value, 100_000_000)}


def _without_positions(fields: Fields, layers: list[Own]) -> None:
    """MLA's layers without RoPE keep the latent alone (Mistral Large 4's no_rope_layers: 0 where there is none)."""
    rotated = fields.values.get("no_rope_layers")
    if fields.has("kv_lora_rank") and isinstance(rotated, list) and len(rotated) == len(layers):
        fields.aside("no_rope_layers")
        for own, on in zip(layers, rotated, strict=True):
            own |= {"qk_rope_head_dim": 0} if on in (0, False) else {}


def _from_blocks(fields: Fields, name: str, layers: list[Own]) -> None:
    blocks = fields.get(name)
    if len(blocks) != len(layers):
        raise ConfigError(f"{name} has {len(blocks):,} entries for {len(layers):,} layers")
    for own, block in zip(layers, blocks, strict=True):
        own |= _from_block(Fields(block))


def _from_block(block: Fields) -> Own:
    """What a block says of its attention, itself or in a part of that name."""
    if any(isinstance(block.values.get(part), dict) for part in ("mamba", "ssm", "linear_attention")):
        return {"kind": NONE}
    part = next((block.inside(p) for p in _PARTS if isinstance(block.values.get(p), dict)), block)
    if any(part.values.get(off) is True for off in _OFF):
        return {"kind": NONE}
    part.aside("qk_nope_head_dim", "q_lora_rank")  # made from the latent, or not kept
    own = _kind(block.values) | _kind(part.values)
    for names, most in (
        (HEADS, MAX_HEADS),
        (KV_HEADS, MAX_HEADS),
        (HEAD_DIM, MAX_WIDTH),
        *((n, MAX_WIDTH) for n in _NUMBERS[4:]),
    ):
        number = part.whole(names, most)
        own |= {names[0]: number} if number else {}
    group = part.whole(["n_heads_in_group"], MAX_HEADS)
    own |= {"n_heads_in_group": group} if group else {}
    window = part.get(*WINDOW)
    return own | (_window("a layer's window", window) if window else {})


def _kind(values: Mapping[str, Any]) -> Own:
    named = next((values[name] for name in _TYPES if isinstance(values.get(name), str)), "")
    kind = kind_of(named) if named else None
    return {"kind": kind} if kind else {}


def _numbered(fields: Fields) -> dict[int, Fields]:
    """`per_layer_config`: layers by number; its keys may be padded with zeros."""
    for name in ("per_layer_config", "layer_overrides", "per_layer_configs"):
        if isinstance(fields.values.get(name), dict) or name == "per_layer_config":
            said = fields.inside(name)
            keys = [key for key in said.values if key.isascii() and key.isdecimal() and len(key) < 9]
            return {int(key): said.inside(key) for key in keys[: 2 * MAX_LAYERS]}
    return {}
