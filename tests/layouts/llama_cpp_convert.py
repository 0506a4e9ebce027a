"""llama.cpp's converter, told which pre-tokenizer a vocabulary has: it knows published ones by a hash, and these are seeded.

In: $RANKLET_LLAMA_CPP, $PRE, its own arguments. T5's files get a pooling, which the converter leaves out.
"""
import os
import runpy
import sys
from pathlib import Path

TOOLS = Path(os.environ["RANKLET_LLAMA_CPP"])
sys.path[:0] = [str(TOOLS / "gguf-py"), str(TOOLS), str(TOOLS / "site")]

import conversion.base  # noqa: E402
import conversion.t5  # noqa: E402
import gguf  # noqa: E402

conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: os.environ["PRE"]
plain = conversion.t5.T5EncoderModel.set_gguf_parameters


def with_pooling(self):
    plain(self)
    self.gguf_writer.add_pooling_type(gguf.PoolingType.MEAN)


conversion.t5.T5EncoderModel.set_gguf_parameters = with_pooling
sys.argv[0] = str(TOOLS / "convert_hf_to_gguf.py")
runpy.run_path(sys.argv[0], run_name="__main__")
