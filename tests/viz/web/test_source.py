"""What no file of the app may contain: ways to run what a file or a visitor brings."""

from __future__ import annotations

import ast

from tests.test_rooms import ROOT, TREES, _files, _imports, _name

FILES = [*_files("core"), *_files("viz"), ROOT / "app.py"]
PICKLES = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
CALLS = {"eval", "exec", "torch.load", "compile", "os.system"}


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        assert not {name.partition(".")[0] for name in _imports(path)} & PICKLES, _name(path)


def test_no_text_is_run() -> None:
    for path in FILES:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in CALLS, f"{_name(path)}: {ast.unparse(node.func)}"
                for word in node.keywords:
                    off = isinstance(word.value, ast.Constant) and word.value.value is False
                    assert off or word.arg not in ("trust_remote_code", "shell"), f"{_name(path)}: {word.arg}"
