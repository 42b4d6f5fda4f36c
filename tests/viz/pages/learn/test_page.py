"""The Learn page without a browser: every step, its texts, its links, and that its numbers are core's."""

from __future__ import annotations

import re
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from headlight import load_model, run
from headlight.core.checkpoints.sibling import read_card
from headlight.core.decoding import continue_text
from headlight.core.model import Model
from headlight.core.registry import ModelRow
from headlight.viz.pages.learn import looking as learn_looking
from headlight.viz.pages.learn import page as learn
from headlight.viz.pages.learn.choices import SENTENCE, STEPS, Learning, beside
from headlight.viz.pages.table import PAGES
from tests.apptest import fine, opened

Link = tuple[str, str, dict[str, str]]


@pytest.fixture(autouse=True)
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """Links to other pages, recorded: a page link needs the navigation around it, which only a browser test has."""
    asked: list[Link] = []
    monkeypatch.setattr(learn, "open_in", lambda *link: asked.append(link))
    return asked


page = partial(opened, "learn")


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.text, *app.caption, *app.markdown))


@pytest.mark.parametrize("step", STEPS)
def test_every_step_opens_from_its_link_and_leads_on_to_a_full_page(step: str, links: list[Link]) -> None:
    app = fine(page(section=step))
    assert app.segmented_control(key="learn_section").value == step
    ((path, label, link),) = links
    assert path in {row.path for row in PAGES} and label.startswith("Try it: ") and link


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_title_a_text_and_sources(step: str) -> None:
    title, text, sources = learn.words(step)
    assert title and 100 < len(text.split()) < 320
    assert sources and all(re.search(r"(19|20)\d\d.*arXiv \d{4}\.\d{5}", source) for source in sources)


def test_the_whole_story_takes_about_twelve_minutes() -> None:
    count = sum(len(learn.words(step)[1].split()) for step in STEPS)
    assert 8 <= count / 180 <= 12  # words a minute, with time to look at the figures


def test_next_and_back_go_through_all_steps() -> None:
    app, seen = page(section="attention"), []
    for _ in STEPS:
        seen.append(app.query_params["section"])
        if not app.button(key="learn_next").disabled:
            app = fine(app.button(key="learn_next").click().run())
    assert seen == list(STEPS) and app.button(key="learn_next").disabled
    app.button(key="learn_back").click().run()
    assert app.query_params["section"] == beside("gains", -1) == "decoupled"


@pytest.mark.parametrize(("word", "weight"), [("tired", 0.689), ("wide", 0.3)])
def test_it_looks_at_the_animal_less_when_the_street_is_wide(word: str, weight: float, minilm: Model) -> None:
    app = fine(page(word=word))
    result = run(minilm, SENTENCE.format(word), layers=[3])
    tokens = result.tokens.pieces
    expected = float(result.layers[3].weights[1, tokens.index("it"), tokens.index("animal")])
    assert expected == pytest.approx(weight, abs=0.05)
    assert f"“it” looks at “animal”: {expected:.3f}" in said(app)


def test_without_positions_two_orders_are_the_same_and_with_them_they_are_not() -> None:
    rows = fine(page(section="order")).table[0].value
    told = dict(zip(rows.iloc[:, 0], rows.iloc[:, 1], strict=True))
    assert told["None"].startswith("0") and float(told["Sinusoidal"].partition("%")[0]) > 1


def test_moved_together_the_score_stays_and_alone_it_moves() -> None:
    qk = learn_looking.turning()
    score = f"the score is {qk.score(qk.q_pos, qk.k_pos):.4f}"
    app = page(section="rope")
    assert score in said(app)
    assert score in said(fine(app.slider(key="learn_together").set_value(77).run()))
    app.slider(key="learn_alone").set_value(9).run()
    assert score not in said(app)
    assert f"the score is {qk.score(qk.q_pos + 86, qk.k_pos + 77):.4f}" in said(app)


def test_the_written_tokens_and_their_bytes_are_the_decoders() -> None:
    app = fine(page(section="cache", count="5"))
    model = load_model("mha-rope", "cpu")
    steps = list(continue_text(model, "Once upon a time", 5))
    assert "Once upon a time" + "".join(step.text for step in steps) in said(app)
    assert f"{steps[-1].cache_nbytes:,} bytes" in said(app)
    assert "524.3 KB a token" in said(app), "Llama 2 7B: 2 * 32 heads * 128 numbers, 32 layers, 2 bytes"


@pytest.mark.parametrize("attention", ["mha", "gqa", "mqa"])
def test_sharing_tells_what_the_card_tells(attention: str) -> None:
    card = read_card(f"{attention}-rope")
    app = fine(page(section="sharing", attention=attention))
    assert f"{card['cached_elements_per_token_and_layer']} values" in said(app)
    assert f"{card['validation_loss']:.3f}" in said(app)


def test_both_ways_of_mla_are_equal_up_to_rounding() -> None:
    found = re.search(r"differ by at most ([\d.e-]+) \(the largest number is ([\d.]+)\)", said(page(section="latent")))
    assert found and 0 < float(found[1]) < 1e-5 < 0.1 < float(found[2])


def test_the_right_order_stays_and_the_wrong_one_moves() -> None:
    found = re.search(
        r"change by ([\d.e-]+) in the right order, ([\d.]+) in the wrong", said(page(section="decoupled"))
    )
    assert found and float(found[1]) < 1e-10 < 0.01 < float(found[2])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", ""])
def test_no_link_breaks_a_step(step: str, value: str) -> None:
    names = ("word", "order", "together", "alone", "layer", "head", "count", "attention", "shift")
    app = page(section=step, **dict.fromkeys(names, value))
    assert not app.exception and not app.error and app.info


def test_without_models_every_step_still_tells_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    from headlight.viz import store

    def missing(name: str, *_: object) -> None:
        raise learn.HeadlightError("this model is not here")

    monkeypatch.setattr(store, "model", missing)
    monkeypatch.setattr(store, "run", missing)
    monkeypatch.setattr(ModelRow, "installed", False)
    for step in STEPS:
        app = page(section=step)
        assert not app.exception and app.warning and len(app.markdown) >= 2


@pytest.mark.parametrize(
    "choices", [Learning(), Learning("rope", together=5, alone=3), Learning("sharing", attention="mqa")]
)
def test_a_link_brings_back_the_choices_it_was_made_of(choices: Learning) -> None:
    assert Learning.parse(choices.link(), Learning()) == (choices, [])
