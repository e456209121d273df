"""A stock vLLM server on loopback behind the same engine port."""
