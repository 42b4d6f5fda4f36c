"""Surgery's verdict: what is cached, what it costs in quality on a held-out text, and the curves of all methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from headlight.core.serving.conversions import Point, Result
from headlight.core.surgery.held_out import held_out
from headlight.core.surgery.methods import METHODS
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import Curve, surgery_curve
from headlight.viz.pages.surgery.choices import SurgeryChoices
from headlight.viz.pages.surgery.state import Shown, curve_points
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

_WITH_PAGE = "surgery_with_page"  # session: the curve is being drawn by the page's own run, not by the clock
_EVERY = 1.5  # seconds between two looks at what was measured
_AXES = {"perplexity": "perplexity (less is better)", "similarity": "cosine to the model's own sentences (1 is best)"}
_ENCODER = "(An encoder reads a text once and keeps no cache; counted is what its keys and values take while it reads.)"
_BESIDE = {"mean": "mean-pooled heads", "aligned": "aligned heads", "weighted": "latent, weighted SVD"}
_WORST = 1e4  # perplexities above are drawn there: what predicts nothing need not be told apart


def facts(shown: Shown) -> None:
    """Exact or lossy, and what is cached before and after."""
    kept, before = (each.cached_elements_per_token() for each in (shown.new, shown.source))
    badge = (
        ":green-badge[:material/check: exact]" if shown.exact else ":orange-badge[:material/content_cut: lossy]"
    )  # fmt: skip
    change = kept / before
    told = (
        "as much as before"
        if change == 1
        else f"{change:.0%} of before"
        if change < 1
        else f"{change:.3g} times as much"
    )
    st.markdown(
        f"{badge} **{before:,} → {kept:,} numbers** cached per token per layer ({told}); in all {shown.model.n_layers} layers "
        f"{shown.cached_bytes(shown.source):,} → **{shown.cached_bytes(shown.new):,} bytes** a token in half precision."
        + ("" if shown.model.causal else f" {_ENCODER}")
    )


def draw(choices: SurgeryChoices, shown: Shown, look: Theme) -> None:
    """Asks for what is not measured yet, and draws what is; while something is missing, it looks again by itself."""
    curves = curve_points(choices, shown.model)
    points = [shown.point, *(point for method in curves.values() for point in method)]
    store.conversions().ask(points)
    missing = any(store.conversions().result(point) is None for point in points)
    st.markdown(f"#### Quality against cache: {markdown_text(shown.model.title)}")
    st.caption(markdown_text(_about(shown)))
    st.session_state[_WITH_PAGE] = True
    st.fragment(_measured, run_every=_EVERY if missing else None)(shown.without_numbers(), curves, points, look)


def _about(shown: Shown) -> str:
    text, measure = held_out(), store.conversions().measure(shown.name)
    what = (
        f"Perplexity on {len(text.passages)} passages: exp of the mean cross-entropy per token."
        if measure == "perplexity"
        else f"Mean cosine between the embeddings of {len(text.sentences)} sentences before and after (mean pooling)."
    )
    return f"{what} Text: {text.author}, {text.title} ({text.year}). All layers are converted; nothing is fitted to this text."


def _measured(shown: Shown, curves: Mapping[str, Sequence[Point]], points: Sequence[Point], look: Theme) -> None:
    by_clock = not st.session_state.pop(_WITH_PAGE, False)
    results = {point: store.conversions().result(point) for point in points}
    there = {point: result for point, result in results.items() if result is not None}
    if by_clock and len(there) == len(results):
        # A run of the whole page alone stops the browser's clock; one of the part around this fragment does not.
        st.rerun()
    if len(there) < len(results):
        st.progress(
            len(there) / len(results), text=f"Measuring in the background: {len(there)} of {len(results)} settings…"
        )
    _verdict(shown, there.get(shown.point))
    _curves(shown, curves, there, look)
    _equal_bytes(shown, curves, there)
    _weighting(shown, curves, there)


def _verdict(shown: Shown, result: Result | None) -> None:
    measure = store.conversions().measure(shown.name)
    if result is None:
        st.markdown("This setting: *being measured…*")
    elif result.failure:
        st.warning(markdown_text(f"This setting could not be measured: {result.failure}."), icon=":material/error:")
    elif measure == "perplexity":
        st.markdown(
            f"This setting: perplexity **{_number(result.own)} → {_number(result.value)}** "
            f"({_percent(result.value / result.own - 1)})."
        )
    else:
        st.markdown(f"This setting: mean cosine **{result.value:.4f}** (1: every sentence stays where it was).")


def _percent(change: float) -> str:
    return "unchanged" if abs(change) < 5e-5 else f"{change:+,.2%}" if change < 10 else f"{change + 1:,.0f} times"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 1e4 else f"{value:.3g}"


def _curves(
    shown: Shown, curves: Mapping[str, Sequence[Point]], there: Mapping[Point, Result], look: Theme
) -> None:  # fmt: skip
    measure = store.conversions().measure(shown.name)
    drawn = [
        curve
        for name in METHODS  # a method keeps its colour, whichever is on screen
        if name in curves and (curve := _curve(shown, name, curves[name], there)).cached
    ]
    if not drawn:
        st.caption("The first points are being measured.")
        return
    own = next((result.own for result in there.values() if not result.failure), None)
    here = there.get(shown.point)
    figure = surgery_curve(
        drawn, _AXES[measure], log=measure == "perplexity",
        own=None if own is None else (shown.cached_bytes(shown.source), own),
        here=None if here is None or here.failure else (shown.cached_bytes(shown.new), _drawn(here.value)), theme=look,
    )  # fmt: skip
    alt = "; ".join(
        f"{curve.title}: " + ", ".join(f"{x:,.0f} B {y:.4g}" for x, y in zip(curve.cached, curve.values, strict=True))
        for curve in drawn
    )
    chart(figure, key_name="surgery_curve", alt=alt, file_name="headlight-surgery-curve")
    if any(result.value > _WORST for result in there.values()):
        st.caption(f"Perplexities above {_WORST:,.0f} are drawn there; hover to read them.")


def _curve(shown: Shown, name: str, points: Sequence[Point], there: Mapping[Point, Result]) -> Curve:
    found = [(point, there[point]) for point in points if point in there and not there[point].failure]
    unit = "KV heads" if METHODS[name].counts == "heads" else "rank"
    return Curve(
        METHODS[name].title,
        [shown.cached_bytes(point.conversion.attention(shown.source, point.setting)) for point, _ in found],
        [_drawn(result.value) for _, result in found],
        [f"{METHODS[name].title}, {unit} {point.setting}: {_number(result.value)}" for point, result in found],
    )


def _drawn(value: float) -> float:
    return min(value, _WORST)


def _equal_bytes(shown: Shown, curves: Mapping[str, Sequence[Point]], there: Mapping[Point, Result]) -> None:
    """What sharing heads and what a latent makes of the same number of values, where both were measured."""
    if any(name not in curves for name in _BESIDE):
        return
    rows, form = [], _number if store.conversions().measure(shown.name) == "perplexity" else "{:.4f}".format
    for point in curves["aligned"]:
        kept = point.conversion.attention(shown.source, point.setting).cached_elements_per_token()
        beside = [each for name in _BESIDE if (each := _of(curves[name], kept, shown)) is not None]
        if len(beside) == len(_BESIDE):
            told = {title: _told(there.get(each), form) for title, each in zip(_BESIDE.values(), beside, strict=True)}
            rows.append({"values per token per layer": f"{kept:,}"} | told)
    if rows:
        st.markdown(
            "**The same bytes: shared heads or a latent?** All layers converted, nothing trained; the held-out text:"
        )
        st.table(rows)


def _of(points: Sequence[Point], kept: int, shown: Shown) -> Point | None:
    """The point that keeps as many values per token per layer and is not the model itself, None where there is none."""
    for point in points:
        attention = point.conversion.attention(shown.source, point.setting)
        if attention.cached_elements_per_token() == kept < shown.source.cached_elements_per_token():
            return point
    return None


def _told(result: Result | None, form: Callable[[float], str]) -> str:
    if result is None:
        return "being measured"
    return "–" if result.failure else form(result.value)


def _weighting(shown: Shown, curves: Mapping[str, Sequence[Point]], there: Mapping[Point, Result]) -> None:
    """Does weighting by activations pay? The two at three equal ranks, and what follows from the numbers."""
    if "svd" not in curves or "weighted" not in curves:
        return
    pairs = [
        (plain.setting, there[plain].value, there[weighted].value)
        for plain, weighted in zip(curves["svd"], curves["weighted"], strict=True)
        if plain in there and weighted in there and not (there[plain].failure or there[weighted].failure)
    ][:3]
    st.markdown("**Does weighting by activations pay?** The same bytes, the held-out text:")
    if len(pairs) < 3:
        st.caption("Measuring…")
        return
    less = store.conversions().measure(shown.name) == "perplexity"
    better = [(weighted < plain) if less else (weighted > plain) for _, plain, weighted in pairs]
    form = _number if less else "{:.4f}".format
    rows = [
        {"rank": rank, "plain SVD": form(plain), "weighted": form(weighted), "better": "weighted" if won else "plain"}
        for (rank, plain, weighted), won in zip(pairs, better, strict=True)
    ]
    st.table(rows)
    st.caption(_conclusion(better, [rank for rank, _, _ in pairs]))


def _conclusion(better: Sequence[bool], ranks: Sequence[int]) -> str:
    if all(better):
        return "Yes: at all three ranks it is better."
    if not any(better):
        return "No: at none of the three ranks it is better for this model."
    lost = ", ".join(str(rank) for rank, won in zip(ranks, better, strict=True) if not won)
    return f"Not everywhere: at rank {lost} the plain SVD is better."
