"""Checkpoint folders of make_checkpoints.py as the PyTorch reference models of weights_converter/reference.

In: a checkpoint folder (and the type that a model file stores matrices in). Out: modules in eval mode with its weights.
Only the layouts that make_checkpoints.py writes are known here; reading any other is weights_converter's job.
"""
import json
import re
import sys
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).resolve().parent / "onnx")]

from export import read_safetensors  # noqa: E402
from weights_converter.gguf import round_to  # noqa: E402
from weights_converter.reference.bert import BertModel, TextEncoder  # noqa: E402
from weights_converter.reference.recommender import ItemRecommender, RecommendationModel  # noqa: E402

# In the order in which sentence-transformers concatenates them.
POOLING_ORDER = ("cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last")

DISTILBERT_NAMES = {
    "transformer.layer": "encoder.layer", "attention.q_lin": "attention.self.query", "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value", "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm", "ffn.lin1": "intermediate.dense", "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def load_state(folder):
    """A checkpoint's tensors by name, float32."""
    if (folder / "model.pth").exists():
        return torch.load(folder / "model.pth")
    tensors = read_safetensors(folder / "model.safetensors")
    return {name: torch.tensor(array) for name, array in tensors.items()}


def as_stored(state, dtype):
    """The weights after a model file's rounding: matrices but for positions and token types."""
    kept = ("position_embeddings", "token_type_embeddings")
    return {name: value if dtype == "f32" or value.ndim < 2 or any(part in name for part in kept)
            else torch.from_numpy(round_to(value.numpy(), dtype)) for name, value in state.items()}


def bert_config(folder):
    """config.json in BERT's words, DistilBERT's too."""
    config = read_json(folder / "config.json")
    if config["model_type"] == "distilbert":
        config = dict(vocab_size=config["vocab_size"], max_position_embeddings=config["max_position_embeddings"],
                      hidden_size=config["dim"], num_hidden_layers=config["n_layers"], intermediate_size=config["hidden_dim"],
                      num_attention_heads=config["n_heads"], hidden_act=config["activation"], layer_norm_eps=1e-12, type_vocab_size=1)
    return config


def bert_names(state, config):
    """Any of the layouts' names -> BertModel's own, heads and buffers left out; DistilBERT gets a zero token type."""
    marker = "embeddings.word_embeddings.weight"
    prefix = next(name for name in state if name.endswith(marker))[:-len(marker)]
    renamed = {}
    for name, value in state.items():
        if not name.startswith(prefix) or not re.match(r"(embeddings|encoder|transformer)\.", name[len(prefix):]):
            continue
        name = name[len(prefix):].replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if name == "embeddings.position_ids":
            continue
        for old, new in DISTILBERT_NAMES.items():
            name = re.sub(rf"(^|\.){re.escape(old)}\.", rf"\g<1>{new}.", name)
        renamed[name] = value
    if config["type_vocab_size"] == 1:
        renamed["embeddings.token_type_embeddings.weight"] = torch.zeros(1, config["hidden_size"])
    return renamed


def sentence_modules(folder, dtype="f32"):
    """(pooling modes, Dense modules, normalise) of a sentence-transformers folder."""
    flags = read_json(folder / "1_Pooling/config.json")
    keys = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens",
            "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens", "weighted_mean": "pooling_mode_weightedmean_tokens",
            "last": "pooling_mode_lasttoken"}
    dense = []
    modules = read_json(folder / "modules.json")
    for module in modules:
        if module["type"].endswith(".Dense"):
            state = as_stored(load_state(folder / module["path"]), dtype)
            function = read_json(folder / module["path"] / "config.json")["activation_function"].rsplit(".", 1)[1].lower()
            dense.append((state["linear.weight"], state.get("linear.bias"), function))
    return [name for name in POOLING_ORDER if flags[keys[name]]], dense, modules[-1]["type"].endswith(".Normalize")


class ModuleEncoder(torch.nn.Module):
    """Every module of sentence-transformers 6 that is converted, as its files have them: forward(ids, rows that pooling leaves
    out) -> vectors. One text at a time."""

    ACTIVATIONS = {"Tanh": torch.tanh, "GELU": torch.nn.functional.gelu, "Identity": lambda x: x}

    def __init__(self, folder, dtype):
        super().__init__()
        self.bert = BertModel(bert_config(folder))
        self.modules_of, self.parts = [], torch.nn.ModuleList()
        for module in read_json(folder / "modules.json")[1:]:
            kind, inside = module["type"].rsplit(".", 1)[-1], folder / module["path"]
            config = read_json(inside / "config.json")
            part = torch.nn.Module()
            for name, value in (as_stored(load_state(inside), dtype) if (inside / "model.safetensors").exists() else {}).items():
                part.register_parameter(name.replace(".", "_"), torch.nn.Parameter(value))
            self.parts.append(part)
            self.modules_of.append((kind, config))
        self.size = read_json(folder / "config_sentence_transformers.json")["truncate_dim"]

    def forward(self, ids, left_out=0):
        x = self.bert(ids)[0]
        for (kind, config), part in zip(self.modules_of, self.parts):
            if kind == "Pooling":
                weights = torch.arange(left_out + 1, len(x) + 1, dtype=x.dtype)
                modes = {"weightedmean": lambda: weights @ x[left_out:] / weights.sum(), "cls": lambda: x[left_out]}
                x = torch.cat([modes[mode]() for mode in config["pooling_mode"]])
            elif kind == "LayerNorm":
                x = torch.nn.functional.layer_norm(x, x.shape, part.norm_weight, part.norm_bias)
            elif kind == "Normalize":
                x = torch.nn.functional.normalize(x, dim=-1)
            else:
                y = torch.nn.functional.linear(x, part.linear_weight, getattr(part, "linear_bias", None))
                y = self.ACTIVATIONS[config["activation_function"].rsplit(".", 1)[-1]](y)
                if config.get("use_residual"):
                    y = y + (x @ part.residual_weight.T if hasattr(part, "residual_weight") else x)
                x = y
        return x[None, :self.size]


