"""sentence-transformers' modules: what turns token states into a text's vector.

In: a folder with modules.json and what it points to. Out: a SentenceModules, None without modules.json.
Format: sentence-transformers 2 to 5 (Transformer, Pooling, Dense, Normalize; sentence_bert_config.json;
config_sentence_transformers.json).
"""
import os
from dataclasses import dataclass, field
from typing import Optional

from .checkpoint import StateDict, is_count, optional_json, read_json
from .errors import ConversionError

# In the order in which sentence-transformers concatenates them
POOLING_FLAGS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
                 "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len", "pooling_mode_weightedmean_tokens": "weighted_mean",
                 "pooling_mode_lasttoken": "last"}
POOLING_NAMES = {"cls": "cls", "max": "max", "mean": "mean", "mean_sqrt_len": "mean_sqrt_len",
                 "mean_sqrt_len_tokens": "mean_sqrt_len", "weightedmean": "weighted_mean",
                 "weighted_mean": "weighted_mean", "lasttoken": "last", "last": "last"}
# torch.nn's class names -> the model file's
DENSE_ACTIVATIONS = {"Identity": "identity", "Tanh": "tanh", "GELU": "gelu", "ReLU": "relu", "Sigmoid": "sigmoid",
                     "SiLU": "silu"}
LENGTH_FILES = ("sentence_bert_config.json", "sentence_distilbert_config.json", "sentence_roberta_config.json")


@dataclass
class SentenceModules:
    folder: str  # of the transformer: config.json, weights, tokenizer
    pooling: list
    modules: list  # pooling, dense.0 ..., normalize
    dense: list = field(default_factory=list)  # (weight [out, in], bias [out] or None, activation)
    max_length: Optional[int] = None
    do_lower_case: bool = False
    prompts: dict = field(default_factory=dict)
    default_prompt: Optional[str] = None


