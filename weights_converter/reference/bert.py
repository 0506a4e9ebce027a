"""BERT in PyTorch, the reference for the C++ encoder.

In: token ids [batch, length], an optional mask of real tokens. Out: the last layer's states [batch, length, dim].
From Devlin et al. 2019 and Vaswani et al. 2017; parameters carry the names of Hugging Face's `BertModel`, so that its
state dicts load, but nothing here needs the transformers package.
"""
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn


def gelu_tanh(x):
    """Hendrycks and Gimpel's tanh approximation of GELU (Hugging Face: gelu_new, gelu_pytorch_tanh)."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "gelu": F.gelu,  # x * Phi(x) by erf
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_tanh": gelu_tanh,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}

DEFAULTS = dict(
    hidden_act="gelu", layer_norm_eps=1e-12, type_vocab_size=2, hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1, pad_token_id=0, initializer_range=0.02)


def as_config(config):
    """A dict in the shape of config.json (or an object with those attributes) -> an object with every attribute."""
    values = config if isinstance(config, dict) else vars(config)
    return SimpleNamespace(**{**DEFAULTS, **values})


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size)
        self.LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, ids, type_ids=None):
        positions = torch.arange(ids.shape[1], device=ids.device)
        type_ids = torch.zeros_like(ids) if type_ids is None else type_ids
        total = self.word_embeddings(ids) + self.token_type_embeddings(type_ids) + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(total))


class SelfAttention(nn.Module):
    """softmax(Q K^T / sqrt(head size)) V in every head; padded keys get no weight at all."""

    def __init__(self, config):
        super().__init__()
        size = config.hidden_size
        if size % config.num_attention_heads:
            raise ValueError(f"hidden_size {size} is not a multiple of num_attention_heads {config.num_attention_heads}")
        self.heads, self.head_size = config.num_attention_heads, size // config.num_attention_heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, self.head_size).transpose(1, 2)

    def forward(self, x, mask=None):
        scores = self.split(self.query(x)) @ self.split(self.key(x)).transpose(2, 3) / math.sqrt(self.head_size)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        context = self.dropout(torch.softmax(scores, -1)) @ self.split(self.value(x))
        return context.transpose(1, 2).reshape(x.shape)


class ResidualOutput(nn.Module):
    """LayerNorm(residual + dense(x)): `attention.output` and `output` of a layer."""

    def __init__(self, config, into):
        super().__init__()
        self.dense = nn.Linear(into, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x, residual):
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config, config.hidden_size)

    def forward(self, x, mask=None):
        return self.output(self.self(x, mask), x)


class Intermediate(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.hidden_act not in ACTIVATIONS:
            raise ValueError(f"unknown hidden_act {config.hidden_act!r}")
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x):
        return self.activation(self.dense(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config, config.intermediate_size)

    def forward(self, x, mask=None):
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x, mask=None):
        for layer in self.layer:
            x = layer(x, mask)
        return x


class BertModel(nn.Module):
    """config: a dict as config.json holds. No pooler: it is not a text's vector (see `pool`).

    forward(ids [batch, length] int64, mask [batch, length] bool: True at real tokens, None: all are)
    -> token states [batch, length, hidden_size].
    """

    def __init__(self, config):
        super().__init__()
        self.config = config = as_config(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.apply(self.initialise)

    def initialise(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def forward(self, ids, mask=None, type_ids=None):
        return self.encoder(self.embeddings(ids, type_ids), mask)


def pool(states, modes, mask=None):
    """Token states [batch, length, dim] -> [batch, dim * len(modes)]: sentence-transformers' pooling modes over all
    real tokens, special ones included, concatenated in the order given."""
    modes = [modes] if isinstance(modes, str) else modes
    if mask is None:
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    weights = mask.to(states.dtype)[:, :, None]
    lengths = weights.sum(1)
    outputs = []
    for mode in modes:
        if mode == "cls":
            outputs.append(states[:, 0])
        elif mode == "mean":
            outputs.append((states * weights).sum(1) / lengths)
        elif mode == "mean_sqrt_len":
            outputs.append((states * weights).sum(1) / lengths.sqrt())
        elif mode == "max":
            outputs.append(states.masked_fill(~mask[:, :, None], -math.inf).max(1).values)
        elif mode == "weighted_mean":
            ramp = weights * torch.arange(1, states.shape[1] + 1, dtype=states.dtype, device=states.device)[:, None]
            outputs.append((states * ramp).sum(1) / ramp.sum(1))
        elif mode == "last":
            rows = torch.arange(states.shape[0], device=states.device)
            outputs.append(states[rows, mask.sum(1) - 1])
        else:
            raise ValueError(f"unknown pooling mode {mode!r}")
    return torch.cat(outputs, -1)


def normalise(vectors):
    """Rows of length 1 (sentence-transformers' Normalize: x / max(|x|, 1e-12))."""
    return F.normalize(vectors, dim=-1)


class TextEncoder(nn.Module):
    """`bert` and the modules after it: texts' token ids -> vectors.

    dense: (weight [out, in], bias [out] or None, activation name) of each Dense, in order.
    """

    def __init__(self, config, pooling=("mean",), normalize=False, dense=()):
        super().__init__()
        self.bert = BertModel(config)
        self.pooling = [pooling] if isinstance(pooling, str) else list(pooling)
        self.normalize = normalize
        self.dense = list(dense)

    def forward(self, ids, mask=None):
        vectors = pool(self.bert(ids, mask), self.pooling, mask)
        for weight, bias, activation in self.dense:
            vectors = ACTIVATIONS[activation](F.linear(vectors, weight, bias))
        return normalise(vectors) if self.normalize else vectors
