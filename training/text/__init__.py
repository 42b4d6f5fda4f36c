"""Text -> what a model learns from: corpus, tokenizer, packed rows, the work folder."""
