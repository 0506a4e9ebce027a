"""sentence-transformers' modules: what turns token states into a text's vector.

In: a folder with modules.json and what it points to. Out: a SentenceModules, None without modules.json.
Format: sentence-transformers 2 to 6 (Transformer, Pooling, Dense, LayerNorm, Normalize; sentence_bert_config.json;
config_sentence_transformers.json).
"""
import os
from dataclasses import dataclass, field
from typing import Optional, Union

import numpy as np

from .checkpoint import StateDict, is_count, optional_json, read_json
from .errors import ConversionError
from .modules import OTHER_PROMPTS, default_prompt, read_modules

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
LAYER_NORM_EPSILON = 1e-5  # torch.nn.LayerNorm's, which the module's files do not state
LENGTH_FILES = ("sentence_bert_config.json", "sentence_distilbert_config.json", "sentence_roberta_config.json")


POOLING, POOLING_WITHOUT_PROMPT, TRUNCATE = "pooling", "pooling_without_prompt", "truncate"  # as the model file names them


@dataclass
class Dense:
    weight: np.ndarray  # [out, in]
    bias: Optional[np.ndarray]  # [out]
    activation: str
    residual: Union[bool, np.ndarray] = False  # whether its input is added, or what the input goes through before, [out, in]

    @property
    def kind(self):
        return "dense" if self.residual is False else "residual_dense"

    def add(self, model, name, size, path):
        """Keys and tensors into the model; -> the size of what it gives."""
        out, into = self.weight.shape
        if into != size:
            raise ConversionError(f"{path}: {name.replace('.', ' module ')} reads {into} values, what comes before gives {size}")
        model.key(f"ranklet.encoder.{name}.activation", self.activation, "string")
        model.matrix(f"ranklet.{name}.weight", self.weight)
        if self.bias is not None:
            model.exact(f"ranklet.{name}.bias", self.bias)
        if self.kind == "residual_dense" and self.residual is not True:
            model.matrix(f"ranklet.{name}.residual.weight", self.residual)
        return out


@dataclass
class LayerNorm:
    weight: np.ndarray  # [size]
    bias: np.ndarray
    kind = "layer_norm"

    def add(self, model, name, size, path):
        if len(self.weight) != size:
            raise ConversionError(f"{path}: {name.replace('.', ' module ')} has {len(self.weight)} values, what comes before gives "
                                  f"{size}")
        model.key(f"ranklet.encoder.{name}.epsilon", LAYER_NORM_EPSILON, "f32")
        model.exact(f"ranklet.{name}.weight", self.weight)
        model.exact(f"ranklet.{name}.bias", self.bias)
        return size


@dataclass
class SentenceModules:
    folder: str  # of the transformer: config.json, weights, tokenizer
    pooling: Optional[list]  # None: there is none, what is read are token states
    modules: list = field(default_factory=list)  # in order: pooling, normalize, dense.0, layer_norm.0 ...
    parts: dict = field(default_factory=dict)  # Dense and LayerNorm by the names in `modules`
    include_prompt: bool = True  # whether [CLS] and the prompt's tokens count in pooling
    truncate: Optional[int] = None  # the vector's first numbers that are kept
    normalize_again: bool = False  # behind that, where the whole vector is normalised
    max_length: Optional[int] = None
    do_lower_case: bool = False
    prompts: dict = field(default_factory=dict)
    default_prompt: Optional[str] = None
    notes: list = field(default_factory=list)

    @property
    def normalizes(self):
        """Whether vectors are scaled to length 1."""
        return POOLING in self.modules and "normalize" in self.modules[self.modules.index(POOLING):]

    def append(self, part):
        name = f"{part.kind}.{sum(each.startswith(part.kind + '.') for each in self.modules)}"
        self.modules.append(name)
        self.parts[name] = part


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
    include = config.get("include_prompt", True)
    if not isinstance(include, bool):
        raise ConversionError(f"{path}: include_prompt is {include!r}, expected true or false")
    return names, include


def _module_weights(folder):
    files = [os.path.join(folder, name) for name in ("model.safetensors", "pytorch_model.bin")]
    found = [file for file in files if os.path.isfile(file)]
    if not found:
        raise ConversionError(f"{folder}: no weights; looked for model.safetensors and pytorch_model.bin")
    return StateDict(found[0])


def _refuse_unused(state):
    if state.unused():
        raise ConversionError(f"{state.path}: what {', '.join(state.unused()[:5])} is for is not known")


