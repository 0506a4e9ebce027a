"""JinaBertModel, whose code is on the Hub alone, written from its paper (Guenther et al. 2023): BERT with symmetric ALiBi (Press et al.
2022) in place of positions, and a feed-forward of gates (Shazeer 2020). Parameters have the names of the Hub's files.

In: a configuration. Out: the model, which AutoModel knows by model_type "jina_bert".
"""
import math

import torch
import transformers as t
from torch import nn
from transformers.modeling_outputs import BaseModelOutput


class JinaBertConfig(t.PretrainedConfig):
    model_type = "jina_bert"

    def __init__(self, vocab_size=30528, hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048,
                 max_position_embeddings=8192, type_vocab_size=2, layer_norm_eps=1e-12, feed_forward_type="geglu", hidden_act="gelu",
                 position_embedding_type="alibi", pad_token_id=0, **more):
        super().__init__(pad_token_id=pad_token_id, **more)
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        self.num_attention_heads, self.intermediate_size = num_attention_heads, intermediate_size
        self.max_position_embeddings, self.type_vocab_size, self.layer_norm_eps = max_position_embeddings, type_vocab_size, layer_norm_eps
        self.feed_forward_type, self.hidden_act, self.position_embedding_type = feed_forward_type, hidden_act, position_embedding_type


def slopes(heads):
    """A geometric sequence; where heads are no power of two, beside that of the next lower one every second of twice as many."""
    def of(n):
        return [2 ** (-8 * (i + 1) / n) for i in range(n)]
    lower = 2 ** math.floor(math.log2(heads))
    return torch.tensor(of(lower) + of(2 * lower)[::2][:heads - lower])


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self = nn.ModuleDict({name: nn.Linear(c.hidden_size, c.hidden_size) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict({"dense": nn.Linear(c.hidden_size, c.hidden_size),
                                     "LayerNorm": nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)})
        self.heads = c.num_attention_heads

    def forward(self, x, hidden):
        q, k, v = (self.self[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
        places = torch.arange(x.shape[1])
        away = (places[None] - places[:, None]).abs()
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) - slopes(self.heads).to(x.dtype)[:, None, None] * away
        y = scores.masked_fill(hidden[:, None, None], -math.inf).softmax(-1) @ v
        return self.output["LayerNorm"](self.output["dense"](y.transpose(1, 2).flatten(2)) + x)


class Feed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gated_layers = nn.Linear(c.hidden_size, 2 * c.intermediate_size, bias=False)
        self.wo = nn.Linear(c.intermediate_size, c.hidden_size)
        self.layernorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        self.act = nn.GELU() if c.feed_forward_type == "geglu" else nn.ReLU()

    def forward(self, x):
        gate, up = self.gated_layers(x).chunk(2, -1)
        return self.layernorm(self.wo(self.act(gate) * up) + x)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention, self.mlp = Attention(c), Feed(c)


class JinaBertModel(t.PreTrainedModel):
    config_class = JinaBertConfig

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(config.vocab_size, config.hidden_size),
            "token_type_embeddings": nn.Embedding(config.type_vocab_size, config.hidden_size),
            "LayerNorm": nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)})
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))})
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, **_):
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        hidden = torch.zeros_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask == 0
        x = self.embeddings["LayerNorm"](self.embeddings["word_embeddings"](input_ids) + self.embeddings["token_type_embeddings"](types))
        for layer in self.encoder["layer"]:
            x = layer.mlp(layer.attention(x, hidden))
        return BaseModelOutput(last_hidden_state=x)


t.AutoConfig.register("jina_bert", JinaBertConfig)
t.AutoModel.register(JinaBertConfig, JinaBertModel)
