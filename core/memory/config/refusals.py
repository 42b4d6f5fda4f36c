"""Models that keep no KV cache, or another kind of it, told by their fields: refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from headlight.core.errors import UnsupportedModelError
from headlight.core.memory.config import defaults
from headlight.core.memory.config.fields import HEADS, Fields
from headlight.core.memory.config.layers.lists import NONE, kind_of
from headlight.core.memory.config.layers.own import heads_of

# A field that only models of this kind have -> whose it is.
_ENCODERS: Mapping[str, str] = {
    "sinusoidal_pos_embds": "DistilBERT's",
    "seq_classif_dropout": "DistilBERT's",
    "qa_dropout": "DistilBERT's",
    "classifier_pooling": "ModernBERT's",
    "pos_att_type": "DeBERTa's",
    "is_folding_model": "ESM's",
    "emb_layer_norm_before": "ESM's",
    "masked_lm_token_id": "an encoder's",
    "inner_group_num": "ALBERT's",
    "embedding_size_per_token_type": "an encoder's",
    "num_random_blocks": "BigBird's",
    "lsh_attn_chunk_length": "Reformer's",
}
_RECURRENT = (
    "state_size", "ssm_cfg", "d_state", "attention_hidden_size", "qk_dim_factor", "v_dim_factor", "chunkwise_kernel",
    "decay_low_rank_dim", "a_low_rank_dim", "expand_k", "expand_v", "time_step_rank", "mlstm_round_up_to_multiple_of",
    "slstm_at", "rescale_every", "ssm_state_size", "lru_width",
)  # fmt: skip
MARKS = frozenset({*_ENCODERS, *_RECURRENT})
# What says that some layers attend after all.
_ATTENDING = (
    "layer_types", "layers_block_type", "layer_block_types", "block_types", "_block_types", "hybrid_override_pattern",
    "attn_layer_indices", "attn_layer_idx", "attn_layer_idxs", "attn_layer_period", "hybrid_block_layout", "mixer_types",
    "full_attn_idxs", "hybrid_layer_ids", "mb_per_layer", "num_key_value_heads", "num_kv_heads", "n_kv_heads", "attn",
    "attn_cfg", "full_attention_interval", "attention_layers", "hybrid_attention_layers",
)  # fmt: skip


def refuse_pairs(fields: Fields) -> None:
    """Raises UnsupportedModelError for models of two halves, which say so at the top of the file."""
    if fields.get("is_encoder_decoder") is True:
        raise UnsupportedModelError("this is an encoder-decoder, whose cache of the encoder's text is of another kind")
    if fields.get("logit_scale_init_value") is not None:
        raise UnsupportedModelError(
            "this is a vision model that compares pictures with texts; it generates none and keeps no KV cache"
        )


def refuse_other_kinds(fields: Fields, part: bool) -> None:
    """Raises UnsupportedModelError for encoders, vision models and recurrent models, with what told them apart.

    part: the fields are a part of a larger file.
    """
    refuse_pairs(fields)
    if fields.has("lsh_attn_chunk_length"):
        raise UnsupportedModelError(
            "this is a Reformer (lsh_attn_chunk_length), which hashes its keys; it keeps no KV cache"
        )
    if not fields.has("vocab_size") and fields.has("image_size", "patch_size"):
        raise UnsupportedModelError(
            "this is a vision model, which generates no text token by token and keeps no KV cache"
        )
    _refuse_encoders(fields, part)
    _refuse_recurrent(fields)


def _refuse_encoders(fields: Fields, part: bool) -> None:
    if fields.get("is_decoder") is True:
        return
    if fields.has("type_vocab_size"):
        raise UnsupportedModelError(
            "this is an encoder that reads both ways (it has token types), and keeps no KV cache"
        )
    mark = next((name for name in _ENCODERS if name in fields.values), None)
    if mark is not None:
        raise UnsupportedModelError(
            f"this is an encoder that reads both ways ({mark} is {_ENCODERS[mark]}); it keeps no KV cache"
        )
    both = fields.get("is_causal", "causal", "causal_attention") is False or fields.get("bidirectional") is True
    if both or (
        fields.get("use_bidirectional_attention") is True and not part
    ):  # PaliGemma's text reads pictures both ways
        raise UnsupportedModelError("this is an encoder that reads both ways, so it keeps no KV cache")
    if defaults.no_decoder(fields.values.get("model_type")):
        raise UnsupportedModelError("this is an encoder unless is_decoder says otherwise, and keeps no KV cache")
    if _only_masked(fields.get("architectures")) or defaults.kept(fields.values.get("model_type")) == "encoder":
        raise UnsupportedModelError("this is an encoder, which generates no text token by token and keeps no KV cache")


def _only_masked(architectures: object) -> bool:
    named = architectures if isinstance(architectures, list) else []
    return any(isinstance(name, str) and name.endswith(("ForMaskedLM", "EncoderModel", "ForCTC")) for name in named[:9])


def _attending(value: object) -> bool:
    """Whether what a field holds leaves some layer that attends."""
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return any(kind_of(name) != NONE for name in value)
    return bool(value)


def _refuse_recurrent(fields: Fields) -> None:
    marks = [name for name in _RECURRENT if fields.has(name)]
    named = defaults.kept(fields.values.get("model_type")) == "recurrent"
    attends = fields.has(*HEADS[:3]) or heads_of(fields) is not None
    only = ("attention_hidden_size", "qk_dim_factor", "v_dim_factor", "chunkwise_kernel", "decay_low_rank_dim",
            "a_low_rank_dim", "rescale_every", "mlstm_round_up_to_multiple_of", "slstm_at", "expand_k", "expand_v")  # fmt: skip
    hybrid = any(_attending(fields.values.get(name)) for name in _ATTENDING)
    if named or (marks and not attends and not hybrid) or (any(name in only for name in marks) and not hybrid):
        told = f" ({marks[0]})" if marks else ""
        raise UnsupportedModelError(
            f"this is a state-space or recurrent model{told}, which keeps a constant state, no KV cache"
        )
