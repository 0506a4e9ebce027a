"""Encoders of transformers' own classes, tiny and seeded, with weights of such a spread that an error shows.

In: a name, a vocabulary's size. Out: the model. A real configuration's proportions (windows, fewer key heads, head sizes of their
own) in a width of 24 to 32.
"""
import torch
import transformers as t
from jina_v2 import JinaBertConfig, JinaBertModel

SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=60)
SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)


def _rope(base):
    return dict(rope_parameters={"rope_type": "default", "rope_theta": base})


ARCHITECTURES = {
    "roberta": (t.RobertaModel, t.RobertaConfig, dict(type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)),
    "xlm-roberta": (t.XLMRobertaModel, t.XLMRobertaConfig, dict(type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)),
    "camembert": (t.CamembertModel, t.CamembertConfig, dict(type_vocab_size=1, pad_token_id=1)),
    "electra": (t.ElectraModel, t.ElectraConfig, dict(embedding_size=16)),
    "electra-wide": (t.ElectraModel, t.ElectraConfig, dict(embedding_size=24)),
    "mpnet": (t.MPNetModel, t.MPNetConfig, dict(pad_token_id=1)),
    "nomic": (t.NomicBertModel, t.NomicBertConfig, _rope(1000.0)),
    "gte": (t.GteModel, t.GteConfig, {}),
    "jina-v3": (t.JinaEmbeddingsV3Model, t.JinaEmbeddingsV3Config, dict(type_vocab_size=1)),
    "modernbert": (t.ModernBertModel, t.ModernBertConfig, dict(num_hidden_layers=4, local_attention=8, cls_token_id=1, sep_token_id=2, **SPECIAL)),
    "eurobert": (t.EuroBertModel, t.EuroBertConfig, dict(mask_token_id=3, **SPECIAL)),
    "qwen3": (t.Qwen3Model, t.Qwen3Config, dict(num_attention_heads=4, num_key_value_heads=2, head_dim=8, **SPECIAL)),
    "llama": (t.LlamaModel, t.LlamaConfig, dict(num_key_value_heads=1, **SPECIAL)),
    "llama3": (t.LlamaModel, t.LlamaConfig, dict(num_key_value_heads=3, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}, **SPECIAL)),
    "mistral": (t.MistralModel, t.MistralConfig, dict(num_key_value_heads=1, sliding_window=5, **SPECIAL)),
    "gemma3": (t.Gemma3TextModel, t.Gemma3TextConfig, dict(num_hidden_layers=7, num_key_value_heads=1, head_dim=16, sliding_window=8,
                                                          use_bidirectional_attention=True, query_pre_attn_scalar=20, **SPECIAL)),
    "deberta": (t.DebertaV2Model, t.DebertaV2Config, dict(relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm",
                                                         share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False)),
    "deberta-plain": (t.DebertaV2Model, t.DebertaV2Config, dict(relative_attention=True, max_relative_positions=20, pos_att_type="p2c",
                                                                type_vocab_size=2, position_buckets=-1)),
    "deberta-of-queries": (t.DebertaV2Model, t.DebertaV2Config, dict(relative_attention=True, pos_att_type="c2p", position_buckets=6,
                                                                     position_biased_input=False)),
    "jina-v2": (JinaBertModel, JinaBertConfig, dict(num_attention_heads=3)),
    "t5": (t.T5EncoderModel, t.T5Config, dict(d_model=24, d_kv=10, d_ff=40, num_layers=2, num_heads=3, n_positions=60)),
    "t5-gated": (t.T5EncoderModel, t.T5Config, dict(d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=3, n_positions=60,
                                                    feed_forward_proj="gated-gelu")),
}


def make(name, vocabulary, seed=20261201, task=None, **settings):
    """The model, in evaluation. task: "SequenceClassification" or "TokenClassification", whose class it is then; settings: more of its
    configuration."""
    model, config, more = ARCHITECTURES[name]
    if task is not None:
        model = getattr(t, model.__name__.removesuffix("Model").removesuffix("Encoder") + f"For{task}")
    more = {**more, **settings}
    sizes = {} if config is t.T5Config else SIZES
    torch.manual_seed(seed)
    return spread(model(config(vocab_size=vocabulary, **{**sizes, **more})).eval(), model)


def spread(made, model):
    """The model with weights whose states differ from text to text, and attention that looks at few tokens. model: its class."""
    with torch.no_grad():
        for key, tensor in made.named_parameters():
            if "embed" in key.lower() or "relative_attention_bias" in key or "shared" in key:
                tensor.normal_(0, 0.7)
            elif tensor.ndim == 2:
                tensor.normal_(0, 1.2 / tensor.shape[1] ** 0.5)
            elif key.endswith("weight"):
                tensor.normal_(0.0 if model.__name__.startswith("Gemma3") else 1.0, 0.2)  # Gemma's norms are of 1 + weight
            else:
                tensor.normal_(0, 0.2)
    return made
