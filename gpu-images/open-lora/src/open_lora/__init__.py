"""OpenLoRA: one base model, thousands of LoRA adapters, one OpenAI-shaped door."""

__version__ = "0.1.0"
