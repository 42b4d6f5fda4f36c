"""Where weights come from; this room imports torch, safetensors and gguf, and nothing of the user interface."""
