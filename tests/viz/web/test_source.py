"""What no file of the app may contain: ways to run what a file or a visitor brings."""

from __future__ import annotations

import ast

import pytest

from tests.test_rooms import ROOT, _files, _imports, _name, _tree

FILES = [*_files("core"), *_files("viz"), ROOT / "app.py"]


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_is_unpickled_and_no_text_is_run(path):
    assert not {name.partition(".")[0] for name in _imports(path)} & {
        "pickle",
        "dill",
        "joblib",
        "marshal",
        "shelve",
        "cloudpickle",
    }
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "torch.load", "compile", "os.system"), f"{_name(path)}: {called}"
            for word in node.keywords:
                if word.arg in ("trust_remote_code", "shell"):
                    assert isinstance(word.value, ast.Constant) and word.value.value is False, (
                        f"{_name(path)}: {word.arg}"
                    )