def pooling_list(value, where):
    """One name or several -> the model file's names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise ConversionError(f"{where}: pooling is {value!r}, expected one or more of {', '.join(POOLING_NAMES)}")
    for name in names:
        if not isinstance(name, str) or name not in POOLING_NAMES:
            raise ConversionError(f"{where}: pooling {name!r} is unknown; known are {', '.join(POOLING_NAMES)}")
    return [POOLING_NAMES[name] for name in names]


def read_pooling(path):
    config = read_json(path)
    if "pooling_mode" in config:
        names = pooling_list(config["pooling_mode"], path)
    else:
        unknown = [flag for flag in config if flag.startswith("pooling_mode_") and config[flag] and flag not in POOLING_FLAGS]
        if unknown:
            raise ConversionError(f"{path}: {unknown[0]} is not supported; known are {', '.join(POOLING_FLAGS)}")
        names = [name for flag, name in POOLING_FLAGS.items() if config.get(flag)]
        if not names:
            raise ConversionError(f"{path}: no pooling is switched on; known are {', '.join(POOLING_FLAGS)}")
    return names, config.get("include_prompt", True)


def _read_dense(folder):
    path = os.path.join(folder, "config.json")
    config = read_json(path)
    into, out = config.get("in_features"), config.get("out_features")
    for name, value in (("in_features", into), ("out_features", out)):
        if not is_count(value):
            raise ConversionError(f"{path}: {name} is {value!r}, expected a positive number")
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in ("sentence_embedding", None):
            raise ConversionError(f"{path}: {name} {config[name]!r} is not supported, only 'sentence_embedding' is")
    activation = str(config.get("activation_function", "")).rsplit(".", 1)[-1]
    if activation not in DENSE_ACTIVATIONS:
        raise ConversionError(f"{path}: activation_function {config.get('activation_function')!r} is unknown; known are "
                              + ", ".join(DENSE_ACTIVATIONS))
    files = [os.path.join(folder, name) for name in ("model.safetensors", "pytorch_model.bin")]
    found = [file for file in files if os.path.isfile(file)]
    if not found:
        raise ConversionError(f"{folder}: no weights; looked for model.safetensors and pytorch_model.bin")
    state = StateDict(found[0])
    weight = state.take("linear.weight", [out, into])
    has_bias = config.get("bias", True)
    if not has_bias and "linear.bias" in state:
        raise ConversionError(f"{found[0]}: holds linear.bias, but {path} says there is no bias")
    return weight, state.take("linear.bias", [out]) if has_bias else None, DENSE_ACTIVATIONS[activation]


def check_prompts(prompts, default, path):
    """(prompts by name, the default's name or None), as the file states them."""
    prompts = {} if prompts is None else prompts
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ConversionError(f"{path}: prompts is not an object of names and texts")
    if default is not None and default not in list(prompts):
        raise ConversionError(f"{path}: the default prompt {default!r} is not among the prompts")
    return prompts, default


def read_sentence_modules(root):
    path = os.path.join(root, "modules.json")
    if not os.path.exists(path):
        return None
    result, include_prompt = SentenceModules(root, [], []), True
    for position, module in enumerate(read_json(path, list)):
        if not isinstance(module, dict) or not isinstance(module.get("type"), str):
            raise ConversionError(f"{path}: module {position} has no type")
        kind = module["type"].rsplit(".", 1)[-1]
        inside = module.get("path") or ""
        if not isinstance(inside, str) or os.path.isabs(inside) or ".." in inside.split("/"):
            raise ConversionError(f"{path}: module {position} has the path {inside!r}, expected a folder inside")
        folder = os.path.join(root, inside) if inside else root
        expected = {0: "Transformer", 1: "Pooling"}.get(position)
        if expected and kind != expected or not expected and kind in ("Transformer", "Pooling"):
            raise ConversionError(f"{path}: module {position} is {kind}; expected Transformer, Pooling, then Dense or "
                                  "Normalize")
        if kind == "Transformer":
            result.folder = folder
        elif kind == "Pooling":
            result.pooling, include_prompt = read_pooling(os.path.join(folder, "config.json"))
            result.modules.append("pooling")
        elif kind == "Dense":
            result.modules.append(f"dense.{len(result.dense)}")
            result.dense.append(_read_dense(folder))
        elif kind == "Normalize":
            result.modules.append("normalize")
        elif kind != "Dropout":  # does nothing outside training
            raise ConversionError(f"{path}: module {kind} is not supported; known are Transformer, Pooling, Dense, "
                                  "Normalize")
    if not result.pooling:
        raise ConversionError(f"{path}: has no Pooling module")
    for name in LENGTH_FILES:
        config = optional_json(result.folder, name)
        if config is not None:
            result.max_length = config.get("max_seq_length")
            lower = config.get("do_lower_case")
            if lower not in (None, True, False):
                raise ConversionError(f"{result.folder}/{name}: do_lower_case is {lower!r}, expected true or false")
            result.do_lower_case = bool(lower)
            if result.max_length is not None and not is_count(result.max_length, 3):
                raise ConversionError(f"{result.folder}/{name}: max_seq_length is {result.max_length!r}, expected a "
                                      "number over 2")
            break
    config = optional_json(root, "config_sentence_transformers.json") or {}
    result.prompts, result.default_prompt = check_prompts(
        config.get("prompts"), config.get("default_prompt_name"), os.path.join(root, "config_sentence_transformers.json"))
    if not include_prompt and any(result.prompts.values()):
        raise ConversionError(f"{root}: pooling with include_prompt false (the prompt's tokens left out) is not supported")
    return result


def add_sentence(model, modules, dim, path):
    """Pooling, Dense, Normalize and prompts into the model; -> the vector's size."""
    model.key("ranklet.encoder.pooling", modules.pooling, "[string]")
    model.key("ranklet.encoder.modules", modules.modules, "[string]")
    only = modules.pooling[0] if len(modules.pooling) == 1 else None
    model.key("bert.pooling_type", {"mean": 1, "cls": 2, "last": 3}.get(only, 0), "u32")
    size = dim * len(modules.pooling)
    for i, (weight, bias, activation) in enumerate(modules.dense):
        if weight.shape[1] != size:
            raise ConversionError(f"{path}: dense module {i} reads {weight.shape[1]} values, what comes before gives {size}")
        size = weight.shape[0]
        model.key(f"ranklet.encoder.dense.{i}.activation", activation, "string")
        model.matrix(f"ranklet.dense.{i}.weight", weight)
        if bias is not None:
            model.exact(f"ranklet.dense.{i}.bias", bias)
    if modules.prompts:
        model.key("ranklet.prompts.names", list(modules.prompts), "[string]")
        model.key("ranklet.prompts.texts", list(modules.prompts.values()), "[string]")
        if modules.default_prompt is not None:
            model.key("ranklet.prompts.default", modules.default_prompt, "string")
    return size
