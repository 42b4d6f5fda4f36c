"""Names on the Hugging Face Hub, without a network: what was downloaded before is used, what is too large never comes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from headlight import load_model, run
from headlight.core.errors import MissingModelError, UnsupportedModelError
from headlight.core.hub.source import locate
from tests.hub.checkpoints import READ, TEXT, write

REVISION = "0" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of downloads."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def downloaded(hub: Path, name: str) -> Path:
    """A folder where huggingface_hub keeps the files of a model."""
    place = hub / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(REVISION)
    return place / "snapshots" / REVISION


def test_a_model_that_was_downloaded_before_needs_no_network(hub: Path) -> None:
    folder = downloaded(hub, "somebody/tiny")
    write(folder, READ["gpt2, scale by layer"]())
    model = load_model("somebody/tiny", "cpu")
    assert model.title == "tiny"
    assert run(model, TEXT).layers[1].n_heads == 6
    assert locate(f"somebody/tiny@{REVISION}") == folder


def test_half_a_download_is_not_used(hub: Path) -> None:
    folder = downloaded(hub, "somebody/half")
    write(folder, READ["bert"]())
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingModelError, match="is there a network"):
        locate("somebody/half")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"model.safetensors": 10**11}, "100.0 GB of weights; 8.0 GB are the limit"),
        ({"pytorch_model.bin": 10}, "no safetensors weights"),
    ],
)
def test_what_would_be_refused_is_not_downloaded(
    hub: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, int], words: str
) -> None:
    def told(self: HfApi, name: str, **more: object) -> SimpleNamespace:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n, size=s) for n, s in files.items()])

    def download(name: str, local_files_only: bool = False, **more: object) -> str:
        assert local_files_only, "it was downloaded"
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr(HfApi, "model_info", told)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(UnsupportedModelError, match=words):
        locate("somebody/something")