def _check_target(config, path, pooled, what):
    """An error where a module does not read and write what stands in its place: token states before pooling, the vector
    behind it."""
    expected = "sentence_embedding" if pooled else "token_embeddings"
    reads = config.get("module_input_name") or "sentence_embedding"
    writes = config.get("module_output_name") or reads
    for name, value in (("module_input_name", reads), ("module_output_name", writes)):
        if value != expected:
            place = "behind Pooling it would have to be" if pooled else "in front of Pooling it would have to be"
            raise ConversionError(f"{path}: {name} of {what} is {value!r}; {place} {expected!r}")


def _read_dense(folder, pooled):
    path = os.path.join(folder, "config.json")
    config = read_json(path)
    into, out = config.get("in_features"), config.get("out_features")
    for name, value in (("in_features", into), ("out_features", out)):
        if not is_count(value):
            raise ConversionError(f"{path}: {name} is {value!r}, expected a positive number")
    _check_target(config, path, pooled, "Dense")
    activation = str(config.get("activation_function", "")).rsplit(".", 1)[-1]
    if activation not in DENSE_ACTIVATIONS:
        raise ConversionError(f"{path}: activation_function {config.get('activation_function')!r} is unknown; known are "
                              + ", ".join(DENSE_ACTIVATIONS))
    state = _module_weights(folder)
    weight = state.take("linear.weight", [out, into])
    has_bias = config.get("bias", True)
    if not has_bias and "linear.bias" in state:
        raise ConversionError(f"{state.path}: holds linear.bias, but {path} says there is no bias")
    bias = state.take("linear.bias", [out]) if has_bias else None
    residual = config.get("use_residual", False)
    if not isinstance(residual, bool):
        raise ConversionError(f"{path}: use_residual is {residual!r}, expected true or false")
    if residual and into != out:
        residual = state.take("residual.weight", [out, into])
    _refuse_unused(state)
    return Dense(weight, bias, DENSE_ACTIVATIONS[activation], residual)


def _read_layer_norm(folder):
    path = os.path.join(folder, "config.json")
    size = read_json(path).get("dimension")
    if not is_count(size):
        raise ConversionError(f"{path}: dimension is {size!r}, expected a positive number")
    state = _module_weights(folder)
    norm = LayerNorm(state.take("norm.weight", [size]), state.take("norm.bias", [size]))
    _refuse_unused(state)
    return norm


def check_prompts(prompts, default, path):
    """(prompts by name, the default's name or None), as the file states them."""
    prompts = {} if prompts is None else prompts
    if isinstance(prompts, dict):  # null: a name that sentence-transformers knows and the model has no text for
        prompts = {name: text for name, text in prompts.items() if text is not None}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ConversionError(f"{path}: prompts is not an object of names and texts")
    if default is not None and default not in list(prompts):
        raise ConversionError(f"{path}: the default prompt {default!r} is not among the prompts")
    return prompts, default


def truncate_dim(config, path):
    """How many numbers of a vector config_sentence_transformers.json keeps; None: all."""
    value = config.get("truncate_dim")
    if value is not None and not is_count(value):
        raise ConversionError(f"{path}: truncate_dim is {value!r}, expected a positive number")
    return value


def read_sentence_modules(root, route=None):
    """route: of a Router, as read_modules has it."""
    path = os.path.join(root, "modules.json")
    modules = read_modules(root, route)
    if modules is None:
        return None
    if not modules or modules[0].kind != "Transformer":
        raise ConversionError(f"{path}: module 0 is {modules[0].kind if modules else 'missing'}; expected Transformer")
    result, task = SentenceModules(modules[0].folder, None), None
    for module in modules[1:]:
        pooled = POOLING in result.modules
        if module.kind == "Pooling" and not pooled:
            result.pooling, result.include_prompt = read_pooling(os.path.join(module.folder, "config.json"))
            result.modules.append(POOLING)
        elif module.kind == "Dense":
            result.append(_read_dense(module.folder, pooled))
        elif module.kind == "LayerNorm" and pooled:
            result.append(_read_layer_norm(module.folder))
        elif module.kind == "Normalize":
            # sentence-transformers before 6 wrote no configuration: it was of the vector
            own = optional_json(module.folder, "config.json") if module.folder != result.folder else None
            _check_target(own or {}, os.path.join(module.folder, "config.json"), pooled, "Normalize")
            result.modules.append("normalize")
        elif module.kind != "Dropout":  # does nothing outside training
            raise ConversionError(f"{module.where} is {module.kind}; expected Transformer, Dense or Normalize of token states, "
                                  "Pooling, then Dense, LayerNorm or Normalize")
    task = _read_transformer_settings(result)
    config_path = os.path.join(root, "config_sentence_transformers.json")
    config = optional_json(root, "config_sentence_transformers.json") or {}
    if result.pooling is None and (task != "sequence-classification" or result.modules):
        raise ConversionError(f"{path}: has no Pooling module")
    result.prompts, result.default_prompt = check_prompts(config.get("prompts"), config.get("default_prompt_name"), config_path)
    result.truncate = truncate_dim(config, config_path)
    if result.pooling is None and result.prompts.get(result.default_prompt):
        raise ConversionError(f"{config_path}: default_prompt_name is {result.default_prompt!r}; texts that are classified get no prompt")
    name, prompt = default_prompt(route, result.prompts, result.default_prompt)
    if prompt != result.prompts.get(result.default_prompt, ""):
        result.notes.append((f"the prompt {name!r} is put before every text" if prompt else "no prompt is put before a text")
                            + f", as encode_{route} does")
        result.default_prompt = name
    unused = [other for other in OTHER_PROMPTS if route == "document" and not prompt and result.prompts.get(other)]
    if unused:
        result.notes.append(f"the prompt {unused[0]!r} is put before no text: sentence-transformers has an empty 'document' beside it, which "
                            "encode_document takes")
    return result


