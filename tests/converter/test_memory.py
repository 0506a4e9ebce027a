"""A conversion takes little memory beside its checkpoint: less than the file's size twice, its mapped pages included, and of
memory of its own less than once. tests/converter/measure_memory.py measures the same of a model of 600 million parameters."""
import sys
import unittest
from pathlib import Path

from helpers import FolderTest
from measure_memory import QWEN3, measure, peaks, write_checkpoint

SMALL = dict(QWEN3, hidden_size=384, num_hidden_layers=8, num_attention_heads=6, num_key_value_heads=3, head_dim=64,
             intermediate_size=1152, vocab_size=100000)


@unittest.skipUnless(Path("/proc/self/status").exists(), "skipped: no /proc to read peaks of memory from")
class Memory(FolderTest):
    def test_a_checkpoint_in_16_bits_is_never_in_memory_twice(self):
        write_checkpoint(self.folder, SMALL, 1000)
        size = (self.folder / "model.safetensors").stat().st_size
        self.assertGreater(size, 100e6)
        imports = "import numpy, weights_converter.__main__, time; time.sleep(0.1)"
        _, before, _ = peaks([sys.executable, "-c", imports])
        for dtype in ("f32", "f16", "bf16"):
            with self.subTest(dtype):
                resident, anonymous, _ = measure(self.folder, dtype)
                self.assertLess(resident, 2 * size)
                self.assertLess(anonymous - before, 0.5 * size)