def load_encoder(folder, dtype="f32", pooling=None, normalize=False):
    """A TextEncoder, or a ModuleEncoder; pooling and normalize only where no modules.json states them."""
    config = bert_config(folder)
    if (folder / "modules.json").exists() and any(each["type"].endswith(".LayerNorm") for each in read_json(folder / "modules.json")):
        model = ModuleEncoder(folder, dtype).eval()
        model.bert.load_state_dict(bert_names(as_stored(load_state(folder), dtype), config))
        return model
    dense = ()
    if (folder / "modules.json").exists():
        pooling, dense, normalize = sentence_modules(folder, dtype)
    model = TextEncoder(config, pooling, normalize, dense).eval()
    model.bert.load_state_dict(bert_names(as_stored(load_state(folder), dtype), config))
    return model


class Classifier(torch.nn.Module):
    """The heads of BertForSequenceClassification and its kin: forward(ids, type_ids) -> logits of each text or token."""

    def __init__(self, config, labels, function, of_tokens):
        super().__init__()
        dim = config["hidden_size"]
        self.bert, self.function, self.of_tokens = BertModel(config), function, of_tokens
        self.dense = None if of_tokens else torch.nn.Linear(dim, dim)
        self.classifier = torch.nn.Linear(dim, labels)

    def forward(self, ids, type_ids=None):
        with_types = self.bert.config.type_vocab_size > 1
        states = self.bert(ids, type_ids=type_ids if with_types else None)
        return self.classifier(states if self.of_tokens else self.function(self.dense(states[:, 0])))


def load_classifier(folder, dtype="f32"):
    state, config = as_stored(load_state(folder), dtype), bert_config(folder)
    architecture = read_json(folder / "config.json")["architectures"][0]
    of_tokens, distilbert = "ForToken" in architecture, architecture.startswith("Distil")
    model = Classifier(config, len(state["classifier.weight"]), torch.relu if distilbert else torch.tanh, of_tokens).eval()
    own = {f"bert.{name}": value for name, value in bert_names(state, config).items()}
    for part in ("weight", "bias"):
        own[f"classifier.{part}"] = state[f"classifier.{part}"]
        if not of_tokens:
            own[f"dense.{part}"] = state[f"pre_classifier.{part}" if distilbert else f"bert.pooler.dense.{part}"]
    model.load_state_dict(own)
    return model


def gru_shape(state, prefix):
    """(hidden size, layers, has biases)"""
    return (state[prefix + "weight_hh_l0"].shape[1], sum(name.startswith(prefix + "weight_hh_l") for name in state),
            prefix + "bias_hh_l0" in state)


def load_recommender(folder, dtype="f32"):
    """A RecommendationModel, or an ItemRecommender where there is no config.json."""
    state = as_stored(load_state(folder), dtype)
    if not (folder / "config.json").exists():
        state = {re.sub(r"^fc\.", "s_fc.", name): value for name, value in state.items()}
        items, size = state["s_fc.weight"].shape[0], state["item_embeddings.weight"].shape[1]
        hidden, layers, _ = gru_shape(state, "gru.")
        model = ItemRecommender(items, size, hidden, layers, state["item_embeddings.weight"].shape[0] - items).eval()
    else:
        settings = read_json(folder / "ranklet.json") if (folder / "ranklet.json").exists() else {"scoring": "text_gru"}
        hidden, layers, bias = gru_shape(state, "decoder.gru.")
        rating = settings.get("rating", {})
        model = RecommendationModel(
            bert_config(folder), settings["scoring"], hidden, layers, bias, settings.get("pooling", ["mean"]),
            settings.get("normalize", False), user_proj="user_proj.weight" in state, rating_values=rating.get("values"),
            rating_scale=rating.get("scale")).eval()
    model.load_state_dict(state)
    return model


def in_precision(model, kind):
    """The model with all its numbers as `kind`, TextEncoder's plain Dense tensors too."""
    model = model.to(kind)
    for module in model.modules():
        if isinstance(module, TextEncoder):
            module.dense = [(w.to(kind), None if b is None else b.to(kind), name) for w, b, name in module.dense]
    return model
