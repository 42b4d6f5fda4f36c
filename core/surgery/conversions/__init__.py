"""The conversions, one a file; each is a row of `headlight.core.surgery.methods`."""
