"""HTTP: parse, authorise, generate, write OpenAI-shaped replies."""
