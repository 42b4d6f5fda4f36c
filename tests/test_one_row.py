"""A variant or an encoding is one file and one row: toy ones, registered here, work in core, in training and on the pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from headlight import load_model
from headlight.core import registry
from headlight.core.analysis.sibling_quality import MEASURES, Quality, Score
from headlight.core.attention import Attention
from headlight.core.attention.base import linear, query_positions
from headlight.core.attention.variants import VARIANTS, VariantRow
from headlight.core.checkpoints import sibling
from headlight.core.decoding import Decoder, what_variants_keep
from headlight.core.errors import InputError
from headlight.core.measured.held import cache_shape, held
from headlight.core.memory.config.wording import row_formula
from headlight.core.memory.shape import CachePart, Parts
from headlight.core.model import Model, run
from headlight.core.positions import Position
from headlight.core.positions.encodings import ENCODINGS, EncodingRow
from headlight.core.surgery.methods import convertible
from headlight.core.types import Projections, Step, positions
from headlight.viz import store
from headlight.viz.figures import flow_boxes, quality_map
from headlight.viz.figures.cache.held import held_growth
from tests.viz.pages.explore.test_page import page as explore
from tests.viz.pages.mla.test_page import fine, words
from tests.viz.pages.mla.test_page import page as inside_mla
from training import model as training
from training.presets import PRESETS, Sibling, siblings

TINY = replace(PRESETS["tiny"], vocab_size=4096, head_dim=8)  # as many words as the shipped tokenizer has
TEXT = "The old dog saw the young cat."
NEW = ("toy-far", "toy-rope", "mha-far")


@dataclass(frozen=True)
class Toy(Attention):
    """One vector that is key and value of all heads; beside it n_marks numbers, which are added to the key expanded."""

    n_marks: int = 2

    @property
    def n_kv_heads(self) -> int:
        return 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        wide = self.n_heads * self.head_dim
        return {
            "q_proj.weight": (wide, self.d_model), "m_proj.weight": (self.head_dim, self.d_model),
            "marks_proj.weight": (self.n_marks, self.d_model), "up_proj_of_marks.weight": (self.head_dim, self.n_marks),
            "o_proj.weight": (self.d_model, wide),
        }  # fmt: skip

    def cache_row(self) -> Parts:
        return Parts((CachePart("m", "shared", self.head_dim), CachePart("marks", "marks", self.n_marks)))

    def project(self, x, params, position, past):  # type: ignore[no-untyped-def]
        q_pos = query_positions(x, past)
        q = position.at_qk(linear(x, params, "q_proj").unflatten(-1, (self.n_heads, -1)).transpose(0, 1), q_pos)
        cache = past.extend(m=linear(x, params, "m_proj"), marks=linear(x, params, "marks_proj"))
        m, marks, k_pos = cache.tensors["m"], cache.tensors["marks"], positions(0, cache.length, x.device)
        k = position.at_qk((m + linear(marks, params, "up_proj_of_marks"))[None], k_pos)
        kv = ("n_kv_heads", "kv_len")
        steps = (
            Step("h", "h_t", ("q_len", "d_model"), x),
            Step("m", "m_u = W_M h_u", ("kv_len", "head_dim"), m, ("h",), "the vector that is kept"),
            Step("marks", "g_u = W_G h_u", ("kv_len", "n_marks"), marks, ("h",)),
            Step("q", r"q_t = R_t W_Q h_t", ("n_heads", "q_len", "qk_head_dim"), q, ("h",)),
            Step("k", r"k_u = R_u (m_u + W_E g_u)", (*kv, "qk_head_dim"), k, ("m", "marks")),
            Step("v", r"v_u = m_u", (*kv, "v_head_dim"), m[None], ("m",)),
        )
        return Projections(q, k, m[None], q_pos, k_pos, position, cache, steps)


@dataclass(frozen=True)
class Far(Position):
    """A penalty on distance, the same for all heads."""

    by: float = 0.25

    def at_scores(self, scores, q_pos, k_pos):  # type: ignore[no-untyped-def]
        return scores - self.by * (q_pos[:, None] - k_pos[None, :]).abs().to(scores.dtype)


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The two rows, and three siblings of them on random weights, where siblings lie."""
    monkeypatch.setitem(VARIANTS, "toy", VariantRow("Toy", Toy, sizes={"n_marks": 5}))
    monkeypatch.setitem(
        ENCODINGS, "far", EncodingRow("Far", Far, "Here $R_t$ does nothing.", "its penalty", lambda width: Far())
    )
    tokenizer = (sibling.FOLDER / "tokenizer.json").read_bytes()
    monkeypatch.setattr(sibling, "FOLDER", tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    for name in NEW:
        _write(tmp_path / name, Sibling(TINY, *name.split("-"), "no corpus"))
    for name, row in registry.siblings().items():
        if name not in registry.SIBLINGS:
            for table in (registry.SIBLINGS, registry.MODELS, store.engine().rows):
                monkeypatch.setitem(table, name, row)


def _write(folder: Path, one: Sibling) -> None:
    folder.mkdir()
    params = training.initial(one.config, 0)
    safetensors.torch.save_file({name: t.half() for name, t in params.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(one.config))
    kept = sibling.attention_of(one.config).cached_elements_per_token()
    card = {"parameters": 1, "validation_loss": 5.0, "cached_elements_per_token_and_layer": kept, "n_layers": 2}
    (folder / "card.json").write_text(json.dumps(card))


def _model(name: str) -> Model:
    model = load_model(name, "cpu")
    assert isinstance(model, Model)
    return model


@pytest.mark.parametrize("name", NEW)
def test_it_is_loaded_run_and_decoded_with_a_cache_that_holds_what_it_says(name: str) -> None:
    model = _model(name)
    titles = {"toy": "Toy", "mha": "MHA", "far": "Far", "rope": "RoPE"}
    assert model.title == " · ".join(titles[part] for part in name.split("-"))
    tokens = run(model, TEXT).tokens
    decoder = Decoder(model, capacity=2)
    for number in tokens.ids:
        logits = decoder.read([number])
    torch.testing.assert_close(logits.flatten(), run(model, TEXT).logits[-1].flatten(), rtol=0, atol=1e-4)
    found = held(model, tokens.ids)
    assert found.held == found.computed
    assert cache_shape(model).groups[0].elements == model.attention.cached_elements_per_token()


def test_its_sizes_formula_and_neighbours_follow_from_its_row() -> None:
    model = _model("toy-far")
    assert cache_shape(model).groups[0].elements == 13 and row_formula(cache_shape(model).groups[0]) == "(8 + 5)"
    assert what_variants_keep(model)["MHA"] == 2 * 4 * 8 * 4 * 2
    with pytest.raises(InputError, match="Toy · Far keeps shared and marks already"):
        convertible(model)


def test_training_has_it_in_every_preset_with_its_own_sizes() -> None:
    every = {s.name: s for s in siblings(TINY, "") if not s.seed}
    assert len(every) == 5 * 4 and next(iter(every)).endswith("far")
    assert every["toy-rope"].config["n_marks"] == 5 and "n_marks" not in every["mha-rope"].config
    assert every["toy-far"].fingerprint != every["mha-far"].fingerprint


@pytest.mark.parametrize("name", NEW)
def test_training_computes_what_core_does(name: str) -> None:
    one = Sibling(TINY, *name.split("-"), "")
    params = {key: t.half().float() for key, t in training.initial(one.config, 0).items()}
    ids = torch.tensor([[0, 5, 17, 900, 33, 2], [0, 44, 3, 3, 1, 7]])
    model = _model(name)
    for row, logits in zip(ids.tolist(), training.Network(one.config).logits(params, ids), strict=True):
        decoder = Decoder(model)
        torch.testing.assert_close(logits[-1], decoder.read(row).flatten(), rtol=0, atol=1e-4)


def test_explores_switches_offer_it() -> None:
    app = explore(model="toy-far", text=TEXT)
    assert not app.exception and not app.error
    attention, position = (app.segmented_control(key=key) for key in ("attention", "position"))
    assert (attention.value, position.value) == ("toy", "far")
    assert attention.options == ["MHA", "Toy"] and position.options == ["RoPE", "Far"]
    attention.set_value("mha").run()
    assert app.query_params["model"] == "mha-far" and not app.exception


@pytest.mark.parametrize("tensor", ["m", "marks", "weights"])
def test_inside_mla_draws_it_beside_with_what_it_keeps(tensor: str) -> None:
    app = fine(inside_mla(text=TEXT, beside="toy-far", side="beside", tensor=tensor))
    assert app.selectbox(key="mla_tensor").value == tensor
    assert "**13 numbers** (8 of m and 5 of marks)" in words(app) and "Here $R_t$ does nothing." in words(app)
    app.segmented_control(key="mla_side").set_value("latent").run()
    assert not app.exception and app.selectbox(key="mla_tensor").value == ("weights" if tensor == "weights" else "k")


def test_its_own_steps_stand_between_what_they_are_made_from_and_what_they_go_into() -> None:
    trace = run(_model("toy-far"), TEXT).layers[0]
    boxes = {box.step.name: box for box in flow_boxes(trace.steps, set(trace.cache.tensors))}
    assert boxes["h"].y < boxes["m"].y < boxes["k"].y and boxes["h"].y < boxes["marks"].y < boxes["k"].y
    assert (boxes["m"].x, boxes["m"].y) != (boxes["marks"].x, boxes["marks"].y)
    assert boxes["m"].kept and set(boxes["k"].sources) == {"m", "marks"}


def test_figures_give_it_a_look_of_its_own() -> None:
    model = _model("toy-far")
    found = [held(model, [1, 2]), replace(held(model, [1, 2]), name="b")]
    figure = held_growth(found, {"toy-far": ("toy", "far"), "b": ("toy", "rope")})
    assert len(set(figure.data[-1].marker.symbol)) == 2
    qualities = [
        Quality(f"a-{p}", f"A · {p}", "toy", p, 1000, 11, 3, {"loss": Score(4.0)}) for p in ("none", "rope", "far")
    ]
    drawn = quality_map(qualities, "loss", MEASURES["loss"], chosen="a-far")
    assert len({trace.marker.symbol for trace in drawn.data}) == len({trace.x[0] for trace in drawn.data}) == 3
