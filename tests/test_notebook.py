"""Headlight from a notebook: a fresh interpreter, without the shape checker that the other tests run under."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parent.parent


def _in_a_fresh_interpreter(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_notebook_lines_work_as_printed():
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert "import headlight as hl" in lines
    shown = """
figure = hl.head_map(result, layer=3, head=1)
print(result.tokens.pieces[:3], tuple(result.layers[3].weights.shape), type(figure).__name__)
import sys
print("streamlit" in sys.modules)
"""
    printed = _in_a_fresh_interpreter(lines + shown)
    assert printed.splitlines() == ["('[CLS]', 'The', 'animal') (12, 17, 17) Figure", "False"]


def test_core_alone_loads_neither_plotly_nor_streamlit():
    loaded = _in_a_fresh_interpreter("""
        import sys
        import headlight.core.serving.engine, headlight.core.export.layer, headlight.core.examples
        import headlight.core.analysis.head_scores
        print(sorted(set(sys.modules) & {"streamlit", "plotly", "headlight.viz", "transformers"}))
    """)
    assert loaded == "[]\n"


def test_a_run_computes_no_weights_until_they_are_asked_for():
    traced = _in_a_fresh_interpreter("""
        from headlight import load_model, run
        from headlight.core.attention import Attention
        original = Attention.trace
        Attention.trace = lambda self, *args: print("traced") or original(self, *args)
        result = run(load_model("minilm"), "the street")
        print(len(result.layers), result.nbytes)
        result.layers[2].weights, result.layers[2].scores
    """)
    assert traced.splitlines() == [f"6 {6 * 4 * 4 * 384 * 4}", "traced"]
