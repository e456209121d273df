"""OpenLedger's training image: LoRA adapters from Datanet rows, and the small base model of the local platform."""
