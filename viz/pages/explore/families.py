"""Explore's two switches, Attention and Position, and the line that says what they changed: for the siblings, and for the
pretrained models in all the attention variants that they were converted to."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis.variant_quality import as_trained, how_made, is_shipped, quality
from headlight.core.attention.variants import VARIANTS
from headlight.core.checkpoints.sibling import read_card
from headlight.core.errors import CheckpointError
from headlight.core.model import Model, Readable
from headlight.core.positions.encodings import ENCODINGS
from headlight.core.registry import MODELS, PACKAGED, SIBLING_FAMILY, SIBLINGS, base_of, family_of, relatives
from headlight.viz import store
from headlight.viz.pages.explore.choices import View, state
from headlight.viz.text import markdown_text

_BEFORE = "family_before"  # session: (name, in short) of the model on screen, and of the one before it in its family
_LATENT = "Latent: MLA without RoPE, since {title} adds its positions to the input and nothing is rotated."


def family(name: str) -> str:
    """What stands for a model in the menu of models: its family, or its own name."""
    return family_of(name) or name


def families(names: list[str]) -> dict[str, str]:
    """The menu of models: each family once, and what is in none. Family or name -> title, which is Markdown."""
    rows, titles = store.engine().rows, dict[str, str]()
    for name in names:
        one = family(name)
        titles.setdefault(one, "Siblings" if one == SIBLING_FAMILY else markdown_text(rows[base_of(name)].title))
    return titles


def default(chosen: str, before: str) -> str | None:
    """The model to begin with in a family, coming from the model `before`: the packaged one as it was trained; of the siblings
    that with the attention and the position of the model before, where there is one."""
    if chosen != SIBLING_FAMILY:
        return chosen
    row = MODELS.get(before)
    wished = (f"{row.attention}-{row.position}", f"{row.attention}-rope") if row else ()
    there = [sibling for sibling, entry in SIBLINGS.items() if entry.installed]
    return next((sibling for sibling in (*wished, *there) if sibling in there), None)


def switches(view: View) -> None:
    """Attention and Position: what the family has. What cannot be changed says why."""
    row = MODELS.get(view.model)
    if row is None or row.attention is None or row.position is None:
        return
    here = relatives(view.model)
    there = _offered(here)
    attentions = {name: each.title for name, each in VARIANTS.items() if (name, row.position) in there}
    positions = {name: each.title for name, each in ENCODINGS.items() if (row.attention, name) in there}
    _switch("Attention", row.attention, attentions, _about_attention(view.model, here))
    _switch("Position", row.position, positions, _about_position(view.model))


def _offered(here: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    rows = store.engine().rows
    return {kind: other for kind, other in here.items() if other in rows}


def _about_attention(name: str, here: dict[tuple[str, str], str]) -> str | None:
    """Help for a pretrained model's switch; here: `relatives` of it, which looks for packages and files."""
    base = base_of(name)
    if base not in PACKAGED:
        return None
    told = ["The same trained model with its attention converted and healed; everything else is shared."]
    if any(attention == "latent" for attention, _ in here):
        told.append(_LATENT.format(title=PACKAGED[base].title))
    lacking = [row.title for other, row in MODELS.items() if row.base == base and other not in here.values()]
    if lacking:
        told.append(f"Not on this machine: {', '.join(lacking)}.")
    return markdown_text(" ".join(told))


def _about_position(name: str) -> str | None:
    base = base_of(name)
    if base not in PACKAGED:
        return None
    encoding = ENCODINGS[str(PACKAGED[base].position)].title
    return (
        f"{PACKAGED[base].title} was trained with this ({encoding}), and stays with it; the siblings have other ones."
    )


def _switch(label: str, value: str, titles: dict[str, str], about: str | None) -> None:
    state.segments(label, label.lower(), value, titles, _switched, disabled=len(titles) < 2, help=about)


def _switched(_: str) -> None:
    wanted = st.session_state["attention"], st.session_state["position"]
    name = _offered(relatives(state.current().model)).get(wanted)
    if name is not None:
        state.change(model=name)


def facts(view: View, model: Readable) -> None:
    """One line: what this model keeps of a token, how it came to be and how good it is, and what the switch changed."""
    if not isinstance(model, Model):
        return
    kept = model.attention.cached_elements_per_token()
    line = (
        f"{model.title} keeps {kept:,} values per token per layer: {4 * kept:,} B in float32, {4 * kept * model.n_layers:,} B "
        f"in all {model.n_layers} layers"
    )
    about, short = _known(view.model)
    if about:
        line += f" · {about}"
    before = _remember(view.model, f"{model.title}: {kept:,} values" + (f", {short}" if short else ""))
    if before is not None:
        line += f" · before, {before}"
    st.caption(f"{line}.")


def _known(name: str) -> tuple[str, str]:
    """How a model came to be and how good it is, and the same in short; what cannot be read is said."""
    try:
        if name in SIBLINGS:
            return _of_sibling(name)
        return _of_variant(name) if base_of(name) in PACKAGED else ("", "")
    except CheckpointError as error:
        return markdown_text(str(error)), ""


def _of_sibling(name: str) -> tuple[str, str]:
    card = read_card(name)
    millions, loss = f"{card['parameters'] / 1e6:.2f}M", f"{card['validation_loss']:.3f}"
    return f"{millions} parameters · validation loss {loss} nats per token", f"{millions}, {loss}"


def _of_variant(name: str) -> tuple[str, str]:
    how = how_made(name)
    if is_shipped(name):
        told = quality(name).told
        more = " · Latent: MLA without RoPE" if MODELS[name].attention == "latent" else ""
        return f"{how}: {told}{more}", told.rpartition("→ ")[2]
    told = as_trained(base_of(name))
    return (f"{how}: {told}", told) if told else (how, how)


def _remember(name: str, short: str) -> str | None:
    """Keeps what is said of the model on screen; returns what was said of the one before it in its family."""
    now, before = st.session_state.get(_BEFORE, ((name, short), None))
    if now[0] != name:
        now, before = (name, short), now if family(now[0]) == family(name) else None
    st.session_state[_BEFORE] = (now, before)
    return None if before is None else str(before[1])
