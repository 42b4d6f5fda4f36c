"""The KV-cache page's sections Measured, 93.3 % and Decode cost without a browser: controls, links, what they refuse."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.memory.claim import less, steps
from headlight.core.memory.config.wording import decimal
from headlight.core.memory.decode_cost import flop, ways
from headlight.core.memory.hardware import card
from headlight.core.memory.published import published
from headlight.core.registry import MODELS, SIBLINGS, ModelRow
from headlight.viz import store
from headlight.viz.pages.cache import measured
from headlight.viz.pages.cache.choices import CacheChoices
from tests.apptest import fine, opened

TEXT = "The old dog saw the young cat."
MINE = ("measured", "claim", "decode")
THERE = [name for name, row in SIBLINGS.items() if row.installed]


page = partial(opened, "cache")


def words(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.markdown, *app.caption)).replace("\\", "")


def rows(app: AppTest, index: int = 0) -> dict[str, dict[str, str]]:
    return {row.iloc[0]: dict(row) for _, row in app.dataframe[index].value.iterrows()}


@pytest.mark.parametrize("section", MINE)
def test_every_section_opens_from_its_link(section: str) -> None:
    app = fine(page(section=section))
    assert app.segmented_control(key="cache_section").value == section
    assert app.query_params["section"] == section


@pytest.mark.parametrize("section", MINE)
@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", "", "nan"])
def test_no_link_breaks_a_section(section: str, value: str) -> None:
    names = [field.name for field in fields(CacheChoices) if field.name not in ("section", "text")]
    app = page(section=section, **dict.fromkeys(names, value))
    assert not app.exception and not app.error
    assert app.info, "a link with nonsense in it is told so"


@pytest.mark.parametrize("text", ["", " ", "x" * 30_000, "a " * 3000, "<b>[l](http://x.y)</b> $x$ 🦊\x00"])
def test_no_text_breaks_what_is_measured(text: str) -> None:
    app = page(section="measured", text=text)
    assert not app.exception and not app.error
    assert app.button(key="cache_run"), "the rest of the section stays"


def test_a_long_text_is_read_as_far_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_READ", 11)
    app = fine(page(section="measured", text="one two three " * 40))
    assert "The first 11 tokens are read here" in app.info[0].value.replace("\\", "")
    assert {row["tokens"] for row in rows(app).values()} == {11}


def test_a_variant_of_smollm2_is_read_where_it_is_the_chosen_one() -> None:
    app = fine(page(section="measured", text="A dog", measured_model="smollm2-mha"))
    table = rows(app)
    assert len(table) == len(THERE) + 2
    assert {title for title in table if "SmolLM2" in title} == {"SmolLM2", MODELS["smollm2-mha"].title}


def test_measured_bytes_equal_the_formula_for_every_model_after_every_token() -> None:
    app = fine(page(section="measured", text=TEXT))
    last = app.slider(key="cache_measured_token").value
    for at in (1, 3, last):
        app.slider(key="cache_measured_token").set_value(at).run()
        table = rows(fine(app))
        assert len(table) == len(THERE) + 1 and {row["equal"] for row in table.values()} == {"yes"}
        assert all(row["held by the tensors (B)"] == row["by the formula (B)"] for row in table.values())
        assert table["SmolLM2"]["held by the tensors (B)"] == 46_080 * table["SmolLM2"]["tokens"]
    assert app.query_params.get("measured_token") is None, "the last token is as at first"


@pytest.mark.skipif("mla-rope" not in THERE, reason="this sibling is not trained here")
def test_the_tensors_of_the_chosen_model_are_listed() -> None:
    app = page(section="measured", text=TEXT, measured_model="mla-rope", measured_token="2")
    assert "`c_kv` 2 × 128 float32 = 1,024 B + `k_rope` 2 × 16 float32 = 128 B" in words(fine(app))
    assert "1,152 × 4 = **4,608 B**" in words(app)
    app.selectbox(key="cache_measured_model").set_value("gqa-rope").run()
    assert "`k` 2 × 2 × 32 float32 = 512 B" in words(fine(app)) and app.query_params["measured_model"] == "gqa-rope"


def test_run_measures_and_says_with_what() -> None:
    app = page(section="measured", text=TEXT, measured_most="1024", measured_repeats="5")
    assert "Nothing measured yet" in words(app)
    app.button(key="cache_run").click().run()
    assert app.button(key="cache_cancel") and app.slider(key="cache_measured_token")
    _, measurement = app.session_state["cache:measurement"]
    assert measurement.wait(100.0) and measurement.complete
    app.run()
    assert "medians of 5 steps" in words(fine(app)) and store.engine().device_name in words(app)
    table = app.dataframe[1].value
    assert len(table) == 20 and set(table["tokens"]) == {"128", "256", "512", "1,024"}
    first = measurement.timing.results[0]
    assert table.iloc[0]["median (ms)"] == f"{first.times.median * 1e3:.3g}"
    assert table.iloc[0]["kept (B)"] == f"{128 * 384 * 4:,}"
    app.select_slider(key="cache_measured_repeats").set_value(10).run()
    assert "Nothing measured yet" in words(fine(app)), "a result belongs to its choices"
    app.select_slider(key="cache_measured_repeats").set_value(5).run()
    assert "medians of 5 steps" in words(fine(app)), "and is kept for them"


def test_a_second_visitor_is_told_to_wait_and_cancel_ends_it() -> None:
    first, second = (page(section="measured", text=TEXT) for _ in range(2))
    with store.engine().alone():  # the measurement cannot end while this is held
        first.button(key="cache_run").click().run()
        second.button(key="cache_run").click().run()
        assert "Another measurement is under way" in second.warning[0].value.replace("\\", "")
        assert second.button(key="cache_run"), "and may try again"
        _, measurement = first.session_state["cache:measurement"]
        first.button(key="cache_cancel").click().run()
    assert measurement.wait(60.0) and measurement.cancelled
    first.run()
    assert "Nothing measured yet" in words(fine(first))


def test_the_claim_is_computed_and_follows_its_bits() -> None:
    app = fine(page(section="claim"))
    assert "**82.2% less**: 194,560 values per token become 34,560" in words(app)
    assert "**93.3% less** with 16 bits against 6. That is the published number." in words(app)
    app.select_slider(key="cache_claim_after").set_value(16).run()
    found = steps(16, 16)
    assert f"**{less(found[0].bytes, found[-1].bytes):.1%} less** with 16 bits against 16." in words(fine(app))
    assert "published number." not in words(app) and app.query_params["claim_after"] == "16"
    app.select_slider(key="cache_claim_before").set_value(2).run()
    assert "% more** with 2 bits against 16" in words(fine(app))


def test_what_is_inferred_is_said_and_the_tables_have_their_sources() -> None:
    app = page(section="claim")
    assert "second-hand" in app.info[0].value and "64 KV heads" in app.info[0].value
    for source in ("Table 1 (read in the paper)", "Table 8 (read in the paper)", "Table 9 (read in the paper)"):
        assert source in words(app)
    assert "near parity" in words(app) and len(app.table) == 3


def test_decode_cost_is_what_core_counts() -> None:
    app = fine(page(section="decode"))
    shape, h800 = published()["deepseek-v3-671b"].shape, card("h800")
    for name, way in ways(shape, 8).items():
        cost, row = way.cost(131_072), rows(app)[way.title]
        assert row["bytes"] == decimal(cost.traffic() * 61) and row["operations"] == flop(cost.flops * 61), name
        assert row["operations per byte"] == f"{cost.intensity():.4g}" and row["bound by"] == h800.bound(cost)
    assert rows(app)["MLA absorbed"]["bytes"] == "9.211 GB" and rows(app)["MLA absorbed"]["cache"] == "9.211 GB"


def test_context_batch_and_projections_move_the_numbers() -> None:
    app = page(section="decode")
    app.select_slider(key="cache_decode_context").set_value(1024).run()
    app.select_slider(key="cache_decode_batch").set_value(64).run()
    before = rows(fine(app))["MLA absorbed"]
    app.toggle(key="cache_decode_weights").set_value(True).run()
    cost = ways(published()["deepseek-v3-671b"].shape, 8)["absorbed"].cost(1024, 64)
    row = rows(fine(app))["MLA absorbed"]
    assert row["bytes"] == decimal(cost.traffic(weights=True) * 61 / 64) != before["bytes"]
    assert row["cache"] == before["cache"] == decimal(64 * 1024 * 1152 * 61)
    assert {name: app.query_params[name] for name in ("decode_context", "decode_batch", "decode_weights")} == {
        "decode_context": "1024", "decode_batch": "64", "decode_weights": "1",
    }  # fmt: skip


def test_another_model_brings_its_own_kv_heads() -> None:
    app = page(section="decode", decode_kv_heads="16")
    assert "GQA, 16 KV heads" in rows(fine(app))
    app.selectbox(key="cache_decode_model").set_value("llama-3-2-3b").run()
    assert published()["llama-3-2-3b"].shape.n_heads == 24
    assert "GQA, 8 KV heads" in rows(fine(app)) and "decode_kv_heads" not in app.query_params
    app.select_slider(key="cache_decode_kv_heads").set_value(3).run()
    assert "GQA, 3 KV heads" in rows(fine(app))


def test_kv_heads_that_do_not_divide_are_noted() -> None:
    app = page(section="decode", decode_kv_heads="7")
    assert "KV heads (7) must divide" in app.info[0].value.replace("\\", "") and "GQA, 8 KV heads" in rows(app)


def test_only_models_whose_layers_attend_alike_can_be_counted() -> None:
    app = page(section="decode", decode_model="gemma-3-27b")  # sliding windows
    assert "isn't one whose decoding can be counted" in app.info[0].value.replace("\\", "")
    for model in app.selectbox(key="cache_decode_model").options:
        assert not re.search(r"Gemma [34]|gpt-oss|V3\.2|V4", model)


@pytest.mark.parametrize("model", ["gpt-3-175b", "falcon-7b", "deepseek-v2-lite-16b", "smollm2-135m"])
def test_heads_of_every_kind_can_be_counted(model: str) -> None:
    assert len(rows(fine(page(section="decode", decode_model=model)))) == 6


def test_every_card_tells_its_source() -> None:
    app = page(section="decode")
    table = app.table[0].value
    assert len(table) == len(app.selectbox(key="cache_decode_card").options) and all(table["source"].str.len() > 30)


@pytest.mark.parametrize(("section", "name"), [("measured", "held"), ("claim", "claim"), ("decode", "decode")])
def test_the_notebooks_lines_run_and_give_what_is_on_screen(section: str, name: str) -> None:
    app = page(section=section, text=TEXT, decode_model="llama-3-2-3b", decode_context="2048", decode_batch="4")
    app.session_state[f"cache_take_{name}"] = True
    app.run()
    *lines, last = fine(app).code[0].value.strip().split("\n")
    while last.startswith((" ", "card(")):  # an expression over several lines
        last = lines.pop() + "\n" + last
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    result = eval(last, names)
    if section == "measured":
        assert result[0] == result[1] and rows(app)["SmolLM2"]["held by the tensors (B)"] == result[0][-1]
    elif section == "claim":
        assert [f"{value:.1%}" for value in result] == ["93.3%", "82.2%"]
    else:
        traffic, operations, seconds = result["gqa"]
        row = rows(app)["GQA, 8 KV heads"]
        assert (row["bytes"], row["operations"]) == (decimal(traffic * 28 / 4), flop(operations * 28 / 4))
        assert row["tokens per second"] == f"{4 / (seconds * 28):,.3g}"


def test_without_models_the_section_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    app = page(section="measured")
    assert not app.exception and "training.run" in app.warning[0].value.replace("\\", "")


def test_only_what_is_measured_loads_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "model", lambda name: pytest.fail(f"{name} was loaded"))
    for section in ("claim", "decode"):
        fine(page(section=section))
