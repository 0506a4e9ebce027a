"""A LoRA adapter (Hu et al. 2022), as PEFT saves it, merged into a checkpoint's weights: W + scale B A.

In: the weights, a folder with adapter_config.json and adapter_model.safetensors (or .bin). Out: the same StateDict, which gives merged
matrices from then on. What PEFT would do and this does not is an error that shows it.
"""
import math
import os
import re

import numpy as np

from .checkpoint import StateDict, read_json
from .errors import ConversionError

CONFIG, WEIGHTS = "adapter_config.json", ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
A, B = ".lora_A.weight", ".lora_B.weight"


def is_adapter(folder):
    return os.path.isfile(os.path.join(folder, CONFIG))


def base_of(folder):
    """The name of the model that an adapter is for, as its file says."""
    return str(read_json(os.path.join(folder, CONFIG)).get("base_model_name_or_path") or "its base model")


def merge(state, folder, note):
    path = os.path.join(folder, CONFIG)
    if not os.path.isfile(path):
        raise ConversionError(f"{folder}: no {CONFIG}: not a LoRA adapter of PEFT's")
    config = read_json(path)
    _check(config, path)
    weights = next(filter(os.path.isfile, (os.path.join(folder, name) for name in WEIGHTS)), None)
    if weights is None:
        raise ConversionError(f"{folder}: no {' or '.join(WEIGHTS)}")
    adapter = StateDict(weights)
    modules = sorted(name.removeprefix(PREFIX)[:-len(A)] for name in adapter.names() if name.endswith(A))
    other = [name for name in adapter.names() if not name.endswith((A, B))]
    if other or not modules:
        raise ConversionError(f"{weights}: {other[0] if other else 'holds no lora_A'}: only lora_A and lora_B of linear maps are merged; "
                              "PEFT's merge_and_unload() merges the others, and the model that it saves converts")
    for module in modules:
        _change(state, adapter, module, config, path)
    note(f"{len(modules)} matrices merged with the LoRA adapter {folder}")


def _check(config, path):
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ConversionError(f"{path}: peft_type is {kind!r}, only LORA is merged; PEFT's merge_and_unload() merges others")
    for name, plain in (("use_dora", (None, False)), ("bias", (None, "none")), ("modules_to_save", (None, [])), ("layer_replication", (None,)),
                        ("trainable_token_indices", (None,)), ("lora_bias", (None, False))):
        if config.get(name) not in plain:
            raise ConversionError(f"{path}: {name} is {config[name]!r:.80}, which is not merged here; PEFT's merge_and_unload() does it, and "
                                  "the model that it saves converts")


def _change(state, adapter, module, config, path):
    down, up = (adapter.array(f"{PREFIX}{module}{part}" if f"{PREFIX}{module}{part}" in adapter else f"{module}{part}") for part in (A, B))
    found = [name for name in state.names() if name == f"{module}.weight" or name.endswith(f".{module}.weight")]
    if len(found) != 1:
        raise ConversionError(f"{adapter.path}: {module} is {'no' if not found else 'more than one'} matrix of {state.path}")
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1] or down.shape[0] == 0:
        raise ConversionError(f"{adapter.path}: {module}: lora_A is {list(down.shape)} and lora_B {list(up.shape)}, which do not fit together")
    rank = down.shape[0]
    alpha = _of_module(config.get("alpha_pattern"), module, config.get("lora_alpha", 8))
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise ConversionError(f"{path}: lora_alpha is {alpha!r}, expected a number")
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    turned = bool(config.get("fan_in_fan_out"))

    def merged(weight):
        change = scale * (up.astype(np.float64) @ down.astype(np.float64))
        change = change.T if turned else change
        if change.shape != weight.shape:
            raise ConversionError(f"{adapter.path}: {module}: changes {list(change.shape)}, the matrix is {list(weight.shape)}")
        return (weight.astype(np.float64) + change).astype(np.float32)

    state.changed[found[0]] = merged


def _of_module(pattern, module, otherwise):
    """As PEFT finds a module's own value: by a name at its end, or an expression."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return otherwise
