"""Sentences by template: balanced, cut into tokens where they are meant to be, and scored right on models that are planted."""

from __future__ import annotations

import math

import pytest
import torch

from headlight.core.checkpoints.sibling import FOLDER
from headlight.core.tokenizer import Tokenizer
from training.measures import repeated, templates
from training.measures.templates import SETS, Item, share
from training.text.tokens import START


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(FOLDER / "tokenizer.json")


def planted(tokenizer: Tokenizer, likelier: dict[str, float]):
    """Logits of a model that always says the same: some words with these scores, all others 0."""

    def logits(ids, rows, places):
        found = torch.zeros(len(rows), tokenizer.size)
        for word, score in likelier.items():
            _, token = tokenizer.encode(word).ids  # START is first
            found[..., token] = score
        return found

    return logits


@pytest.mark.parametrize("name", ["agreement", "agreement_across", "reflexives"])
def test_a_model_that_always_says_the_same_is_right_in_half_of_the_items(tokenizer, name) -> None:
    always = planted(tokenizer, {" is": 5, " was": 5, " has": 5, " himself": 5})
    found = share(tokenizer, always, SETS[name]())
    assert (found.accuracy, found.items) == (0.5, templates.ITEMS)
    assert found.standard_error == pytest.approx(math.sqrt(0.25 / templates.ITEMS))


def test_the_noun_between_is_of_the_other_number_in_half_of_the_items() -> None:
    numbers = {form: i for pair in templates._NOUNS for i, form in enumerate(pair)}
    pairs = [
        (numbers[words[1]], numbers[words[4]])
        for item in SETS["agreement_across"]()
        if (words := item.right[0].split())
    ]
    assert sum(subject != between for subject, between in pairs) == templates.ITEMS // 2
    assert sum(subject for subject, _ in pairs) == templates.ITEMS // 2


@pytest.mark.parametrize("name", SETS)
def test_what_comes_next_is_a_token_of_its_own(tokenizer, name) -> None:
    for item in SETS[name]():
        for start, word in (item.right, item.wrong):
            begun, whole = tokenizer.encode(start).ids, tokenizer.encode(start + word).ids
            if not item.holds:
                assert whole[: len(begun)] == begun and len(whole) == len(begun) + 1, start


def test_a_model_that_remembers_the_open_quotation_mark_closes_it_and_one_that_does_not_is_never_right(
    tokenizer,
) -> None:
    _, mark = tokenizer.encode('"').ids
    opened = torch.tensor(['"' in tokenizer.decode([i]) for i in range(tokenizer.size)])

    def remembers(ids, rows, places):
        found = torch.zeros(*ids.shape, tokenizer.size)
        found[..., mark] = opened[ids].cumsum(1) % 2 * 3.0
        return found[rows, places]

    assert share(tokenizer, remembers, SETS["quotes"]()).accuracy == 1
    assert (
        share(tokenizer, planted(tokenizer, {'"': 3.0}), SETS["quotes"]()).accuracy == 0
    )  # equally likely is not likelier


def test_a_word_of_several_tokens_is_as_likely_as_all_of_them_together(tokenizer) -> None:
    items = [Item(("The", " cat"), ("The", " zyzzyva"))]
    assert share(tokenizer, planted(tokenizer, {}), items).accuracy == 1  # one token of all against several


def test_the_second_copy_is_easier_by_what_it_is_easier() -> None:
    rows = torch.arange(1, 23).view(2, 11)

    def losses(inputs, targets):
        assert inputs.shape == targets.shape == (2, 10) and bool((inputs[:, 0] == START).all())
        assert torch.equal(inputs[:, 1:], targets[:, :-1]) and torch.equal(targets[:, :5], targets[:, 5:])
        seen = torch.arange(10).expand(2, -1) >= 5
        return (3.0 - 1.25 * seen).flatten()

    assert repeated.advantage(losses, rows) == pytest.approx(1.25)
