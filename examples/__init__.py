"""Makes `python3 -m examples.training...` mean this folder, whatever is installed under the name `examples`."""
