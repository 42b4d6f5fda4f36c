"""Surgery's choices go into a link and come back; what a link asks for in vain is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headlight.core.surgery import Decouple, FreshHeads, JointSVD, MeanPooling, RandomHead, WeightedSVD
from headlight.viz.pages.surgery.choices import SurgeryChoices, nearest

PLAIN = SurgeryChoices(text="a dog")
FULL = SurgeryChoices(
    "the cat", "smollm2", "decoupled", 3, 100, 32, "uniform", True, 7, 4, 2, True, 5, 1
)  # fmt: skip


@pytest.mark.parametrize("choices", [PLAIN, FULL, replace(PLAIN, method="random", seed=3, heads=1, layer=0, head=0)])
def test_what_goes_into_a_link_comes_back(choices):
    assert SurgeryChoices.parse(choices.link(), PLAIN) == (choices, [])


def test_a_link_names_text_model_and_method_and_leaves_out_what_is_as_at_first():
    assert PLAIN.link() == {"text": "a dog", "model": "minilm", "method": "weighted"}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("rank", "ten", "rank"), ("rank", "-3", "rank"), ("rank", "9" * 12, "rank"), ("heads", "2.5", "number of KV heads"),
        ("method", "magic", "method"), ("rotary", "5", "number of rotary dimensions"), 
        ("choice", "best", "choice of dimensions"),
        ("seed", "1000", "seed"), ("layer", "x", "layer"), ("whole", "2", "choice of layers"), ("plain", "", "kind of SVD"),
    ],
)  # fmt: skip
def test_what_is_no_such_thing_is_told_and_chosen(name, value, told):
    choices, notes = SurgeryChoices.parse({name: value}, PLAIN)
    assert choices == PLAIN
    assert notes == [f"The link's {told} isn't valid here; using the default."]


def test_the_numbers_of_another_model_are_not_taken_along():
    choices, _ = SurgeryChoices.parse({"model": "mha-rope"}, replace(PLAIN, layer=5, head=11, rank=300))
    assert (choices.layer, choices.head, choices.rank, choices.text) == (None, None, None, "a dog")


def test_choices_are_a_conversion_and_a_setting():
    expected = {
        "weighted": (WeightedSVD(), 100), "svd": (JointSVD(), 100), "decoupled": (Decouple(32, "uniform", False), 100),
        "mean": (MeanPooling(), 3), "random": (RandomHead(7), 3), "fresh": (FreshHeads(7), 3),
    }  # fmt: skip
    for method, (conversion, setting) in expected.items():
        choices = replace(FULL, method=method)
        assert (choices.conversion, choices.setting) == (conversion, setting)


def test_the_nearest_setting_is_taken():
    assert nearest((1, 3), 2, 1) == 1 and nearest((1, 3), 99, 1) == 3 and nearest((9,), None, 1) == 9
