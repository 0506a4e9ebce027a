"""Every architecture in its published sizes, with seeded weights: the library's token states beside those of transformers' own class
in float64 and in float32.

    bash tests/layouts/published.sh [NAME ...]

Sizes are the published configurations'; layers are cut to the number in the table below (all kinds of layers stay), vocabularies to
4,096 rows, which no state depends on. Texts of 1 to 2,048 tokens, in one batch and alone (the same bits), and one at the model's
limit, or at 8,192 tokens where that is less. A line each: the largest difference to float64, as a share of max(1, the largest
state), and PyTorch's own float32's. It ends with 1 where the library is beyond 1e-5, or further off than 1.5 times PyTorch.
"""
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers as t  # noqa: E402
from architectures import spread  # noqa: E402
from jina_v2 import JinaBertConfig, JinaBertModel  # noqa: E402
from weights_converter import engine  # noqa: E402
from weights_converter.checkpoint import read_json  # noqa: E402
from weights_converter.kinds import bert  # noqa: E402
from weights_converter.model import Model  # noqa: E402
from weights_converter.source import Source  # noqa: E402

VOCABULARY, LONGEST = 4096, 8192
LENGTHS = (1, 2, 3, 7, 16, 33, 100, 128, 257, 512, 1000, 2048)
SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)


def bert_sizes(hidden, heads, positions, layers, ff=None, **more):
    return dict(hidden_size=hidden, num_attention_heads=heads, intermediate_size=ff or 4 * hidden, max_position_embeddings=positions,
                num_hidden_layers=layers, **more)


def rope(base):
    return dict(rope_parameters={"rope_type": "default", "rope_theta": base})


