"""bench:influence: does the score predict retraining, beside its peers, in one run (attribution.md B)."""
