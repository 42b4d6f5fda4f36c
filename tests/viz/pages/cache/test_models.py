"""The KV-cache page's sections Models and Your model without a browser: controls, links, a config.json, what they refuse."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.memory.config.hf_config import read_config
from headlight.core.memory.config.spelling import read_spelled, spell
from headlight.core.memory.deployment import Deployment
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.shape import MLADims, of_mla
from headlight.core.memory.sizes import bytes_at
from headlight.viz.pages.cache.choices import MODELS, MOST_MODELS, WAYS, CacheChoices
from tests.core.memory.test_memory_config import FILES, LLAMA, TEXTS, WRONG
from tests.viz.pages.cache.test_page import fine, page, words

CATALOGUE = published()
BF16 = PRECISIONS["bf16"]


def rows(app: AppTest) -> dict[str, dict[str, str]]:
    """The table of what fits: model -> its row."""
    return {row.iloc[0].replace("\\", ""): dict(row) for _, row in app.table[0].value.iterrows()}


def warning(app: AppTest) -> str:
    assert not app.exception and not app.error
    return app.warning[0].value.replace("\\", "")


@pytest.mark.parametrize("section", ["models", "own"])
@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", "", "nan", "0", "a:b.c:1"])
def test_no_link_breaks_a_section(section: str, value: str) -> None:
    names = [f.name for f in fields(CacheChoices) if f.name.startswith(("models_", "own_")) and f.name != "own_way"]
    for way in WAYS if section == "own" else ("heads",):
        app = page(section=section, own_way=way, **dict.fromkeys(names, value))
        assert not app.exception and not app.error
        assert app.info, "a link with nonsense in it is told so"


@pytest.mark.parametrize("first", range(0, len(CATALOGUE), MOST_MODELS))
def test_every_model_can_be_shown_and_shown_otherwise(first: int) -> None:
    slugs = list(CATALOGUE)[first : first + MOST_MODELS]
    link = {
        "models_names": ".".join(slugs),
        "models_context": "5000",
        "models_precision": "native",
        "models_reserved": "1",
    }
    app = fine(page(section="models", **link))
    for slug in slugs:
        size = CATALOGUE[slug].stated["kv_bytes_per_token"]
        assert size is None or rows(app)[CATALOGUE[slug].shape.name]["a token"].startswith(f"{size:,} B (")
        fine(app.selectbox(key="cache_models_what").set_value(slug).run())


def test_the_table_says_what_core_counts() -> None:
    app = fine(page(section="models", models_batch="4", models_cards="8", models_card="141", models_weights="bf16"))
    for slug in MODELS:
        shape = CATALOGUE[slug].shape
        plan = Deployment(shape, BF16, 32_768, 4, 8 * 141 * 10**9, 2 * (shape.parameters or 0))
        row = rows(app)[shape.name]
        assert (row["tokens that fit"], row["sequences that fit"]) == (f"{plan.tokens:,}", f"{plan.users:,}")
    assert rows(app)["Gemma 3 27B"]["of it growing on"] == "81,920 B"
    assert rows(app)["DeepSeek-V3 671B"]["tokens that fit"] == "0", "its weights in bf16 alone take more"


def test_what_fits_follows_the_controls() -> None:
    app = page(section="models", models_names="llama-3-1-8b", models_cards="1")
    app.selectbox(key="cache_models_card").set_value(24).run()
    app.selectbox(key="cache_models_weights").set_value("none").run()
    assert rows(app)["Llama 3.1 8B"]["tokens that fit"] == f"{24 * 10**9 // 131_072:,}"
    app.selectbox(key="cache_models_precision").set_value("q8_0").run()
    assert rows(app)["Llama 3.1 8B"]["tokens that fit"] == f"{int(24 * 10**9 // (65_536 * 1.0625)):,}"
    app.select_slider(key="cache_models_batch").set_value(2).run()
    app.select_slider(key="cache_models_context").set_value(1024).run()
    assert rows(app)["Llama 3.1 8B"]["sequences that fit"] == f"{int(24 * 10**9 // (1024 * 65_536 * 1.0625)):,}"
    assert {name: app.query_params[name] for name in ("models_card", "models_precision", "models_batch", "models_context")} == {
        "models_card": "24", "models_precision": "q8_0", "models_batch": "2", "models_context": "1024",
    }  # fmt: skip


def test_windows_count_unless_engines_reserve_all() -> None:
    app = page(section="models", models_names="gpt-oss-120b", models_cards="1", models_card="24", models_weights="none")
    ideal = rows(app)["gpt-oss 120B"]["tokens that fit"]
    app.toggle(key="cache_models_reserved").set_value(True).run()
    reserved = rows(app)["gpt-oss 120B"]["tokens that fit"]
    assert reserved == f"{24 * 10**9 // (16 * 73_728) * 16:,}"
    plan = Deployment(CATALOGUE["gpt-oss-120b"].shape, BF16, 32_768, 1, 24 * 10**9)
    assert ideal == f"{plan.tokens:,}" and ideal != reserved


def test_models_are_chosen_and_all_can_go() -> None:
    app = page(section="models")
    app.multiselect(key="cache_models_names").set_value(["gemma-3-27b", "palm-540b"]).run()
    assert list(rows(fine(app))) == ["Gemma 3 27B", "PaLM 540B"]
    assert app.query_params["models_names"] == "gemma-3-27b.palm-540b"
    app.multiselect(key="cache_models_names").set_value([]).run()
    assert "Choose a model" in fine(app).info[0].value
    app.multiselect(key="cache_models_names").set_value(["dbrx"]).run()
    assert rows(fine(app))["DBRX"]["weights"] == "size not known"
    assert rows(app)["DBRX"]["tokens that fit"].startswith("at most ")


def test_a_link_to_a_model_that_is_not_there_is_told_so() -> None:
    app = page(section="models", models_names="gemma-3-27b.gpt-7")
    assert "not in the catalogue" in app.info[0].value and list(rows(app)) == ["Gemma 3 27B"]


def test_a_number_of_parameters_can_be_typed() -> None:
    app = page(section="models", models_names="dbrx")
    app.session_state["cache_parameters"] = True
    app.run()
    app.number_input(key="cache_size_dbrx").set_value(132.0).run()
    assert rows(fine(app))["DBRX"]["weights"] == "132 GB" and app.query_params["models_sizes"] == "dbrx:132000"
    app.number_input(key="cache_size_dbrx").set_value(None).run()
    assert rows(fine(app))["DBRX"]["weights"] == "size not known"


def test_sources_and_doubts_are_shown() -> None:
    app = page(section="models", models_names="palm-540b.llama-2-7b.gpt-2-124m")
    app.session_state["cache_sources"] = True
    told = words(app.run())
    assert "**PaLM 540B (not verified)**" in told and "Not verified" in told and "emergentmind.com" in told
    assert "conflict: ctx: 4096 here, 2048" in told and "precision as recalled" in told


def test_a_model_otherwise_follows_its_sliders() -> None:
    app = page(section="models", models_names="llama-3-1-405b.deepseek-v3-671b", models_what="deepseek-v3-671b")
    assert app.selectbox(key="cache_models_what").value == "deepseek-v3-671b"
    assert "512 + 64 = 576 " in words(app)
    app.select_slider(key="cache_models_kv_heads").set_value(16).run()
    app.select_slider(key="cache_models_rank").set_value(128).run()
    assert (app.query_params["models_kv_heads"], app.query_params["models_rank"]) == ("16", "128")
    app.selectbox(key="cache_models_what").set_value("llama-3-1-405b").run()
    assert "half a head wide" in words(fine(app))


def test_a_compressed_cache_has_no_other_form_and_says_so() -> None:
    app = fine(page(section="models", models_names="deepseek-v4-pro"))
    assert "no counterpart of plain heads" in words(app) and "one row for several tokens" in words(app)


def test_what_is_kept_beside_the_cache_is_told() -> None:
    told = words(fine(page(section="models", models_names="deepseek-v3-2-671b.qwen3-next-80b-a3b")))
    assert "128 more values per token per layer, 511.7 MB here" in told
    assert "36 of 48 layers keep nothing that grows" in told


# Your model.


def test_the_form_of_heads_counts_what_it_says() -> None:
    app = fine(page(section="own"))
    for field, value in {"layers": 7, "heads": 12, "kv_heads": 3, "head_dim": 40, "v_head_dim": 24}.items():
        app.number_input(key=f"cache_own_{field}").set_value(value).run()
    assert rows(fine(app))["Your model"]["a token"].startswith(f"{7 * 3 * 64 * 2:,} B (")
    app.number_input(key="cache_own_windowed").set_value(5).run()
    app.number_input(key="cache_own_stateful").set_value(1).run()
    assert rows(fine(app))["Your model"]["of it growing on"] == "384 B"
    app.number_input(key="cache_own_millions").set_value(900).run()
    assert rows(fine(app))["Your model"]["weights"] == "900 MB"
    assert app.query_params["own_kv_heads"] == "3" and app.query_params["own_windowed"] == "5"


def test_the_form_of_mla_takes_its_five_numbers() -> None:
    app = fine(page(section="own", own_way="mla", own_layers="61", own_heads="128"))
    assert rows(app)["Your model"]["a token"] == "70,272 B (68.62 KiB)"
    for field, value in {"latent": 100, "rope": 10, "nope": 20, "value": 30, "queries": 0}.items():
        app.number_input(key=f"cache_own_{field}").set_value(value).run()
    plan = of_mla(61, 128, MLADims(100, 20, 10, 30))
    assert rows(fine(app))["Your model"]["a token"].startswith(f"{bytes_at(plan, 1, BF16):,} B")
    assert "100 + 10 = 110 " in words(app)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"own_kv_heads": "5"}, "N_heads (32) must be a multiple of n_kv_heads (5)."),
        ({"own_windowed": "30", "own_stateful": "3"}, "must be at most the 32 layers"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_the_form_stays(link: dict[str, str], says: str) -> None:
    app = page(section="own", **link)
    assert says in warning(app) and len(app.warning) == 1
    app.number_input(key="cache_own_kv_heads").set_value(4).run()
    app.number_input(key="cache_own_windowed").set_value(3).run()
    assert rows(fine(app))["Your model"]


@pytest.mark.parametrize("name", FILES)
def test_a_pasted_config_is_read(name: str) -> None:
    slug, content = FILES[name]
    app = page(section="own", own_way="config")
    app.text_area(key="cache_own_text").set_value(json.dumps(content)).run()
    size = int(
        CATALOGUE[slug].stated["kv_bytes_at"]["4096"] * 2 / PRECISIONS[CATALOGUE[slug].shape.native].bytes_per_element
    )
    shape = read_spelled(app.query_params["own_shape"])
    assert bytes_at(shape, 4096, BF16) == size
    assert f"Read: {shape.n_layers} layers" in words(fine(app))


def test_the_link_alone_shows_what_was_read() -> None:
    shape = read_config(json.dumps(LLAMA)).shape
    app = fine(page(section="own", own_way="config", own_shape=spell(shape)))
    assert rows(app)["Your model"]["a token"] == "131,072 B (128 KiB)"
    assert "8 × (128 + 128) = 2,048 numbers in 32 layers" in words(app)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_config_is_one_sentence_and_the_last_good_one_stays(name: str) -> None:
    app = page(section="own", own_way="config")
    app.text_area(key="cache_own_text").set_value(json.dumps(LLAMA)).run()
    app.text_area(key="cache_own_text").set_value(json.dumps(WRONG[name][0])).run()
    assert len(app.warning) == 1 and len(warning(app)) < 240 and "\n" not in warning(app)
    assert rows(app)["Your model"]["a token"] == "131,072 B (128 KiB)"
    app.text_area(key="cache_own_text").set_value("").run()
    fine(app)


@pytest.mark.parametrize("name", [name for name, (text, _) in TEXTS.items() if isinstance(text, str) and text])
def test_what_is_no_config_is_one_sentence(name: str) -> None:
    app = page(section="own", own_way="config")
    app.text_area(key="cache_own_text").set_value(TEXTS[name][0]).run()
    assert len(app.warning) == 1 and len(warning(app)) < 240


def test_an_uploaded_config_is_read_and_a_bad_one_refused() -> None:
    app = page(section="own", own_way="config")
    app.file_uploader(key="cache_own_file").set_value(
        ("config.json", json.dumps(LLAMA).encode(), "application/json")
    ).run()
    assert rows(fine(app))["Your model"]["a token"] == "131,072 B (128 KiB)"
    app.file_uploader(key="cache_own_file").set_value(("picture.png", b"\x89PNG\xff\xfe", "image/png")).run()
    assert "no text in UTF-8" in warning(app)
    app.file_uploader(key="cache_own_file").set_value(("big.json", b" " * 5_000_000, "application/json")).run()
    assert "this has 5,000,000 bytes" in warning(app)
    assert rows(app)["Your model"]["a token"] == "131,072 B (128 KiB)"


def test_fields_that_were_not_understood_are_named_and_are_no_markup() -> None:
    app = page(section="own", own_way="config")
    strange = LLAMA | {"kv_cache_[link](http://x.y)<b>": 3}
    app.text_area(key="cache_own_text").set_value(json.dumps(strange)).run()
    told = [caption.value for caption in fine(app).caption if "Not understood" in caption.value]
    assert told and "\\[link\\]\\(http" in told[0] and "\\<b\\>" in told[0]