ROBERTA = dict(type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)
# name: (class, configuration, settings, the model's limit in tokens)
PUBLISHED = {
    "all-MiniLM-L6-v2": (t.BertModel, t.BertConfig, bert_sizes(384, 12, 512, 6), 512),
    "bge-base-en-v1.5": (t.BertModel, t.BertConfig, bert_sizes(768, 12, 512, 4), 512),
    "distiluse-base-multilingual-cased-v2": (t.DistilBertModel, t.DistilBertConfig, dict(
        dim=768, n_layers=4, n_heads=12, hidden_dim=3072, max_position_embeddings=512), 512),
    "all-distilroberta-v1": (t.RobertaModel, t.RobertaConfig, bert_sizes(768, 12, 514, 4, **ROBERTA), 512),
    "multilingual-e5-base": (t.XLMRobertaModel, t.XLMRobertaConfig, bert_sizes(768, 12, 514, 4, **ROBERTA), 512),
    "bge-m3": (t.XLMRobertaModel, t.XLMRobertaConfig, bert_sizes(1024, 16, 8194, 3, **ROBERTA), 8192),
    "camembert-base": (t.CamembertModel, t.CamembertConfig, bert_sizes(768, 12, 514, 4, **ROBERTA), 512),
    "all-mpnet-base-v2": (t.MPNetModel, t.MPNetConfig, bert_sizes(768, 12, 514, 4, pad_token_id=1), 512),
    "electra-small": (t.ElectraModel, t.ElectraConfig, bert_sizes(256, 4, 512, 6, embedding_size=128), 512),
    "deberta-v3-base": (t.DebertaV2Model, t.DebertaV2Config, bert_sizes(
        768, 12, 512, 4, relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False), 512),
    "nomic-embed-text-v1.5": (t.NomicBertModel, t.NomicBertConfig, bert_sizes(768, 12, 8192, 3, 3072, **rope(1000.0)), 8192),
    "gte-multilingual-base": (t.GteModel, t.GteConfig, bert_sizes(768, 12, 8192, 3, 3072, **rope(20_000.0)), 8192),
    "jina-embeddings-v2-base-en": (JinaBertModel, JinaBertConfig, bert_sizes(768, 12, 8192, 3, 3072), 8192),
    "jina-embeddings-v3": (t.JinaEmbeddingsV3Model, t.JinaEmbeddingsV3Config, bert_sizes(
        1024, 16, 8194, 3, type_vocab_size=1, layer_norm_eps=1e-5, **rope(20_000.0)), 8192),
    "gte-modernbert-base": (t.ModernBertModel, t.ModernBertConfig, bert_sizes(768, 12, 8192, 4, 1152, cls_token_id=1, sep_token_id=2, **SPECIAL),
                            8192),
    "EuroBERT-210m": (t.EuroBertModel, t.EuroBertConfig, bert_sizes(768, 12, 8192, 3, 3072, mask_token_id=3, **rope(250_000.0), **SPECIAL), 8192),
    "Qwen3-Embedding-0.6B": (t.Qwen3Model, t.Qwen3Config, bert_sizes(
        1024, 16, 32768, 3, 3072, num_key_value_heads=8, head_dim=128, rms_norm_eps=1e-6, **rope(1e6), **SPECIAL), 32768),
    "embeddinggemma-300m": (t.Gemma3TextModel, t.Gemma3TextConfig, bert_sizes(
        768, 3, 2048, 6, 1152, num_key_value_heads=1, head_dim=256, sliding_window=512, use_bidirectional_attention=True,
        query_pre_attn_scalar=256, **SPECIAL), 2048),
    "Llama-3.2-1B": (t.LlamaModel, t.LlamaConfig, bert_sizes(2048, 32, 131072, 2, 8192, num_key_value_heads=8, head_dim=64, rms_norm_eps=1e-5,
                     rope_parameters={"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0, "low_freq_factor": 1.0,
                                      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, **SPECIAL), 131072),
    "e5-mistral-7b-instruct": (t.MistralModel, t.MistralConfig, bert_sizes(
        4096, 32, 32768, 1, 14336, num_key_value_heads=8, sliding_window=4096, rms_norm_eps=1e-5, **SPECIAL), 32768),
    "sentence-t5-base": (t.T5EncoderModel, t.T5Config, dict(d_model=768, d_kv=64, d_ff=3072, num_layers=4, num_heads=12, n_positions=512), 512),
}


@torch.no_grad()
def states(model, ids):
    return [model(input_ids=torch.from_numpy(each[None]), attention_mask=torch.ones(1, len(each), dtype=torch.long))
            .last_hidden_state[0].numpy() for each in ids]


def compare(name, program):
    """-> whether the library is as close as it has to be."""
    began = time.time()
    kind, config, settings, limit = PUBLISHED[name]
    torch.manual_seed(20261201)
    model = spread(kind(config(vocab_size=VOCABULARY, **settings)).eval(), kind)
    with tempfile.TemporaryDirectory(prefix="ranklet-published-") as folder:
        folder = Path(folder)
        model.save_pretrained(folder)
        settings = read_json(str(folder / "config.json"))
        source, made = Source(str(folder)), Model("f32", name)
        bert._add_weights(made, source.state, settings, str(folder / "config.json"), bert.check_family(settings, name), None)
        made.write(str(folder / "model.gguf"))
        rng = np.random.default_rng(5)
        lengths = sorted({*(length for length in LENGTHS if length <= limit), min(limit, LONGEST)})
        ids = [rng.integers(4, VOCABULARY, length) for length in lengths]
        numbers = np.concatenate([[len(ids)], lengths, *ids]).astype("<i4")
        numbers.tofile(folder / "ids")
        ran = subprocess.run([program, folder / "model.gguf", folder / "ids", folder / "states", "2"], capture_output=True, text=True,
                             check=False)
        if ran.returncode:
            print(f"{name}: {ran.stderr.strip()}")
            return False
        ours = np.fromfile(folder / "states", "<f4").reshape(sum(lengths), -1)
    single = states(model, ids)
    exact = states(model.double(), ids)
    del model
    gc.collect()
    scale = max(1.0, max(float(np.abs(each).max()) for each in exact))
    found, theirs = [], []
    for length, start, double, float32 in zip(lengths, np.cumsum([0, *lengths]), exact, single):
        found.append(float(np.abs(ours[start:start + length] - double).max()) / scale)
        theirs.append(float(np.abs(float32 - double).max()) / scale)
    good = max(found) <= 1e-5 and max(found) <= 1.5 * max(theirs)
    print(f"| {name} | {len(lengths)} texts, up to {lengths[-1]} tokens | {max(found):.1e} | {max(theirs):.1e} | "
          f"{max(found) / max(theirs):.2f} | {'' if good else 'TOO FAR'} {time.time() - began:.0f} s", flush=True)
    return good


def main():
    t.utils.logging.set_verbosity_error()
    t.utils.logging.disable_progress_bar()
    program = engine.program(lambda text: print(text, file=sys.stderr), str(HERE / "states.cpp"))
    print("| | | the library | PyTorch's float32 | ratio |\n|---|---|---|---|---|")
    return 0 if all([compare(name, program) for name in sys.argv[1:] or PUBLISHED]) else 1


if __name__ == "__main__":
    sys.exit(main())
