"""Distillation: batches equal core, begins with the conversion, resumes to the bit, ships what its card says."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch.nn import functional as F

from headlight import load_model, run
from headlight.core.checkpoints import variant
from headlight.core.errors import TrainingError, UnknownNameError
from headlight.core.surgery import Aligned, WeightedSVD
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.conversions.to_mla import mla_model
from headlight.core.surgery.held_out import Text, held_out
from headlight.core.surgery.whole import convert_model
from training.distill import loop, passes, reading, ship, starts
from training.distill.loop import Run
from training.distill.objectives import attention_outputs, divergence, token_states
from training.distill.reading import Reading
from training.distill.recipes import RECIPES, Recipe, recipe
from training.model import attend
from training.text.prepare import claimed

PASSAGES = held_out().passages[:1]


@pytest.fixture(scope="module")
def teacher():
    return load_model("gqa-rope", "cpu")


@pytest.fixture(scope="module")
def moments(teacher):
    return second_moments(teacher, PASSAGES)


def some_ids(model, rows=3, length=11, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(5, model.tokenizer.size, (rows, length), generator=chance)


def tiny(start, **changes) -> Recipe:
    own = {"peak": 1e-3, "length": 11, "together": 3, "layer_steps": 2, "warmup": 2}
    return Recipe("gqa-rope", "mqa", "aligned merging", start, "distributions", **own | changes)


def a_run(teacher, moments, work, start=None) -> Run:
    start = start or starts.fewer_heads(1, rank=6)
    batches = tuple(some_ids(teacher, seed=i) for i in range(20))
    return Run(tiny(start), teacher, start(teacher, moments), Reading(batches, "a text", "0" * 64, 0), work)


@pytest.mark.parametrize("name", ["gqa-rope", "mla-rope", "mha-sinusoidal", "minilm"])
def test_a_batch_is_what_core_makes_of_each_text(name):
    model = load_model(name, "cpu")
    ids = some_ids(model)
    found = passes.hidden(model, ids, model.layers)
    for row, states in zip(ids, found, strict=True):
        tokens = replace(model.tokenizer.encode("a b"), ids=tuple(row.tolist()))
        torch.testing.assert_close(states, run(model, tokens, layers=[]).hidden, rtol=1e-4, atol=1e-4)


def test_what_attention_layers_read_and_give_is_the_models_own(teacher):
    ids = some_ids(teacher)
    for (h, out), layer in zip(passes.attention_layers(teacher, ids), teacher.layers, strict=True):
        torch.testing.assert_close(attend(h, layer, teacher.attention, teacher.position), out)


def test_the_divergence_and_its_gradient_are_those_of_torch():
    wide = {"dtype": torch.float64, "generator": torch.Generator().manual_seed(3)}
    ours, theirs, head = (torch.randn(*shape, **wide) for shape in ((301, 7), (301, 7), (23, 7)))
    ours.requires_grad_()
    expected = F.kl_div(F.log_softmax(ours @ head.T, -1), F.log_softmax(theirs @ head.T, -1), log_target=True,
                        reduction="batchmean")  # fmt: skip
    found = divergence(ours, theirs, head)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found * 3, ours), torch.autograd.grad(expected * 3, ours)
    )  # fmt: skip


def test_nothing_is_lost_against_oneself(teacher):
    ids = some_ids(teacher)
    for objective in (token_states, attention_outputs):
        assert float(objective(teacher, list(teacher.layers), teacher, ids)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rank", [0, 6])
def test_a_start_of_fewer_heads_is_aligned_merging(teacher, moments, rank):
    start = starts.fewer_heads(1, rank)(teacher, moments)
    expected = convert_model(teacher, Aligned(), 1, moments)
    assert start.attention == expected.attention and start.position is None
    same_layers(start, expected, teacher)


def test_a_start_of_mla_is_the_model_as_mla(teacher, moments):
    start = starts.mla(40, 16, 6)(teacher, moments)
    expected = mla_model(teacher, moments, 40, 16)
    assert (start.attention, start.position) == (expected.attention, expected.position)
    same_layers(start, expected, teacher)


def test_a_start_of_a_latent_is_weighted_svd(teacher, moments):
    start = starts.latent(40)(teacher, moments)
    same_layers(start, convert_model(teacher, WeightedSVD(), 40, moments), teacher)


def same_layers(start, expected, teacher):
    for ours, theirs in zip(loop.params_of(start.tensors, teacher), expected.layers, strict=True):
        for name in expected.attention.shapes():
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def test_a_run_that_was_stopped_goes_on_to_the_very_losses(teacher, moments, tmp_path):
    it = a_run(teacher, moments, tmp_path)
    whole = loop.begin(it)
    list(loop.train(it, whole, tmp_path / "whole.pt", 4, 3))
    part = loop.begin(it)
    list(islice(loop.train(it, part, tmp_path / "part.pt", 4, 3), 3))
    loop.save(it, part, tmp_path / "part.pt")
    again = loop.resume(it, tmp_path / "part.pt")
    list(loop.train(it, again, tmp_path / "part.pt", 4, 3))
    assert again.losses == whole.losses and again.tokens == whole.tokens == 7 * 33
    assert all(torch.equal(t, whole.tensors[name]) for name, t in again.tensors.items())


def test_a_decay_leaves_the_constant_phase_as_it_was(teacher, moments, tmp_path):
    it = a_run(teacher, moments, tmp_path)
    state = loop.begin(it)
    list(loop.train(it, state, tmp_path / "constant.pt", 3))
    before = {name: t.detach().clone() for name, t in state.tensors.items()}
    copied = loop.branch(state)
    list(loop.train(it, copied, tmp_path / "decay.pt", 3, 2))
    assert (state.step, copied.step) == (3, 5)
    assert all(torch.equal(t, before[name]) for name, t in state.tensors.items())
    list(loop.train(it, state, tmp_path / "constant.pt", 5))
    straight = loop.begin(it)
    list(loop.train(it, straight, tmp_path / "straight.pt", 5))
    assert straight.losses == state.losses


def test_the_distributions_come_nearer(teacher, moments, tmp_path):
    it = a_run(teacher, moments, tmp_path)
    it = replace(it, reading=replace(it.reading, batches=it.reading.batches[:1]))
    state = loop.begin(it)
    list(loop.train(it, state, tmp_path / "state.pt", 12))
    assert state.losses[-1] < state.losses[2]
    assert len(list((tmp_path / "gqa-rope-states").iterdir())) == 1  # the original's states are made once


def test_rates_warm_up_twice_stay_and_fall():
    it = tiny(None, layer_steps=4, warmup=2, peak=1.0, layer_peak=3.0)
    assert [loop.rate(it, step, 8, 4) for step in range(12)] == [
        1.5,
        3,
        3,
        3,
        0.5,
        1,
        1,
        1,
        0.75,
        0.5,
        0.25,
        loop.FLOOR,
    ]


def test_another_corpus_or_recipe_is_not_gone_on_with(teacher, moments, tmp_path):
    it = a_run(teacher, moments, tmp_path)
    loop.save(it, loop.begin(it), tmp_path / "state.pt")
    for other in (
        replace(it, recipe=replace(it.recipe, peak=2.0)),
        replace(it, reading=replace(it.reading, sha256="1")),
    ):
        with pytest.raises(TrainingError, match="is of another run"):
            loop.resume(other, tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="is damaged"):
        loop.resume(it, tmp_path / "state.pt")


def test_a_loss_that_is_no_number_ends_it(teacher, moments, tmp_path):
    it = a_run(teacher, moments, tmp_path)
    state = loop.begin(it)
    with torch.no_grad():
        state.tensors["layers.0.k_proj.weight"].fill_(float("nan"))
    with pytest.raises(TrainingError, match="gqa-rope-mqa: the loss is nan at step 0"):
        next(loop.train(it, state, tmp_path / "state.pt", 3))


def test_text_that_is_held_out_is_not_read(tmp_path, teacher, monkeypatch):
    lines = [" ".join(f"{i}x{j}" for j in range(12)) for i in range(60)]
    held = Text("a", "b", 1900, "c", "d", (lines[31].lower(),))
    monkeypatch.setattr(reading, "held_out", lambda: held)
    monkeypatch.setattr(reading, "CHUNK", 200)
    (tmp_path / "corpus.txt").write_text("\n".join(lines[:30]) + "\n<|endoftext|>\n" + "\n".join(lines[30:]), "utf-8")
    rows = reading.rows(teacher, tmp_path / "corpus.txt", 20, 2, 100)
    again = reading.rows(teacher, tmp_path / "corpus.txt", 20, 2, 100)
    assert rows.dropped == 1 and rows.fingerprint == again.fingerprint
    texts = [teacher.tokenizer.decode(row.tolist()) for batch in rows.batches for row in batch]
    assert texts and not any("31x" in text for text in texts)
    assert torch.equal(rows.batch(0), rows.batch(len(rows.batches)))


def test_sentences_of_a_batch_are_equally_long_and_whole(tmp_path):
    model = load_model("minilm", "cpu")
    lines = [" ".join(f"Fox {i} ran {'far ' * (i % 5)}away." for i in range(j, j + 9)) for j in range(60)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines), "utf-8")
    found = reading.sentences(model, tmp_path / "corpus.txt", 32, 64, 5)
    start, end = model.tokenizer.encode("a").ids[0], model.tokenizer.encode("a").ids[-1]
    assert len(found.batches) == 5
    for batch in found.batches:
        assert batch.numel() >= 64 and set(batch[:, 0].tolist()) == {start} and set(batch[:, -1].tolist()) == {end}


def test_a_corpus_without_a_batch_is_refused(tmp_path, teacher):
    (tmp_path / "corpus.txt").write_text("Too short.", "utf-8")
    with pytest.raises(TrainingError, match="too small: it gives not one batch"):
        reading.rows(teacher, tmp_path / "corpus.txt", 20, 2, 3)


@pytest.fixture
def short_texts(monkeypatch):
    text = replace(held_out(), passages=("Once upon a time there was a fox.",))
    monkeypatch.setattr(ship, "TEXTS", {"held-out": lambda: text, "held-out news": lambda: text})


@pytest.mark.parametrize("start", [starts.fewer_heads(1, rank=6), starts.mla(40, 16, 6)], ids=["mqa", "mla"])
def test_what_is_shipped_is_loaded_as_it_was_measured(teacher, moments, tmp_path, short_texts, start):
    it = a_run(teacher, moments, tmp_path / "work", start)
    state = loop.begin(it)
    list(loop.train(it, state, tmp_path / "work" / "state.pt", 2, 2))
    for _ in range(2):  # a later round takes the place of an earlier one
        card = ship.ship(it, state, 2, "python -m training.distill", tmp_path / "out")
    folder = tmp_path / "out" / "gqa-rope-mqa"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gqa-rope-mqa"]
    assert json.loads((folder / "card.json").read_text("utf-8")) == json.loads(json.dumps(card))
    loaded = variant.load(folder, teacher)
    assert loaded.attention == it.start.attention and loaded.position == (it.start.position or teacher.position)
    for ours, theirs in zip(loaded.layers, loop.params_of(state.tensors, teacher), strict=True):
        for name in loaded.attention.shapes():
            torch.testing.assert_close(ours[name], theirs[name], rtol=2e-3, atol=2e-3)
        assert ours["up_proj.weight"].data_ptr() == theirs["up_proj.weight"].data_ptr()
    assert card["tokens"] == 4 * 33 and set(card["healed"]) == {"held-out", "held-out news"}
    assert card["converted"] == ship.converted(it) and card["as_trained"]["held-out"] > 1


def test_the_command_goes_from_a_text_to_a_folder_and_does_no_round_twice(
    tmp_path, teacher, short_texts, monkeypatch, capsys
):
    from training.distill import __main__ as command

    monkeypatch.setitem(RECIPES, "gqa-rope-mqa", tiny(starts.fewer_heads(1, rank=6)))
    monkeypatch.setattr(command, "calibration", lambda: replace(held_out(), passages=PASSAGES))
    (tmp_path / "corpus.txt").write_text(
        "\n".join(f"The fox number {i} ran and ran away." for i in range(900)), "utf-8"
    )
    asked = ["--model", "gqa-rope", "--variant", "mqa", "--corpus", str(tmp_path / "corpus.txt"), "--work",
             str(tmp_path / "work"), "--output", str(tmp_path / "out"), "--constant", "3", "--decay", "2"]  # fmt: skip
    assert command.main(asked) == 0
    assert variant.read_card(tmp_path / "out" / "gqa-rope-mqa")["steps"] == 5
    assert command.main(asked) == 0 and "finished before" in capsys.readouterr().out
    asked[-3] = "4"
    assert command.main(asked) == 2 and "add --resume" in capsys.readouterr().err
    assert command.main([*asked, "--resume"]) == 0
    assert variant.read_card(tmp_path / "out" / "gqa-rope-mqa")["steps"] == 6
    with claimed(tmp_path / "work" / "gqa-rope-mqa.lock"):
        asked[-3] = "5"
        assert command.main([*asked, "--resume"]) == 2 and "another process" in capsys.readouterr().err


def test_a_recipe_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match=r"smollm2-gqa.*minilm-latent"):
        recipe("smollm2", "gqa")
