"""Inside MLA, the way of the data: two layers as diagrams to scale, one step's numbers, and what is often told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.memory.shape import CacheRow
from headlight.core.positions.encodings import ENCODINGS
from headlight.core.registry import MODELS
from headlight.core.types import Step
from headlight.viz import store
from headlight.viz.components.chart import Area, chart
from headlight.viz.figures import flow, flow_boxes
from headlight.viz.figures.mla.flow import words
from headlight.viz.figures.mla.flow_layout import LABEL, Box, extent, pixels_a_token
from headlight.viz.pages.mla import misconceptions as mla_told
from headlight.viz.pages.mla import step_names as mla_words
from headlight.viz.pages.mla.choices import InsideMLA, state
from headlight.viz.pages.mla.state import Layered, begin, read
from headlight.viz.pages.mla.tensor import tensor
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

_INTRO = (
    "Attention keeps a key and a value of every head for every token it has read. MLA (DeepSeek-V2, section 2.1) keeps one "
    "small vector instead, the **latent** $c^{KV}$, and makes keys and values of all heads from it. Position cannot go through "
    "the latent, so it travels separately, in one more small key $k^R$. These are the real numbers of your sentence."
)
_SYMBOLS = (
    "$h$ enters the layer, one vector per token; $q$, $k$ and $v$ are queries, keys and values; $o$ is what each head hands "
    "on. A raised C marks a part without position, a raised R a part with it."
)
_LEGEND = (
    "Width: how many values per token has there. Height: tokens. Both diagrams have one scale. **Full colour: what a decoder "
    "keeps.** Outlined: the chosen head. Colours: blue query, orange key, green value, pink latent, yellow position. Click a "
    "box, or a head in it, to see its numbers; with the keyboard, Tab and Enter, or the menu below."
)


@dataclass(frozen=True)
class Drawn:
    """One diagram: its side, whose layer, its steps and what of them is kept."""

    side: str
    here: Layered
    steps: tuple[Step, ...]
    boxes: tuple[Box, ...]


def draw(choices: InsideMLA, look: Theme) -> tuple[InsideMLA, list[str]]:
    """The two diagrams, the step picked in one of them, the table of all steps, and the corrections."""
    st.markdown(f"{_INTRO} {_SYMBOLS}")
    choices, notes, here, row = begin(choices)
    choices, more, beside = _beside(choices, row)
    pixels = pixels_a_token(max(len(each.run.tokens) for each in (here, beside) if each is not None))
    both = {"latent": here} | ({} if beside is None else {"beside": beside})
    sides = [diagram(side, layered, pixels) for side, layered in both.items()]
    wide = max(extent(each.boxes)[0] for each in sides)
    # Labels have their size in pixels: the more numbers a figure is wide, the more of them a label takes.
    sides = [diagram(each.side, each.here, pixels, label=wide / 6) for each in sides]
    wide = max(extent(each.boxes)[0] for each in sides)
    for column, each in zip(st.columns(2, gap="medium"), sides, strict=False):
        with column:
            picked = choices.tensor if choices.side == each.side else ""
            picture(each, wide, look, partial(_picked, each), picked)
            st.caption(_facts(each))
    st.caption(_LEGEND)
    chosen = next((each for each in sides if each.side == choices.side), sides[0])
    choices, even_more = _settle(choices, chosen)
    _choose(choices, sides, chosen)
    step = next(step for step in chosen.steps if step.name == choices.tensor)
    tensor(chosen.here, step, chosen.steps, look, name="tensor", code=_code(choices, chosen))
    store.let_the_browser_draw()
    st.markdown("#### Every step")
    _table(chosen)
    mla_told.draw(here, choices)
    return choices, notes + more + even_more


def diagram(side: str, here: Layered, pixels: float, steps: tuple[Step, ...] = (), label: float = LABEL) -> Drawn:
    """A layer's steps (those to read with, if none are given) and where their boxes stand."""
    trace = here.run.layers[here.layer]
    steps = steps or trace.steps
    return Drawn(
        side, here, steps, flow_boxes(steps, set(trace.cache.tensors), head=here.head, pixels=pixels, label=label)
    )


def picture(
    each: Drawn, wide: float, look: Theme, on_pick: Callable[[tuple[int, int]], None], picked: str, key: str = ""
) -> None:
    """A diagram whose boxes can be picked."""
    here, names = each.here, [box.step.name for box in each.boxes]
    title = f"{here.title} · layer {here.layer}"
    figure = flow(each.boxes, title, head=here.head, kv_head=here.kv_head, wide=wide, theme=look)
    areas = [Area(box.x, box.y, box.right, box.bottom, box.heads, words(box), _column(box, here)) for box in each.boxes]
    told = "; ".join(area.words for area in areas)
    chart(
        figure, key_name=f"figure_flow_{key or each.side}", alt=f"{title}. From h to the output: {told}.", areas=areas,
        file_name=f"headlight-{here.name}-layer{here.layer}-flow", on_pick=on_pick,
        picked=(names.index(picked) if picked in names else -1, 0),
    )  # fmt: skip


def _column(box: Box, here: Layered) -> int:
    """The part of a box that is the chosen head's."""
    if box.heads == 1:
        return 0
    return here.kv_head if box.step.axes[0] == "n_kv_heads" else here.head


