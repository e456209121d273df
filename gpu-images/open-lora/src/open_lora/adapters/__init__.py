"""Adapters on their way in: sources, checks, layout, tiers."""
