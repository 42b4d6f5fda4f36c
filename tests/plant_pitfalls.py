"""Plants the fifteen pitfalls of attention code, one mistake at a time, and shows which tests catch each. Run by hand:

    python -m tests.plant_pitfalls [--only 3 6] [--all]

Each mistake is an exact replacement in a temporary copy of the working tree, where the tests of attention then run, those
against `transformers` included, to the first failure or, with --all, to the end. Exits with 1 if a mistake is not caught,
if the tests fail with nothing planted, or if a text to replace is not there exactly once.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("headlight", "core", "viz", "tests", "benchmarks", "assets", "pyproject.toml")
# What tests attention, positions, caches and decoding; the tests by the pitfalls' own names only after the others.
LAWS = (
    *(f"attention/test_{name}" for name in ("mla", "identities")),
    *(f"positions/test_{name}" for name in ("absolute_and_biased", "positions")),
    *(f"attention/test_{name}" for name in ("contract", "sliding_window")),
)
LAYERS = ("attention_layers", "gpt2_and_bert_layers", "odd_layers", "sliding_window")
TESTS = (
    *(f"tests/core/{name}.py" for name in LAWS),
    *(f"tests/reference/layers/test_{name}.py" for name in LAYERS),
    *(f"tests/core/{name}.py" for name in ("attention/test_pitfalls", "test_decoding", "test_runs")),
)

BASE, GQA, MLA, MODEL = "core/attention/base.py", "core/attention/gqa.py", "core/attention/mla.py", "core/model.py"
ROPE, SCALING, CACHE = "core/positions/rope.py", "core/positions/scaling.py", "core/cache.py"


@dataclass(frozen=True)
class Mistake:
    """pitfall: its number in the list of fifteen; what: in words; patches: (file, text, what stands there instead)."""

    pitfall: int
    what: str
    patches: tuple[tuple[str, str, str], ...]


def mistake(pitfall: int, what: str, *patches: tuple[str, str, str]) -> Mistake:
    return Mistake(pitfall, what, patches)


ROW = "return Heads(self.n_kv_heads, self.head_dim,"
MASKED = 'scores.masked_fill(~mask, float("-inf")).softmax(-1)'
SEVERAL = "windowed or (self.causal and not square and len(p.q_pos) > 1)"
NORMED = '"c_kv": _latent_norm(c_kv, params, "kv_a_layernorm"),'
READ = 'c_kv, k_rope = cache.tensors["c_kv"], cache.tensors["k_rope"]\n        '
READ_AND_NORM = READ + 'c_kv = _latent_norm(c_kv, params, "kv_a_layernorm")\n        '
NO_NORM = (MLA, NORMED, '"c_kv": c_kv,')
SPLIT_UP = "up.split([self.qk_nope_head_dim, self.v_head_dim], dim="
KINDS_UP = "up.split([self.n_heads * self.qk_nope_head_dim, self.n_heads * self.v_head_dim], dim="

MISTAKES = (
    mistake(1, "KV heads tiled (0, 1, 0, 1)", (
        BASE, "t.repeat_interleave(self.n_heads // t.shape[0], dim=0)", "t.repeat(self.n_heads // t.shape[0], 1, 1)",
    )),
    mistake(2, "several new tokens masked from the top left", (BASE, SEVERAL, "windowed")),
    mistake(2, "one new token sees key 0 alone",
        (BASE, SEVERAL, "windowed"), (BASE, " and len(p.q_pos) > 1", ""),
    ),
    mistake(3, "MLA's scale without the rotary part", (
        MLA, "    def shapes(self)",
        "    @property\n    def scale(self) -> float:\n        return self.qk_nope_head_dim**-0.5\n\n    def shapes(self)",
    )),
    mistake(3, "no temperature in the softmax", (SCALING, "self._m(self.mscale_all_dim) ** 2 if", "1.0 if")),
    mistake(3, "the temperature not squared", (
        SCALING, "self._m(self.mscale_all_dim) ** 2 if", "self._m(self.mscale_all_dim) if",
    )),
    mistake(4, "the rotated key normed as well", (
        MLA, "position.at_qk(k_rope[None], pos)[0]",
        "position.at_qk(F.rms_norm(k_rope, k_rope.shape[-1:], None, LATENT_EPS)[None], pos)[0]",
    )),
    mistake(4, "the model's eps in the latent's norm", (MLA, "LATENT_EPS = 1e-6", "LATENT_EPS = 1e-5")),
    mistake(5, "cached before the norm, normed at each reading",
        NO_NORM, (MLA, READ + "up = ", READ_AND_NORM + "up = "), (MLA, READ + "k_pos", READ_AND_NORM + "k_pos"),
    ),
    mistake(5, "absorbed before the norm", NO_NORM, (MLA, READ + "up = ", READ_AND_NORM + "up = ")),
    mistake(6, "kv_b_proj split by kind, in both forms",
        (
            MLA, f'.unflatten(-1, (self.n_heads, -1)).transpose(0, 1)\n        k_nope, v = {SPLIT_UP}-1)',
            f"\n        k_nope, v = (t.unflatten(-1, (self.n_heads, -1)).transpose(0, 1) for t in {KINDS_UP}-1))",
        ),
        (
            MLA, f".unflatten(0, (self.n_heads, -1))\n        w_uk, w_uv = {SPLIT_UP}1)",
            f"\n        w_uk, w_uv = (t.unflatten(0, (self.n_heads, -1)) for t in {KINDS_UP}0))",
        ),
    ),
    mistake(6, "q_b_proj split by kind", (
        MLA, "q = q.unflatten(-1, (self.n_heads, self.head_dim)).transpose(0, 1)\n"
        "        q_nope, q_rope = q.split([self.qk_nope_head_dim, self.qk_rope_head_dim], dim=-1)\n        return",
        "sizes = [self.n_heads * self.qk_nope_head_dim, self.n_heads * self.qk_rope_head_dim]\n"
        "        kinds = (t.unflatten(-1, (self.n_heads, -1)) for t in q.split(sizes, dim=-1))\n"
        "        q_nope, q_rope = (t.transpose(0, 1) for t in kinds)\n        return",
    )),
    mistake(7, "half-split and interleaved exchanged", (ROPE, 'if layout == "interleaved":', 'if layout != "interleaved":')),
    mistake(7, "interleaved pairs put out as halves (equal scores, another cache)", (
        ROPE, "torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)",
        "torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)",
    )),
    mistake(8, "keys cut to the width of values, to please the fused kernel", (
        BASE, "        causal = mask is None and self.causal",
        "        q, k, width = p.q, p.k, p.v.shape[-1]\n"
        "        p = type(p)(**(vars(p) | {'q': q[..., :width], 'k': k[..., :width]}))\n"
        "        causal = mask is None and self.causal",
    )),
    mistake(8, "values of another width handed to torch as they are, which then holds the weights", (
        BASE, "F.pad(t, (0, wide - t.shape[-1])) if t.shape[-1] < wide else t", "t",
    )),
    mistake(8, "values padded in front instead of behind", (BASE, "(0, wide - t.shape[-1])", "(wide - t.shape[-1], 0)")),
    mistake(9, "softmax in float32", (BASE, MASKED, MASKED.replace("-1)", "-1, dtype=torch.float32).to(scores.dtype)"))),
    mistake(9, "rotary angles in float32", (
        ROPE, "torch.float64 if dtype == torch.float64 else torch.float32", "torch.float32",
    )),
    mistake(9, "the latent's norm in float32", (
        MLA, "F.rms_norm(x, weight.shape, weight, LATENT_EPS)",
        "F.rms_norm(x.float(), weight.shape, weight.float(), LATENT_EPS).to(x.dtype)",
    )),
    mistake(10, "a window of one token too many", (
        "tests/core/attention/windows.py", "k_pos[None, :] < width", "k_pos[None, :] <= width",
    )),
    mistake(10, "fused attention blind to the window", (
        BASE, "windowed = type(self).allowed is not Attention.allowed", "windowed = False",
    )),
    mistake(10, "latent space blind to the window", (
        MLA, "self.allowed(q_pos, k_pos)", "Attention.allowed(self, q_pos, k_pos)",
    )),
    mistake(11, "a row that may see nothing is NaN", (
        BASE, "weights if bool(mask.any(-1).all()) else weights.nan_to_num(0.0)", "weights",
    )),
    mistake(11, "a row that may see nothing is uniform", (
        BASE, MASKED, "scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)",
    )),
    mistake(12, "a sink takes a share of each row", (
        BASE, MASKED, MASKED.replace("scores.", "F.pad(scores, (0, 1)).").replace("~mask", "~F.pad(mask, (0, 1), value=True)")
        + "[..., :-1]",
    )),
    mistake(13, "attention adds the residual itself", (
        BASE, "return self.trace(self.project(x, params, position, past or KVCache()), params)",
        "trace = self.trace(self.project(x, params, position, past or KVCache()), params)\n"
        "        return type(trace)(**(vars(trace) | {'out': trace.out + x}))",
    )),
    mistake(13, "decoding adds the residual itself", (
        BASE, "return self.fused(self.project(x, params, position, past), params)",
        "return x + self.fused(self.project(x, params, position, past), params)",
    )),
    mistake(13, "the block adds it twice", (MODEL, "x = x + attend(rms_norm(", "x = x + x + attend(rms_norm(")),
    mistake(14, "keys counted, values forgotten", (GQA, f"{ROW} self.head_dim)", f"{ROW} 0)")),
    mistake(14, "a factor 2 on the latent", (
        MLA, "return Latent(self.kv_lora_rank, ", "return Latent(2 * self.kv_lora_rank, ",
    )),
    mistake(14, "head_dim taken for d_model / n_heads", (
        GQA, f"{ROW} self.head_dim)", "return Heads(self.n_kv_heads, *[self.d_model // self.n_heads] * 2)",
    )),
    mistake(15, "a KB of 1,024 bytes counted as 1,000", (
        CACHE, "return sum(t.numel() * t.element_size() for t in tensors.values())",
        "return sum(t.numel() * t.element_size() for t in tensors.values()) * 1000 // 1024",
    )),
)  # fmt: skip


def plant(tree: Path, planted: Mistake) -> None:
    """Writes the mistake into the copy; raises ValueError if a text to replace is not there exactly once."""
    for name, text, instead in planted.patches:
        source = (tree / name).read_text("utf-8")
        if source.count(text) != 1:
            raise ValueError(f"{name} has {source.count(text)} times: {text!r}")
        (tree / name).write_text(source.replace(text, instead), "utf-8")


def failures(tree: Path, to_the_end: bool) -> list[str]:
    """The tests that fail in the copy, in order."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", *TESTS]
    # One thread: the tensors are small, and a wait for a second thread is longer than the work.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command + ([] if to_the_end else ["-x"]),
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    found = re.findall(r"^(?:FAILED|ERROR) (\S+::\S+.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode and not found:
        return [(done.stdout + done.stderr).strip().splitlines()[-1]]
    return found


def tried(planted: Mistake | None, to_the_end: bool) -> list[str]:
    """What fails in a fresh copy of the working tree with the mistake in it."""
    with tempfile.TemporaryDirectory(prefix="headlight-pitfall-") as folder:
        tree = Path(folder)
        for name in NEEDED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, tree / name)
        if planted is not None:
            plant(tree, planted)
        return failures(tree, to_the_end)


def in_words(found: Sequence[str], to_the_end: bool) -> str:
    """One cell of the table."""
    if not found:
        return "NOT CAUGHT"
    files = {name.partition("::")[0] for name in found}
    return (f"{len(found)} tests in {len(files)} files, first " if to_the_end else "") + found[0].removeprefix("tests/")


def main() -> int:
    """Prints the table; 0 if every mistake is caught."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=int, nargs="+", default=range(1, 16), metavar="N", help="pitfalls to plant")
    parser.add_argument("--all", action="store_true", help="run all tests each time and count those that fail")
    options = parser.parse_args()
    found = tried(None, to_the_end=False)
    print(f"    nothing planted: {in_words(found, False) if found else 'all tests pass'}", flush=True)
    escaped = len(found)
    for planted in MISTAKES if not found else ():
        if planted.pitfall in options.only:
            found = tried(planted, options.all)
            escaped += not found
            print(f"{planted.pitfall:3} {planted.what}: {in_words(found, options.all)}", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
