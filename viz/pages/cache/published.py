"""KV cache, models: published models side by side: what they keep, what fits on which GPUs, and with other attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from headlight.core.memory.published import Published
from headlight.viz import store
from headlight.viz.pages.cache import what_if as cache_otherwise
from headlight.viz.pages.cache.choices import MOST_MODELS, CacheChoices, state
from headlight.viz.pages.cache.sizing import bars, beside, curves, deployment, exports, fits, usage
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

_INTRO = (
    "A decoder caches something of every earlier token: keys and values of its KV heads, or MLA's latent. How much "
    "follows from each model's shape alone."
)


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """Bars and curves side by side, what fits below, one of the models otherwise, the sources."""
    catalogue = store.catalogue()
    choices, notes = _settle(choices, catalogue)
    st.markdown(_INTRO)
    state.several(
        "Models", "models_names", choices.models_names, list(catalogue), MOST_MODELS,
        format_func=lambda slug: _title(catalogue[slug]), placeholder="Choose up to eight",
    )  # fmt: skip
    usage(choices)
    chosen = [catalogue[slug] for slug in choices.models_names]
    if not chosen:
        st.info("Choose a model to see what it keeps.", icon=":material/info:")
        return choices, notes
    sizes = _sizes(choices)
    plans = [deployment(model.shape, choices, sizes.get(model.slug, model.shape.parameters)) for model in chosen]
    left, right = st.columns(2, gap="medium")
    with left:
        bars(plans, "models", look)
    with right:
        curves(plans, "models", choices, look)
    fits(plans, choices)
    beside(plans, choices.models_cards)
    choices = _otherwise(choices, chosen, look)
    _parameters(choices, chosen, sizes)
    _sources(chosen)
    exports(plans, "models", _code(choices))
    return choices, notes


def _settle(choices: CacheChoices, catalogue: Mapping[str, Published]) -> tuple[CacheChoices, list[str]]:
    known = tuple(slug for slug in choices.models_names if slug in catalogue)
    notes = (
        []
        if known == choices.models_names
        else ["The link names models that are not in the catalogue; they were left out."]
    )
    what = choices.models_what if choices.models_what in known else None
    return replace(choices, models_names=known, models_what=what), notes


def _title(model: Published) -> str:
    return model.shape.name + ("" if model.verified else " (not verified)")


def _sizes(choices: CacheChoices) -> dict[str, int]:
    """Slug -> parameters, as they were typed."""
    pairs = (entry.partition(":") for entry in choices.models_sizes)
    return {slug: int(millions) * 10**6 for slug, _, millions in pairs}


def _otherwise(choices: CacheChoices, chosen: list[Published], look: Theme) -> CacheChoices:
    """One of the models with other attention."""
    st.markdown("#### What if")
    titles = {model.slug: model.shape.name for model in chosen}
    what = choices.models_what or next(iter(titles))
    with state.row("what"):
        state.menu(
            "this model", "models_what", what, list(titles), width=280, format_func=lambda slug: titles.get(slug, slug)
        )
        shape = store.catalogue()[what].shape
        n_kv_heads = cache_otherwise.knobs(shape, choices)
    cache_otherwise.draw(deployment(shape, choices, 0 or None), n_kv_heads, choices, look)
    return choices


def _parameters(choices: CacheChoices, chosen: list[Published], sizes: Mapping[str, int]) -> None:
    """How many weights each model has: as its name says, or as typed."""
    section = st.expander("How many parameters", key="cache_parameters", on_change="rerun")
    if not section.open:
        return
    with section:
        st.caption(
            "In billions, for the weights. What stands there is the size that the published name states, rounded as it is "
            "there; type a better number where you have one."
        )
        with state.row("parameters"):
            for model in chosen:
                _parameter(model, sizes)


def _parameter(model: Published, sizes: Mapping[str, int]) -> None:
    key, known = f"cache_size_{model.slug}", sizes.get(model.slug, model.shape.parameters)
    value = None if known is None else known / 1e9
    state.mirror(key, value)
    st.number_input(
        model.shape.name, 0.001, 900_000.0, value=None, key=key, width=230, format="%.3f", placeholder="not known",
        on_change=_type, args=(model.slug, key),
    )  # fmt: skip


def _type(slug: str, key: str) -> None:
    """Takes a typed number of parameters into the choices; an emptied field is the catalogue's again."""
    value = st.session_state[key]
    others = tuple(entry for entry in state.current().models_sizes if entry.partition(":")[0] != slug)
    state.change(models_sizes=others if value is None else (*others, f"{slug}:{max(1, round(value * 1000))}"))


def _sources(chosen: list[Published]) -> None:
    """Where the shapes are from, what is not sure, and where sources disagree."""
    section = st.expander("Sources", key="cache_sources", on_change="rerun")
    if not section.open:
        return
    with section:
        for model in chosen:
            st.markdown(f"**{markdown_text(_title(model))}**: {markdown_text(model.attention)}, {_layers(model)}")
            lines = [
                *model.sources,
                *([model.note] if model.note else []),
                *(f"conflict: {each}" for each in model.conflicts),
            ]
            if not model.dtype_known:
                lines.append("precision as recalled, in no source")
            st.caption("  \n".join(markdown_text(line) for line in lines))


def _layers(model: Published) -> str:
    return f"{model.shape.n_layers} layers, {model.shape.n_heads} heads" + (
        "" if model.verified else ". **Not verified**"
    )


def _code(choices: CacheChoices) -> str:
    kind = "bf16" if choices.models_precision == "native" else choices.models_precision
    slugs = ", ".join(f'"{slug}"' for slug in choices.models_names)
    return (
        "from headlight.core.memory.precision import PRECISIONS\nfrom headlight.core.memory.published import published\n"
        "from headlight.core.memory.sizes import bytes_at, bytes_per_token\n\n"
        f'models, bits = published(), PRECISIONS["{kind}"]\n'
        f"for slug in ({slugs},):\n"
        "    shape = models[slug].shape\n"
        f"    print(shape.name, bytes_per_token(shape, bits), bytes_at(shape, {choices.models_context}, bits, "
        f"batch={choices.models_batch}))"
    )
