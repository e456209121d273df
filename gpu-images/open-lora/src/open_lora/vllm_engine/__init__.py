"""A stock vLLM server on loopback behind the engine port: the engine for production GPUs."""
