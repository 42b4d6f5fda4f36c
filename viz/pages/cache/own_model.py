"""KV cache, your model: a form of heads or of MLA's five numbers, or a config.json, pasted or uploaded."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from headlight.core.errors import ConfigError, HeadlightError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from headlight.core.memory.config.form import Odd, of_form
from headlight.core.memory.config.hf_config import read_config
from headlight.core.memory.config.spelling import read_spelled, spell
from headlight.core.memory.config.wording import row_formula
from headlight.core.memory.shape import CacheShape, Heads, LayerGroup, MLADims
from headlight.viz import store
from headlight.viz.pages.cache import what_if as cache_otherwise
from headlight.viz.pages.cache.choices import WAYS, CacheChoices, state
from headlight.viz.pages.cache.sizing import beside, curves, deployment, exports, fits, usage
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

_INTRO = "Any model: say how many layers and heads it has, or give its `config.json`; no weights are needed."
_TEXT, _FILE, _TOLD = "cache_own_text", "cache_own_file", "cache_own_told"
_SHOWN = 20  # kinds of layers told in words


@dataclass(frozen=True)
class _Told:
    """What came of the config that was given last: an error, or the shape it is about with notes on it."""

    shape: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """The form, and below it the same pictures as for published models."""
    st.markdown(_INTRO)
    state.segments("How", "own_way", choices.own_way, WAYS, label_visibility="collapsed")
    shape = _shape(choices)
    if shape is None:
        return choices, []
    usage(choices)
    plan = deployment(shape, choices, choices.own_millions * 10**6 or None)
    left, right = st.columns(2, gap="medium")
    with left:
        with state.row("own_what"):
            n_kv_heads = cache_otherwise.knobs(shape, choices)
        cache_otherwise.draw(plan, n_kv_heads, choices, look)
    with right:
        curves([plan], "own", choices, look)
    fits([plan], choices)
    beside([plan], choices.models_cards)
    exports([plan], "own", _code(shape, choices))
    return choices, []


def _shape(choices: CacheChoices) -> CacheShape | None:
    """The shape that is asked for; what cannot be is told below the form, and nothing is drawn."""
    try:
        return {"heads": _heads, "mla": _mla, "config": _config}[choices.own_way](choices)
    except ConfigError as error:
        st.warning(markdown_text(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/error:")
        return None


def _heads(choices: CacheChoices) -> CacheShape:
    with state.row("own_heads"):
        _number("Layers", "own_layers", choices.own_layers, MAX_LAYERS)
        _number("Query heads", "own_heads", choices.own_heads, MAX_HEADS)
        _number("KV heads", "own_kv_heads", choices.own_kv_heads, MAX_HEADS)
        _number("Width of a head", "own_head_dim", choices.own_head_dim, MAX_WIDTH)
        _number(
            "Width of a value (0: as the key)", "own_v_head_dim", choices.own_v_head_dim, MAX_WIDTH, least=0, width=230
        )
    kept = (choices.own_kv_heads, choices.own_head_dim, choices.own_v_head_dim or choices.own_head_dim)
    odd = _odd(choices)
    return of_form(choices.own_layers, choices.own_heads, Heads(*kept), odd)


def _mla(choices: CacheChoices) -> CacheShape:
    with state.row("own_mla"):
        _number("Layers", "own_layers", choices.own_layers, MAX_LAYERS)
        _number("Query heads", "own_heads", choices.own_heads, MAX_HEADS)
        _number("kv_lora_rank", "own_latent", choices.own_latent, MAX_WIDTH)
        _number("qk_rope_head_dim", "own_rope", choices.own_rope, MAX_WIDTH, least=0)
        _number("qk_nope_head_dim", "own_nope", choices.own_nope, MAX_WIDTH)
        _number("v_head_dim", "own_value", choices.own_value, MAX_WIDTH)
        _number("q_lora_rank (0: none)", "own_queries", choices.own_queries, MAX_WIDTH, least=0)
    st.caption(
        "Kept are kv_lora_rank + qk_rope_head_dim values per token per layer; the others say how wide the heads are."
    )
    dims = MLADims(choices.own_latent, choices.own_nope, choices.own_rope, choices.own_value, choices.own_queries)
    odd = _odd(choices)
    return of_form(choices.own_layers, choices.own_heads, dims, odd)


def _odd(choices: CacheChoices) -> Odd:
    """Layers that are not like the others."""
    with state.row("own_windows"):
        _number("Layers with a window", "own_windowed", choices.own_windowed, MAX_LAYERS, least=0)
        _number("Window (tokens)", "own_window", choices.own_window, MAX_TOKENS)
        _number(
            "Layers without a cache",
            "own_stateful",
            choices.own_stateful,
            MAX_LAYERS,
            least=0,
            help=_STATEFUL,
            width=200,
        )
        _parameters(choices)
    return Odd(choices.own_window, choices.own_windowed, choices.own_stateful)


_STATEFUL = (
    "Linear attention or a state-space layer, whose state does not grow, "
    "or a layer that reads another layer's keys and values."
)


def _parameters(choices: CacheChoices) -> None:
    """How many weights it has; no shape of a cache says that."""
    _number(
        "Parameters in millions (0: not known)", "own_millions", choices.own_millions, 999_999_999, least=0, width=270
    )


def _number(
    label: str, field: str, value: int, most: int, least: int = 1, width: int = 150, help: str | None = None
) -> None:
    state.number(label, field, value, least, most, width=width, help=help)


def _config(choices: CacheChoices) -> CacheShape | None:
    """A config.json: text or file in, the shape out; what is wrong with it in one sentence, and the last good one stays."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.text_area(
            "Paste a config.json", key=_TEXT, height=230, max_chars=_most(), on_change=_read_text,
            placeholder='{"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, …}',
        )  # fmt: skip
    with right:
        st.file_uploader("or choose a file", key=_FILE, on_change=_read_file, max_upload_size=max(1, _most() // 2**20))
        _parameters(choices)
    told: _Told = st.session_state.get(_TOLD, _Told())
    if told.error:
        st.warning(markdown_text(f"{told.error[:1].upper()}{told.error[1:]}."), icon=":material/error:")
    if not choices.own_shape:
        return None
    shape = read_spelled(choices.own_shape)
    _say(shape, told.notes if told.shape == choices.own_shape else ())
    return shape


def _most() -> int:
    return store.engine().settings.uploads.config_bytes


def _read_text() -> None:
    text = st.session_state[_TEXT]
    if text.strip():
        _take(text)
    else:
        st.session_state[_TOLD] = _Told()


def _read_file() -> None:
    file = st.session_state[_FILE]
    if file is None:
        return
    if file.size > (most := _most()):  # told before it is read
        error = f"a config.json has some kilobytes; this has {file.size:,} bytes, and {most:,} are the limit"
        st.session_state[_TOLD] = _Told(error=error)
        return
    _take(file.getvalue())


def _take(text: str | bytes) -> None:
    """Reads a config into the choices; one that is refused leaves them as they are."""
    try:
        reading = read_config(text, most=_most())
        spelled = spell(reading.shape)
    except HeadlightError as error:
        st.session_state[_TOLD] = _Told(error=str(error))
        return
    unread = f"Not understood, and it might matter: {', '.join(reading.unread)}." if reading.unread else ""
    st.session_state[_TOLD] = _Told(spelled, notes=(*reading.notes, *([unread] if unread else [])))
    state.change(own_shape=spelled)


def _say(shape: CacheShape, notes: tuple[str, ...]) -> None:
    """What was read, so that somebody can see whether it is their model."""
    kinds = [_kind(group) for group in shape.groups]
    more = [f"and {len(kinds) - _SHOWN} kinds more"] if len(kinds) > _SHOWN else []
    context = f", trained for {shape.max_context:,} tokens" if shape.max_context else ""
    kept = "; ".join(kinds[:_SHOWN] + more)
    read = f"Read: {shape.n_layers} layers, {shape.n_heads} query heads{context}. Kept per token: {kept}."
    st.caption("  \n".join(markdown_text(line) for line in (read, *notes)))


def _kind(group: LayerGroup) -> str:
    many = f"{group.count} {'layer' if group.count == 1 else 'layers'}"
    if group.row is None:
        return f"nothing in {many}"
    window = f", {'in chunks' if group.chunked else 'with a window'} of {group.window:,} tokens" if group.window else ""
    every = f", one for {group.every} tokens" if group.every > 1 else ""
    return f"{row_formula(group)} = {group.elements:,} numbers in {many}{window}{every}"


def _code(shape: CacheShape, choices: CacheChoices) -> str:
    kind = shape.native if choices.models_precision == "native" else choices.models_precision
    return (
        "from headlight.core.memory.config.hf_config import read_config  # read_config(text).shape, for a config.json\n"
        "from headlight.core.memory.precision import PRECISIONS\n"
        "from headlight.core.memory.sizes import bytes_at, bytes_per_token\n"
        "from headlight.core.memory.config.spelling import read_spelled\n\n"
        f'shape, bits = read_spelled("{spell(shape)}"), PRECISIONS["{kind}"]\n'
        f"bytes_per_token(shape, bits), bytes_at(shape, {choices.models_context}, bits, batch={choices.models_batch})"
    )
