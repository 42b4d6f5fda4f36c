"""The comparisons before the large spend: one row each, skipped when finished, taken up when stopped."""

from __future__ import annotations

import json

import pytest
import torch

from training import gates


@pytest.fixture
def command(folder):
    """Runs some gates on a tiny budget; returns the exit status."""

    def call(only: str, tokens: int = 4000) -> int:
        texts = ["--corpus", folder.corpus, "--valid", folder.valid, "--work", folder.work]
        rest = ["--preset", "tiny", "--tokens", tokens, "--only", only, "--device", "cpu", "--threads", 1]
        before = torch.get_num_threads()
        try:
            return gates.main(list(map(str, [*texts, *rest])))
        finally:
            torch.set_num_threads(before)

    return call


def rows(folder) -> list[dict]:
    return json.loads((folder.work / "gates.json").read_text())


def test_each_gate_is_a_row_of_results_and_is_run_once(command, folder, capsys):
    assert command("mha-rope,mha-rope-init") == command("mha-rope,mha-rope-init") == 0
    printed = capsys.readouterr().out
    assert [row["gate"] for row in rows(folder)] == ["mha-rope", "mha-rope-init"]
    assert printed.count("finished before") == 2 and "to mha-rope;" in printed
    assert {"validation_loss", "by_kind", "previous_token", "induction", "tokens_per_cpu_second"} <= rows(folder)[
        0
    ].keys()
    assert rows(folder)[1]["changes"]["embedding_mean"] == 1.0


def test_the_best_mix_is_run_again_on_more_tokens(command, folder):
    command("mha-rope-init,mix-sentences,mla-rope")
    best = min(rows(folder)[:2], key=lambda row: row["mean_over_kinds"])["gate"]
    assert command("best", tokens=6000) == command("best", tokens=6000) == 0
    assert [(row["gate"], row["asked_tokens"]) for row in rows(folder)[3:]] == [(best, 6000)]


def test_unknown_gates_are_refused_and_so_is_a_best_one_of_none(command, capsys):
    assert command("mha-rope,nonsense") == 2 and "no gate is called 'nonsense'" in capsys.readouterr().err
    assert command("best") == 2 and "run the gates first" in capsys.readouterr().err


def test_a_gate_differs_from_the_one_beside_it_in_one_thing():
    for gate in gates.GATES.values():
        if gate.beside:
            other = gates.GATES[gate.beside]
            assert (gate.variant, gate.encoding) == (other.variant, other.encoding)
            assert dict(other.changes).items() <= dict(gate.changes).items()
