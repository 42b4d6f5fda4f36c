"""Measuring sticks for the siblings: a trigram model, scores of heads, and pronouns."""
