"""How the small base model of the local platform is made: texts, tokenizer, pre-training, digest."""
