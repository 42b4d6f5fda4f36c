"""Headlight beside other attention viewers, in one run: python -m benchmarks.peers."""