def _read_transformer_settings(result):
    """What is beside the transformer's own files; -> its task, None where it is not stated."""
    for name in LENGTH_FILES:
        config = optional_json(result.folder, name)
        if config is None:
            continue
        where = os.path.join(result.folder, name)
        result.max_length = config.get("max_seq_length")
        lower = config.get("do_lower_case")
        if lower not in (None, True, False):
            raise ConversionError(f"{where}: do_lower_case is {lower!r}, expected true or false")
        result.do_lower_case = bool(lower)
        if result.max_length is not None and not is_count(result.max_length, 3):
            raise ConversionError(f"{where}: max_seq_length is {result.max_length!r}, expected a number over 2")
        task = config.get("transformer_task")
        if task not in (None, "feature-extraction", "sequence-classification"):
            raise ConversionError(f"{where}: transformer_task {task!r} is not supported, feature-extraction and "
                                  "sequence-classification are")
        gives = {"sequence-classification": ("logits", "scores")}.get(task, ("last_hidden_state", "token_embeddings"))
        modality = (config.get("modality_config") or {}).get("text") or {}
        for key, value, expected in (("modality_config.text.method_output_name", modality.get("method_output_name"), gives[0]),
                                     ("module_output_name", config.get("module_output_name"), gives[1])):
            if value not in (None, expected):
                raise ConversionError(f"{where}: {key} is {value!r}, only {expected!r} is supported")
        for kind, values in (config.get("processing_kwargs") or {}).items():
            if kind in ("text", "common") and set(values) - {"padding", "pad_to_multiple_of", "return_tensors"}:
                raise ConversionError(f"{where}: processing_kwargs.{kind} is {values!r:.80}, which is not supported")
        for key in ("query_length", "document_length", "query_expansion"):
            if config.get(key) is not None:
                result.notes.append(f"{where}: {key} is {config[key]!r}, which counts in encode_{key.split('_')[0]} alone; here no text "
                                    "is treated otherwise than another")
        return task
    return None


def add_sentence(model, modules, dim, path):
    """Pooling, what is around it, and prompts into the model; -> the vector's size."""
    leaves_prompt_out = not modules.include_prompt and any(modules.prompts.values())
    names = [POOLING_WITHOUT_PROMPT if name == POOLING and leaves_prompt_out else name for name in modules.modules]
    model.key("ranklet.encoder.pooling", modules.pooling, "[string]")
    model.key("ranklet.encoder.modules", names, "[string]")
    only = modules.pooling[0] if names[0] == POOLING and len(modules.pooling) == 1 else None
    model.key("bert.pooling_type", {"mean": 1, "cls": 2, "last": 3}.get(only, 0), "u32")
    size = dim
    for name in modules.modules:
        if name == POOLING:
            size *= len(modules.pooling)
        elif name in modules.parts:
            size = modules.parts[name].add(model, name, size, path)
    if modules.truncate is not None and modules.truncate < size:
        size = modules.truncate
        again = ["normalize"] * (modules.normalize_again and names[-1] == "normalize")
        model.key("ranklet.encoder.modules", [*names, TRUNCATE, *again], "[string]")
        model.key("ranklet.encoder.truncate.size", size, "u32")
    if modules.prompts:
        prompts = dict(modules.prompts)
        if modules.default_prompt is not None:
            prompts.setdefault(modules.default_prompt, "")  # a route's, which the files need not have
        if prompts.get(modules.default_prompt):
            prompts.setdefault("query", "")  # a default is not put before what encode_query gets
        model.key("ranklet.prompts.names", list(prompts), "[string]")
        model.key("ranklet.prompts.texts", list(prompts.values()), "[string]")
        if modules.default_prompt is not None:
            model.key("ranklet.prompts.default", modules.default_prompt, "string")
    return size
