"""Arrays and settings as one raw bytes payload, which Streamlit forwards to a component untouched.

The format is safetensors: 8 bytes of header length, a JSON header, then the raw arrays. shared.js reads it. Where that is
worth the time it comes as the four letters "zlib" and the same deflated (no header is as long as these letters would say).
"""

import json
import zlib
from typing import Any

import numpy as np
from safetensors.numpy import save


def pack(meta: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """Pack JSON-able `meta` and named arrays (uint8 or uint16) into one payload."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(contiguous, metadata={"json": json.dumps(meta)})


def pack_small(meta: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """The same, deflated."""
    return b"zlib" + zlib.compress(pack(meta, **arrays), 6)
