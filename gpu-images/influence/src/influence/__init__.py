"""Influence engine: which training rows lowered the loss of this output (attribution.md B)."""