def picked_head(box: Box, column: int, here: Layered) -> int:
    """The head that a click in a box chooses: its own, or the first that reads the KV head."""
    if box.heads == 1 or column >= box.heads or column == _column(box, here):
        return here.head
    return column * (here.model.n_heads // box.heads)


def _picked(each: Drawn, cell: tuple[int, int]) -> None:
    box = each.boxes[cell[0]]
    state.change(tensor=box.step.name, side=each.side, head=picked_head(box, cell[1], each.here))


def _beside(choices: InsideMLA, row) -> tuple[InsideMLA, list[str], Layered | None]:  # type: ignore[no-untyped-def]  # a container
    """The model beside; where it cannot read the sentence, a line says why and the rest of the page stays."""
    names = {name: row.title for name, row in MODELS.items() if row.installed and name != choices.model}
    notes = []
    if choices.beside not in names:
        first = "mha-rope" if "mha-rope" in names else next(iter(names))
        notes.append(f"The link's model beside is not on this machine, or the same one; showing {names[first]}.")
        choices = replace(choices, beside=first)
    with row:
        state.menu("Beside it", "beside", choices.beside, list(names), format_func=lambda n: names.get(n, n), width=200)
    try:
        return choices, notes, read(choices, choices.beside)
    except HeadlightError as error:
        st.warning(markdown_text(f"{names[choices.beside]} cannot be shown beside: {error}."), icon=":material/error:")
        return choices, notes, None


def _settle(choices: InsideMLA, chosen: Drawn) -> tuple[InsideMLA, list[str]]:
    names = [step.name for step in chosen.steps]
    if choices.tensor in names:
        return replace(choices, side=chosen.side), []
    there = _fallback(names)
    note = f"{chosen.here.title} has no step of that name; showing {mla_words.symbol(there)}."
    return replace(choices, tensor=there, side=chosen.side), [note]


def _fallback(names: Sequence[str]) -> str:
    return next((name for name in ("c_kv", "k") if name in names), names[0])


def _choose(choices: InsideMLA, sides: Sequence[Drawn], chosen: Drawn) -> None:
    steps = {step.name: step for step in chosen.steps}
    with state.row("tensor"):
        titles = {each.side: each.here.title for each in sides}
        names = {each.side: [step.name for step in each.steps] for each in sides}
        state.segments("Numbers of", "side", choices.side, titles, partial(_other_side, names))
        state.menu(
            "Step", "tensor", choices.tensor, list(steps), width=260,
            format_func=lambda name: mla_words.menu_name(steps[name]) if name in steps else name,
        )  # fmt: skip


def _other_side(names: Mapping[str, Sequence[str]], side: str) -> None:
    """On the other side, the step of the same name, or its key. names: of each side's steps."""
    tensor, there = state.current().tensor, names.get(side, ())
    state.change(side=side, tensor=tensor if tensor in there or "k" not in there else "k")


def _facts(each: Drawn) -> str:
    row, names = each.here.model.attention.cache_row(), [step.name for step in each.steps]
    told = f"Kept of a token in a layer: **{row.elements} numbers** ({_kept(row)})."
    if "q_nope" not in names or "c_q" in names:
        return told
    return (
        f"{told} This model does not compress its queries: $q^C$ and $q^R$ come from $h$ itself. Larger ones, as DeepSeek-V3, "
        "make them from a latent of their own, $c^Q$, which saves memory in training and is never kept."
    )


def _kept(row: CacheRow) -> str:
    """What a layer keeps, part by part."""
    keys = row.part("keys")
    if keys is not None and keys.heads is not None and 2 * keys.elements == row.elements:
        return f"2 × {keys.heads} × {keys.width}: a key and a value of {keys.heads} KV head" + "s" * (keys.heads > 1)
    names = {"latent": "the latent", "rotated": "$k^R$"}
    return " and ".join(f"{part.elements} of {names.get(part.kind, part.name)}" for part in row.parts)


def _table(chosen: Drawn) -> None:
    trace = chosen.here.run.layers[chosen.here.layer]
    for column, half in zip(
        st.columns(2, gap="medium"), mla_words.lines(chosen.steps, trace.cache.tensors), strict=True
    ):
        column.markdown(half)
    encoding = ENCODINGS[str(MODELS[chosen.here.name].position)]
    st.caption(
        f"{encoding.about} $W$ with a superscript is a trained matrix; $t$ is the token that looks, $u$ one that is looked at."
    )


def _code(choices: InsideMLA, chosen: Drawn) -> str:
    return (
        "from headlight import load_model, run\nfrom headlight.viz.figures import flow, flow_boxes, tensor_map\n\n"
        f"model = load_model({chosen.here.name!r})\n"
        f"result = run(model, {choices.text!r})\n"
        f"trace = result.layers[{chosen.here.layer}]\n"
        f"trace.step({choices.tensor!r}).value  # a tensor\n"
        f"tensor_map(trace.step({choices.tensor!r}), {chosen.here.head}, result.tokens.pieces, {choices.tensor!r})\n"
        f"flow(flow_boxes(trace.steps, trace.cache.tensors), 'layer {chosen.here.layer}', head={chosen.here.head},\n"
        f"     kv_head={chosen.here.kv_head})\n"
    )
