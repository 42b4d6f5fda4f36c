"""What one GPU keeps of a layer's row: KV heads divided or repeated, latents on every GPU, and the formats rows are kept in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import whole
from headlight.core.memory.precision import PRECISIONS, Precision
from headlight.core.memory.shape import CachePart, CacheShape, Latent, LayerGroup

MAX_GPUS = 4096
BF16 = PRECISIONS["bf16"]
# DeepSeek's fp8 row (FlashMLA README; vLLM's fp8_ds_mla, MLAAttentionSpec.page_size_bytes): 512 fp8 values, four float32 scales
# of 128 each, and the rotated key's 64 in bf16: 512 + 16 + 128. Its indexer keeps 128 fp8 values and a float32 scale: 132.
DEEPSEEK_FP8_ROW, DEEPSEEK_FP8_INDEX = 656, 132


@dataclass(frozen=True)
class Formats:
    """How a cache is kept. values: of V where it is another than the keys'; windows: of layers with a window, where those are
    left at another (vLLM: kv_cache_dtype_skip_layers); deepseek: MLA's rows in DeepSeek's layout where keys are fp8.
    """

    keys: Precision = BF16
    values: Precision | None = None
    windows: Precision | None = None
    deepseek: bool = False

    def row_bytes(self, group: LayerGroup, tp: int = 1) -> Fraction:
        """Bytes that one GPU of `tp` keeps for one row of one layer, block scales counted.

        >>> from headlight.core.memory.shape import Heads
        >>> formats = Formats(PRECISIONS["q8_0"], PRECISIONS["q4_0"])
        >>> float(formats.row_bytes(LayerGroup(32, Heads(8, 128, 128)), tp=4))
        416.0
        >>> float(Formats(PRECISIONS["fp8"], deepseek=True).row_bytes(LayerGroup(61, Latent(512, 64)), tp=8))
        656.0
        """
        if group.row is None:
            return Fraction(0)
        if self.deepseek and group.row == Latent(512, 64) and self.keys.title == "fp8":
            return Fraction(DEEPSEEK_FP8_ROW)
        keys = self.windows if self.windows is not None and group.window is not None else self.keys
        values = keys if keys is self.windows else self.values or keys
        sizes = [
            elements_on_gpu(part, tp) * (values if part.kind == "values" else keys).bytes_per_element
            for part in group.row.parts
        ]
        return sum(sizes, Fraction(0)) + group.indexer * keys.bytes_per_element

    def index_bytes(self, shape: CacheShape) -> Fraction:
        """Bytes a token that an indexer keeps in one layer that has one, on every GPU."""
        if self.deepseek and shape.indexer_dim == 128 and self.keys.title == "fp8":
            return Fraction(DEEPSEEK_FP8_INDEX)
        return shape.indexer_dim * self.keys.bytes_per_element


def elements_on_gpu(part: CachePart, tp: int) -> int:
    """Elements of a part that one GPU of `tp` keeps: whole heads, repeated where there are fewer heads than GPUs; what all
    heads share (a latent) is on every GPU. Raises ConfigError where the heads cannot be spread.

    >>> [elements_on_gpu(CachePart("k", "keys", 128, 8), tp) for tp in (1, 4, 8, 16)]
    [1024, 256, 128, 128]
    """
    whole("tp", tp, MAX_GPUS)
    if part.heads is None or tp == 1:
        return part.elements
    if part.heads % tp and tp % part.heads:
        raise ConfigError(f"{part.heads} KV heads cannot be spread evenly over {tp} GPUs, nor repeated evenly")
    return part.width * max(1, part.heads // tp)


def stage(shape: CacheShape, pp: int) -> Fraction:
    """The share of the layers that the fullest of `pp` pipeline stages has; raises ConfigError for more stages than layers.

    >>> from headlight.core.memory.shape import of_heads
    >>> stage(of_heads(61, 8, 8, 128), 4)
    Fraction(16, 61)
    """
    whole("pp", pp, shape.n_layers)
    return Fraction(math.ceil(shape.n_layers / pp), shape.n_layers)
