"""What a visitor could send to do harm, made from a seed: the same cases every time. HEADLIGHT_HOSTILE=10 makes ten times
as many."""
