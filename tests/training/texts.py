"""A small made-up text, and the command on it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch

from training import run

WORDS = (  # noqa: SIM905
    "the cat dog fox sat ran on mat big red tree and then she he said once upon a time there was who liked jump "
    "little house old king queen river bread bird sang night moon under over never always found lost friend"
).split()


def write_text(path: Path, documents: int = 40, seed: int = 0) -> Path:
    """Documents of twenty made-up sentences, separated as a corpus is."""
    source = random.Random(seed)
    texts = [
        "\n".join(" ".join(source.choices(WORDS, k=8)).capitalize() + "." for _ in range(20)) for _ in range(documents)
    ]
    path.write_text("\n<|endoftext|>\n".join(texts) + "\n<|endoftext|>\n", "utf-8")
    return path


def write_pronouns(folder: Path) -> Path:
    """Eight sentences of each pronoun set, in the layout of theirs."""
    folder.mkdir(exist_ok=True)
    wide = [(first, second, answer) for first, second in (("cook", "guard"), ("nurse", "clerk")) for answer in (0, 1)]
    rows = [(f"The {a} told the {b} that he ran.", (a, b), answer) for a, b, answer in wide * 2]
    gender = [_winogender(text, names, answer) for text, names, answer in rows]
    bias = [
        _winobias(text, names, answer, "dev" if i % 4 < 2 else "test") for i, (text, names, answer) in enumerate(rows)
    ]
    for name, made in (("winogender", gender), ("winobias", bias)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, made)), "utf-8")
    return folder


def _span(text: str, word: str) -> list[int]:
    return [text.index(f"{word} "), text.index(f"{word} ") + len(word)]


def _winogender(text: str, names: tuple[str, str], answer: int) -> dict:
    spans = [_span(text, name) for name in names]
    pronoun = text.index("he ran")
    return {"id": f"{names[0]}.x.{answer}.txt", "text": text, "pronoun_span": [pronoun, pronoun + 2],
            "candidates": names, "candidate_spans": spans, "answer": answer}  # fmt: skip


def _winobias(text: str, names: tuple[str, str], answer: int, split: str) -> dict:
    start, end = _span(text, names[answer])
    pronoun = text.index("he ran")
    return {"text": text, "pronoun_span": [pronoun, pronoun + 2], "antecedent": f"the {names[answer]}",
            "antecedent_span": [start - 4, end], "split": split}  # fmt: skip


class TrainingFolder:
    """A folder with texts and pronoun sets, and the command run on them in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.output = folder, folder / "work", folder / "siblings"
        self.corpus = write_text(folder / "corpus.txt")
        self.valid = write_text(folder / "valid.txt", documents=4, seed=1)
        self.coref = write_pronouns(folder / "coref")

    def arguments(self, *more: str) -> list[str]:
        """The command's arguments for the tiny preset in this folder, on one sibling; `more` overrides."""
        texts = ["--corpus", self.corpus, "--valid", self.valid, "--coref", self.coref]
        places = ["--work", self.work, "--output", self.output]
        return list(map(str, ["--preset", "tiny", "--only", "mha-rope", "--device", "cpu", *texts, *places, *more]))

    def run(self, *more: str) -> int:
        """The command's exit status; on one thread, as other work on the machine makes two wait for each other."""
        before = torch.get_num_threads()
        try:
            return run.main(self.arguments("--threads", "1", *more))
        finally:
            torch.set_num_threads(before)
