"""Positions, RoPE: a real query and key turning pair by pair; moved together the score stays, apart it moves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons.rotation import QueryKey
from headlight.core.lessons.tables import wavelengths
from headlight.viz import store
from headlight.viz.figures import curves, dials, signed_map
from headlight.viz.figures.positions.dials import COLUMNS
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions import query as positions_query
from headlight.viz.pages.positions.choices import MOST, OWN, REACHES, THETAS, UNIT, Positions, moved, state
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

_INTRO = (
    "Nothing is added: each pair of dimensions of a query and of a key is rotated by an angle, position times the pair's "
    "frequency (Su et al. 2021). Their dot product then depends on the distance between the two alone."
)


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """The two tokens, the two sliders, dials beside the score; below what each pair adds and the bound."""
    st.markdown(_INTRO)
    choices, notes, found = positions_query.choose(choices)
    if found is None:
        return choices, notes
    trained, title = found
    qk = trained if choices.theta == OWN else trained.with_theta(float(choices.theta))
    choices, more = _settle(choices, qk)
    q_at, k_at = places(choices, qk)
    _sliders(choices, qk, q_at, k_at)
    left, right = st.columns([5, 6], gap="medium")
    with left:
        _dials(choices, qk, q_at, k_at, look)
    with right:
        _score(choices, qk, trained, q_at, k_at, title, look)
    store.let_the_browser_draw()
    left, right = st.columns([5, 6], gap="medium")
    with left:
        _pairs(choices, qk, look)
    with right:
        _bound(choices, qk, look)
    take_away(
        state,
        "rope",
        _code(choices, q_at, k_at),
        {"Added by each pair": lambda: to_csv(qk.by_distance(choices.reach), range(qk.rope.dim // 2), "distance")},
    )
    return choices, notes + more


def places(choices: Positions, qk: QueryKey) -> tuple[int, int]:
    """Where query and key are put: where they stand, unless they were moved."""
    q_at = min(qk.q_pos, MOST) if choices.q_at is None else choices.q_at
    return q_at, min(qk.k_pos, MOST) if choices.k_at is None else choices.k_at


def _settle(choices: Positions, qk: QueryKey) -> tuple[Positions, list[str]]:
    if choices.pair is None or choices.pair < qk.rope.dim // 2:
        return choices, []
    return replace(choices, pair=None), [
        f"There is no pair {choices.pair} here; pairs 0 to {qk.rope.dim // 2 - 1} are."
    ]


def _sliders(choices: Positions, qk: QueryKey, q_at: int, k_at: int) -> None:
    with state.row("rope"):
        for label, field, at in (("Query at position", "q_at", q_at), ("Key at position", "k_at", k_at)):
            state.slider(label, field, at, 0, MOST, partial(_moved, field, q_at, k_at), width=190)
        state.toggle(
            "Move together", "together", choices.together,
            help="On: both sliders move by as much, the distance stays, and so does the score.",
        )  # fmt: skip
        st.button(
            "Back to the sentence", key="positions_back", disabled=(q_at, k_at) == (qk.q_pos, qk.k_pos),
            on_click=lambda: state.change(q_at=None, k_at=None),
        )  # fmt: skip
        own = f"{qk.rope.theta:,.0f}" if choices.theta == OWN else "its own"
        state.steps(
            "Theta", "theta", choices.theta, THETAS, width=170, format_func=lambda t: f"own ({own})" if t == OWN else f"{t:,}",
            help="The base of the frequencies. A larger one slows the pairs down; the model was trained with its own.",
        )  # fmt: skip
        state.steps("Distances drawn", "reach", choices.reach, REACHES, width=150)


def _moved(field: str, q_at: int, k_at: int, to: int) -> None:
    q_at, k_at = moved(q_at, k_at, field, to, state.current().together)
    state.change(q_at=q_at, k_at=k_at)


def _dials(choices: Positions, qk: QueryKey, q_at: int, k_at: int, look: Theme) -> None:
    q, k = qk.turned(q_at, k_at)
    adds = qk.by_pair(q_at, k_at)
    limit = float(qk.by_distance(choices.reach).abs().max())
    figure = dials(
        q.numpy(), k.numpy(), wavelengths(qk.rope.dim, qk.rope.theta).numpy(), adds.numpy(),
        f"{len(adds)} pairs, the fastest first", limit=max(limit, float(adds.abs().max())), chosen=choices.pair, theme=look,
    )  # fmt: skip
    best = int(adds.abs().argmax())
    picture(
        figure, "dials", f"Dials of {len(adds)} pairs. Pair {best} adds most: {float(adds[best]):.3f}.",
        "A hand shows a direction only. Below each dial: positions to a full turn. Colour: what the pair adds to the score, "
        f"most here pair {best} with {float(adds[best]):.3f}. Click a dial to draw its curve.",
        shape=(-(-len(adds) // COLUMNS), COLUMNS), on_pick=lambda cell: _pick(cell[0] * COLUMNS + cell[1], choices.pair),
    )  # fmt: skip


def _pick(pair: int, before: int | None) -> None:
    state.change(pair=None if pair == before else pair)


def _score(
    choices: Positions, qk: QueryKey, trained: QueryKey, q_at: int, k_at: int, title: str, look: Theme
) -> None:  # fmt: skip
    by_distance, distance = qk.by_distance(choices.reach), q_at - k_at
    lines = {"score": (by_distance.sum(-1) + qk.rest).numpy()}
    if choices.pair is not None:
        lines[f"pair {choices.pair} alone"] = by_distance[:, choices.pair].numpy()
    score = qk.score(q_at, k_at)
    figure = curves(
        thinned(choices.reach, choices.reach), lines, f"Score by distance: {title}", colours=("query", "position"),
        axes=("distance, query after key", "score before the softmax"), at={f"now: {score:.4f}": (float(distance), score)},
        height=390, theme=look,
    )  # fmt: skip
    picture(figure, "score", f"Score {score:.4f} at distance {distance}.")
    st.text(f"Query at {q_at}, key at {k_at}, distance {distance}: the score is {score:.4f}.")
    st.caption(_told(choices, qk, trained, distance))


def _told(choices: Positions, qk: QueryKey, trained: QueryKey, distance: int) -> str:
    own = trained.score(trained.q_pos, trained.k_pos)
    parts = ["Move both sliders together and it stays; move one alone and it runs along the curve."]
    if choices.model != UNIT:
        parts.append(f"In the sentence, at distance {trained.q_pos - trained.k_pos}, the model computed {own:.4f}.")
    if choices.theta != OWN:
        parts.append(f"Theta {choices.theta:,} is not what the model was trained with ({trained.rope.theta:,.0f}).")
    if qk.rest:
        parts.append(f"{qk.rest:.4f} of it comes from dimensions without position and never changes.")
    if distance < 0:
        parts.append("Here the key comes after the query: a model that reads left to right would not look.")
    return " ".join(parts)


def _pairs(choices: Positions, qk: QueryKey, look: Theme) -> None:
    by_distance = qk.by_distance(choices.reach)
    columns = thinned(choices.reach)
    figure = signed_map(
        by_distance.T.numpy()[:, columns], "What each pair adds, by distance", axes=("distance", "pair"), legend="added",
        across=columns, height=340, theme=look,
    )  # fmt: skip
    picture(
        figure, "added", f"Contributions of {len(by_distance.T)} pairs over {choices.reach} distances.",
        "A row a pair: the first ones swing with every token, the last ones hardly move and carry what is said regardless of "
        "place. A column added up is the score.",
    )  # fmt: skip


def _bound(choices: Positions, qk: QueryKey, look: Theme) -> None:
    size, bound = qk.by_distance(choices.reach).sum(-1).abs(), qk.bound(choices.reach)
    figure = curves(
        thinned(choices.reach, choices.reach), {"size of the real score": size.numpy(), "bound": bound.numpy()},
        "The “long-term decay” is a bound", axes=("distance, query after key", "size (log)"), log=(False, True),
        colours=("query", "muted"), theme=look,
    )  # fmt: skip
    times = float((bound / size.clamp(min=1e-12)).median())
    picture(
        figure, "bound", f"The bound is {_times(times)} times the real size in the median.",
        "What falls with distance in the paper (section 3.4.3, Abel summation over the pairs) is an upper bound on the rotary "
        f"part of the score, not the score: here it is {_times(times)} times as large in the median over these distances, and "
        "the real curve rises and falls below it as the head was trained to.",
    )  # fmt: skip


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _code(choices: Positions, q_at: int, k_at: int) -> str:
    if choices.model == UNIT:
        return f"from headlight.core.lessons import rotation\nrotation.unit(64).score({q_at}, {k_at})"
    return (
        "from headlight import load_model, run\nfrom headlight.core.lessons import rotation\n"
        f"result = run(load_model({choices.model!r}), {choices.text!r})\n"
        f"qk = rotation.of_run(result, layer={choices.layer}, head={choices.head}, query={choices.query}, key={choices.key})\n"
        f"qk.score({q_at}, {k_at}), qk.by_distance({choices.reach}), qk.bound({choices.reach})"
    )
