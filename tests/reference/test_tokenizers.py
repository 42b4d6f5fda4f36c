"""Token ids against transformers' tokenizers made from the same files."""

from __future__ import annotations

from itertools import groupby
from unicodedata import category

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from headlight.core.checkpoints import pretrained
from headlight.core.checkpoints.packages import find_file

TEXTS = (
    "The animal didn't cross the street, because it was too tired.",
    "I'll say we've DON'T 'tis o'clock O'Neill's",
    "  two blanks before,   three within, two behind  ",
    "line\n\nline\r\n\ttabbed\u00a0no-break\u3000wide\u200bzero",
    "def f(x: int) -> str:\n    return f'{x!r}' + \"\\n\"  # α ≤ β",
    "漢字とひらがな、한국어, مرحبا بالعالم, שלום, हिन्दी, ไทย",
    "🦊 👩‍👩‍👧 🇫🇷 👍🏽 e\u0301 naïve ﬁ",
    "<|im_start|>user\nhi<|im_end|>",
    "[MASK] ##ing [UNK] <s>",
    "supercalifragilisticexpialidocious-antidisestablishmentarianism",
)
DIGITS = ("In 1905 he wrote 5 papers; 3.14159 + 42 = 45.14159", "a1b23 456  7\n89", "٣٤ ½ Ⅷ x2 x² ①", "0", "  007  ")


@pytest.fixture(scope="module")
def from_gguf() -> PreTrainedTokenizerBase:
    path = find_file(pretrained.SMOLLM2_PACKAGE, ".gguf")
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


@pytest.fixture(scope="module")
def bert() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(find_file(pretrained.MINILM_PACKAGE, "model/model.safetensors").parent)


@pytest.mark.parametrize("text", TEXTS)
def test_smollm2_reads_the_ids_that_transformers_reads(smollm2, from_gguf, text):
    assert list(smollm2.tokenizer.encode(text).ids) == from_gguf(text)["input_ids"]


@pytest.mark.parametrize("text", DIGITS)
def test_smollm2_reads_every_digit_alone(smollm2, from_gguf, text):
    # The file asks for the pre-tokenizer "smollm", which llama.cpp splits at \p{N} before anything else; transformers'
    # reading of GGUF leaves that step out, so it is taken here, and transformers reads the parts.
    groups = groupby(enumerate(text), key=lambda place: place[0] if category(place[1])[0] == "N" else None)
    parts = ["".join(c for _, c in group) for _, group in groups]
    expected = [i for part in parts for i in from_gguf(part)["input_ids"]]
    assert list(smollm2.tokenizer.encode(text).ids) == expected


@pytest.mark.parametrize("text", TEXTS + DIGITS)
def test_minilm_reads_the_ids_that_transformers_reads(minilm, bert, text):
    assert list(minilm.tokenizer.encode(text).ids) == bert(text)["input_ids"]


@pytest.mark.parametrize("text", TEXTS + DIGITS)
def test_smollm2_decodes_what_it_encoded(smollm2, text):
    plain = text.replace("<|im_start|>", "").replace("<|im_end|>", "")
    assert smollm2.tokenizer.decode(list(smollm2.tokenizer.encode(text).ids)) == plain
