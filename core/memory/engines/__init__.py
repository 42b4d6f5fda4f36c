"""What inference engines reserve for a cache, by their published rules; per GPU; and the answer to a deployment's question."""
