"""The engine of our own: continuous batching over one HF causal LM with stacked adapters."""
