"""Converts checkpoints of text encoders and recommenders into ranklet's model file (GGUF)."""
