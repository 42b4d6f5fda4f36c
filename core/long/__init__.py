"""Attention at thousands of tokens: exact maps of blocks, a reading that can be watched and stopped, and what it shows."""
