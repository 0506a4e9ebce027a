"""The offline recipe: makes the demo shop's data, trains the demo's models in PyTorch, saves checkpoints to convert."""
