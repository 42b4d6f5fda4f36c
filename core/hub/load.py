"""Any text model that `transformers` runs, with our attention inside; checked against its own eager attention at load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headlight.core.checkpoints.folder import Config
from headlight.core.errors import (
    CheckpointError,
    HeadlightError,
    InputError,
    MissingModelError,
    UnsupportedModelError,
)
from headlight.core.hub import files as checks
from headlight.core.hub import source, tap
from headlight.core.hub.captured_call import CapturedCall, CapturedLayer
from headlight.core.overload import Check, go_on, short_of_memory
from headlight.core.tokenizer import Tokenizer
from headlight.core.types import Run, Tokens, Traces

Progress = Callable[[float, str], None]
Carrier = Any  # a model of transformers, whose methods torch's types do not know

_PROBE = 16  # tokens of the text that a new model is checked on
_AGREES = 5e-4  # how far our weights may be from the model's own on it: rounding through many layers in float32


@dataclass(frozen=True, eq=False)
class HubModel:
    """A model carried by `transformers`: what pages and `core.run` ask of a `core.model.Model`, without its parameters.

    n_layers counts the layers with attention (a hybrid model has others beside them); n_heads: query heads.
    """

    name: str
    title: str
    about: str
    context: int
    tokenizer: Tokenizer
    n_layers: int
    n_heads: int
    causal: bool
    module: Carrier
    attentions: tuple[nn.Module, ...]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.module.device  # type: ignore[no-any-return]

    def read(self, tokens: Tokens, layers: Sequence[int], check: Check = go_on) -> Run:
        """One forward pass; q, k, v of the layers asked for are kept. check: called at each attention, may raise."""
        kept: dict[int, CapturedCall] = {}
        outs: dict[int, Tensor] = {}
        hooks = [self.attentions[layer].register_forward_hook(_keep(outs, layer)) for layer in layers]
        seen: list[nn.Module] = []

        def listen(module: nn.Module, handed: CapturedCall) -> None:
            check()
            if len(seen) in layers:
                kept[len(seen)] = handed
            seen.append(module)

        try:
            with tap.listening(listen):
                hidden = _forward(self.module, torch.tensor(tokens.ids, device=self.device))
        except HeadlightError:
            raise
        except (IndexError, RuntimeError, ValueError) as error:  # as a rule a text longer than its positions
            if short_of_memory(error):
                raise
            raise InputError(f"{self.title} cannot read these {len(tokens)} tokens: {error}") from error
        finally:
            for hook in hooks:
                hook.remove()
        traces = Traces({i: (CapturedLayer(kept[i], outs[i]), {}, kept[i].projections) for i in layers})
        return Run(model=self.name, tokens=tokens, layers=traces, hidden=hidden)


def load(
    path_or_id: str, device: torch.device, dtype: torch.dtype = torch.float32, progress: Progress | None = None
) -> HubModel:
    """A checkpoint from a folder or from the Hugging Face Hub ("org/name"), ready to run.

    Only safetensors weights are read and no code of the checkpoint is ever run. Raises MissingModelError,
    CheckpointError (damaged) or UnsupportedModelError (with what is not supported); never a model that is half loaded
    or whose weights differ from what `transformers` computes itself.
    """
    report = progress or (lambda done, what: None)
    report(0.0, "looking for it")
    folder = source.locate(path_or_id)
    report(0.3, "checking its files")
    config = checks.check(folder)
    tokenizer = _tokenizer(folder)
    report(0.4, "loading its weights")
    module = _module(folder, device, dtype)
    report(0.8, "comparing its attention with transformers' own")
    title = folder.name if Path(path_or_id).is_dir() else path_or_id.partition("/")[2]
    model = _complete(path_or_id, title, module, tokenizer, config)
    report(1.0, "ready")
    return model


def _module(folder: Path, device: torch.device, dtype: torch.dtype) -> Carrier:
    try:
        import transformers
    except ImportError as error:
        raise MissingModelError(f"checkpoints of your own need the optional packages: {source.EXTRA}") from error
    tap.register()
    local = {"trust_remote_code": False, "local_files_only": True}
    with _sentences():
        config = transformers.AutoConfig.from_pretrained(folder, **local)
    _check_kind(config)
    with _sentences(), _quiet():
        _check_size(transformers.AutoModel, config)
        module, loading = transformers.AutoModel.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **local
        )
    missing = [name for name in loading["missing_keys"] if "pooler" not in name]
    wrong = [*missing, *(str(entry[0]) for entry in loading.get("mismatched_keys", ()))]
    if wrong:
        raise CheckpointError(f"the files lack {len(wrong)} of the model's tensors, {sorted(wrong)[0]} first")
    if config.is_encoder_decoder:
        module = module.get_encoder()
    return module.eval().requires_grad_(False).to(device)


def _check_kind(config: Any) -> None:
    if not hasattr(config.get_text_config(), "vocab_size"):
        raise UnsupportedModelError(f"a {config.model_type} model reads no text")


def _check_size(auto: Any, config: Any) -> None:
    """The model that the configuration describes, built without memory: too large is refused before it is made."""
    with torch.device("meta"):
        empty = auto.from_config(config)
    elements = sum(t.numel() for t in (*empty.parameters(), *empty.buffers()))
    if elements > 1.1 * checks.max_parameters():
        raise UnsupportedModelError(
            f"config.json describes {elements:,} parameters; {checks.max_parameters():,} are the limit here"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own progress bars and report: the page has a bar, and what matters becomes an error."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _sentences() -> Iterator[None]:
    """What a library raises over somebody's files, as one sentence of ours."""
    try:
        yield
    except HeadlightError:
        raise
    except ImportError as error:
        raise UnsupportedModelError(f"transformers needs one more package for it: {_first_line(error)}") from error
    except Exception as error:  # anything can come of somebody's files
        if "trust_remote_code" in str(error) or "does not recognize this architecture" in str(error):
            raise UnsupportedModelError(
                "its architecture is not part of transformers; code that comes with a checkpoint is never run"
            ) from error
        raise CheckpointError(f"transformers cannot load it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.exists():
        raise UnsupportedModelError("it has no tokenizer.json, the form of tokenizer that Headlight reads")
    if path.stat().st_size > checks.MAX_TOKENIZER_BYTES:
        raise CheckpointError(
            f"tokenizer.json has {path.stat().st_size:,} bytes; {checks.MAX_TOKENIZER_BYTES:,} are the limit"
        )
    return Tokenizer.from_file(path)


def _complete(name: str, title: str, module: Carrier, tokenizer: Tokenizer, config: Config) -> HubModel:
    text = module.config.get_text_config()
    rows = module.get_input_embeddings().weight.shape[0]
    if tokenizer.size > rows:
        raise CheckpointError(f"the tokenizer has {tokenizer.size:,} entries, the model {rows:,} token vectors")
    context = _context(text)
    ids = (
        torch.linspace(0, min(rows, tokenizer.size) - 1, min(_PROBE, context))
        .long()
        .to(next(module.parameters()).device)
    )
    calls = _compare(module, ids)
    handed = [call[1] for call in calls]
    heads = {len(h.q) for h in handed}
    if len(heads) > 1:
        raise UnsupportedModelError(
            f"its layers have different numbers of heads ({', '.join(map(str, sorted(heads)))})"
        )
    causal = not any(bool(h.allowed().triu(1).any()) for h in handed)
    about = f"{config['model_type']} · {len(calls)} attention layers × {heads.pop()} heads · run by transformers"
    return HubModel(
        name=name, title=title, about=about, context=context, tokenizer=tokenizer, n_layers=len(calls),
        n_heads=len(handed[0].q), causal=causal, module=module, attentions=tuple(call[0] for call in calls),
    )  # fmt: skip


def _context(config: Any) -> int:
    """Tokens that it reads at most; models without such a number (T5, XLNet) have no positions to run out of."""
    found = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    return next((n for n in found if isinstance(n, int) and n > 0), 32_768)


def _compare(module: Carrier, ids: Tensor) -> list[tuple[nn.Module, CapturedCall]]:
    """A short text both ways: with `transformers`' eager attention and with ours. Differences are refused."""
    with _sentences():
        module.set_attn_implementation("eager")
        theirs, weights = _eager(module, ids)
        module.set_attn_implementation(tap.NAME)
        calls: list[tuple[nn.Module, CapturedCall]] = []
        with tap.listening(lambda layer, handed: calls.append((layer, handed))):
            ours = _forward(module, ids)
    if not calls:
        raise UnsupportedModelError("its attention does not go through transformers' attention interface")
    if not bool(ours.isfinite().all()):
        raise CheckpointError("its weights give numbers that are not finite")
    apart = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))
    if weights and len(weights) != len(calls):
        raise UnsupportedModelError(f"{len(calls)} attentions were seen where transformers reports {len(weights)}")
    for (_, handed), expected in zip(calls, weights, strict=False):
        apart = max(apart, float((handed.weights(slice(None)) - expected).abs().max()))
    if apart > _AGREES:
        raise UnsupportedModelError(
            f"our attention differs by {apart:.2g} from transformers' own, so it does something that is not understood here"
        )
    return calls


@torch.inference_mode()
def _forward(module: Carrier, ids: Tensor) -> Tensor:
    output = module(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], use_cache=False)
    return output.last_hidden_state[0]


@torch.inference_mode()
def _eager(module: Carrier, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
    output = module(
        input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], use_cache=False, output_attentions=True
    )
    found = [weights[0] for weights in getattr(output, "attentions", None) or () if weights is not None]
    return output.last_hidden_state[0], found


def _keep(outs: dict[int, Tensor], layer: int) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: object, output: Tensor | tuple[Any, ...]) -> None:
        outs[layer] = (output if isinstance(output, Tensor) else output[0])[0]

    return hook
