"""Sequence and token classification: the head of a Hugging Face checkpoint becomes the model file's.

In: config.json and a StateDict whose encoder was taken. Out: keys `ranklet.classifier.*` and its tensors.
Layouts: transformers' classes ...ForSequenceClassification and ...ForTokenClassification of the families in HEADS, from whose
source the parts and what they do are taken.
"""
import os
from dataclasses import dataclass
from typing import Optional

from .architectures import ACTIVATIONS as FUNCTIONS
from .checkpoint import optional_json
from .errors import ConversionError
from .options import Option

KINDS = {"ForSequenceClassification": "sequence", "ForTokenClassification": "token"}
ACTIVATIONS = ("softmax", "sigmoid", "identity")
PROBLEMS = {"single_label_classification": "softmax", "multi_label_classification": "sigmoid", "regression": "identity"}
# What sentence-transformers' cross-encoders write of their activation; its default differs by version, so it says
CROSS_ENCODER_ACTIVATIONS = {"Identity": "identity", "Sigmoid": "sigmoid", "Softmax": "softmax"}
CROSS_ENCODER_FILE = "config_sentence_transformers.json"
ACTIVATION = Option("--activation", "classifiers", dict(
    choices=ACTIVATIONS, help="what makes a sequence classifier's outputs scores, in place of what config.json says"))




@dataclass
class Head:
    """The parts of a head: names of tensors behind what stands before the encoder's prefix, "/" at the front: behind that prefix."""
    out: str
    dense: Optional[str] = None
    activation: Optional[str] = None  # of the dense layer; "config.NAME": what config.json says, else gelu
    norm: Optional[str] = None
    pooling: Optional[str] = None  # "config.NAME" likewise; None: the first token's state


_OUT = Head("classifier")
_POOLER = Head("classifier", "/pooler.dense", "tanh")
_ROBERTA = Head("classifier.out_proj", "classifier.dense", "tanh")
_MODERNBERT = Head("classifier", "head.dense", "config.classifier_activation", "head.norm")
_SCORE = Head("score", pooling="last")
# model_type -> (of a text, of its tokens)
HEADS = {
    "bert": (_POOLER, _OUT),
    "distilbert": (Head("classifier", "pre_classifier", "relu"), _OUT),
    "roberta": (_ROBERTA, _OUT), "xlm-roberta": (_ROBERTA, _OUT), "camembert": (_ROBERTA, _OUT), "mpnet": (_ROBERTA, _OUT),
    "jina_embeddings_v3": (_ROBERTA, _OUT),
    "electra": (Head("classifier.out_proj", "classifier.dense", "gelu"), _OUT),
    "nomic_bert": (_POOLER, _OUT), "gte": (_POOLER, _OUT), "new": (_POOLER, _OUT),
    "modernbert": (Head("classifier", "head.dense", "config.classifier_activation", "head.norm", "config.classifier_pooling"), _MODERNBERT),
    "eurobert": (Head("classifier", "dense", "gelu", pooling="config.classifier_pooling"), _OUT),
    "qwen3": (_SCORE, Head("score")), "llama": (_SCORE, Head("score")), "mistral": (_SCORE, Head("score")), "gemma3_text": (_SCORE, None),
    "t5": (None, _OUT),
    "deberta-v2": (Head("classifier", "pooler.dense", "config.pooler_hidden_act"), _OUT),
}
POOLINGS = {"cls": "cls", "bos": "cls", "mean": "mean", "late": "late", "last": "last"}
# What the encoder is called in a model with a head
_ENCODERS = ("distilbert", "bert", "roberta", "electra", "mpnet", "nomic_bert", "gte", "new", "model", "transformer", "jina_embeddings_v3", "deberta")


def find_kind(config, state, prefix, family="bert"):
    """('sequence' or 'token', its Head), or (None, None) where config.json names no such class."""
    for name in config.get("architectures") or []:
        for suffix, kind in KINDS.items():
            if not str(name).endswith(suffix):
                continue
            head = HEADS.get(family, (None, None))[0 if kind == "sequence" else 1]
            if head is None:
                raise ConversionError(f"{state.path}: {name}: the head of this class is not supported")
            if f"{_full(prefix, head.out)}.weight" not in state:
                raise ConversionError(f"{state.path}: tensor {_full(prefix, head.out)}.weight is missing (the head of {name})")
            return kind, head
    return None, None


def _outer(prefix):
    """What stands before the head's names where `prefix` stands before the encoder's ('bert.' is the encoder's own)."""
    for own in _ENCODERS:
        if prefix == own + "." or prefix.endswith("." + own + "."):
            return prefix[:-len(own) - 1]
    return prefix


def _full(prefix, name):
    return prefix + name[1:] if name.startswith("/") else _outer(prefix) + name


def _labels(config, count, path):
    names = config.get("id2label")
    if names is None:
        return [f"LABEL_{i}" for i in range(count)]  # transformers' own names
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(count)}:
        raise ConversionError(f"{path}: id2label must name the labels \"0\" to \"{count - 1}\" of the head")
    names = [names[str(i)] for i in range(count)]
    if not all(isinstance(name, (str, int)) for name in names):
        raise ConversionError(f"{path}: id2label has a name that is not text")
    return [str(name) for name in names]


def _cross_encoder_activation(config, path, count):
    """(what a cross-encoder of sentence-transformers applies or None, whether the checkpoint is one)"""
    settings = config.get("sentence_transformers")
    file = os.path.join(os.path.dirname(path), CROSS_ENCODER_FILE)  # of sentence-transformers 6: comes before config.json
    own = optional_json(os.path.dirname(path), CROSS_ENCODER_FILE) or {}
    is_cross_encoder = isinstance(settings, dict) or own.get("model_type") == "CrossEncoder"
    for where, stated in ((file, own.get("activation_fn")),
                          (path, settings.get("activation_fn") if isinstance(settings, dict) else None),
                          (path, config.get("sbert_ce_default_activation_function"))):
        if stated is None:
            continue
        name = str(stated).rsplit(".", 1)[-1]
        if name not in CROSS_ENCODER_ACTIVATIONS or name == "Softmax" and count == 1:
            raise ConversionError(f"{where}: the cross-encoder's activation {stated!r} is not supported{' for one label' * (count == 1)}; "
                                  f"known are {', '.join(CROSS_ENCODER_ACTIVATIONS)}")
        return CROSS_ENCODER_ACTIVATIONS[name], True
    return None, is_cross_encoder


def _activation(given, config, count, path, note):
    """What turns a sequence's logits into scores."""
    problem = config.get("problem_type")
    if problem is not None and problem not in PROBLEMS:
        raise ConversionError(f"{path}: problem_type {problem!r} is unknown; known are {', '.join(PROBLEMS)}")
    if given is not None:
        return given
    stated, is_cross_encoder = _cross_encoder_activation(config, path, count)
    if stated is not None:
        return stated
    if problem is not None:
        # a softmax over one label would be 1 whatever the text is; transformers' pipeline takes the sigmoid then
        return "sigmoid" if count == 1 and problem != "regression" else PROBLEMS[problem]
    if is_cross_encoder:
        return "sigmoid" if count == 1 else "identity"  # CrossEncoder's defaults
    if count == 1:
        note("one label and no problem_type: its score is the sigmoid of the output, as transformers' text-classification "
             "pipeline and sentence-transformers' CrossEncoder have it (--activation identity leaves the output as it is, "
             "which is what problem_type \"regression\" means)")
        return "sigmoid"
    return "softmax"


def _linear(model, state, ours, name, shape):
    model.matrix(f"{ours}.weight", state.take(f"{name}.weight", shape))
    if f"{name}.bias" in state:
        model.exact(f"{ours}.bias", state.take(f"{name}.bias", shape[:1]))


def _stated(config, path, value, otherwise, known):
    """A Head's value, which config.json may have."""
    if value is None or not value.startswith("config."):
        return value
    name = value.removeprefix("config.")
    found = config.get(name, otherwise)
    if not isinstance(found, str) or found not in known:
        raise ConversionError(f"{path}: {name} {found!r} is unknown; known are {', '.join(known)}")
    return known[found]


def add_classifier(model, state, config, path, info, given_activation, note):
    """Adds the head if config.json names one; -> a line for the summary, or None."""
    kind, head = find_kind(config, state, info.prefix, info.family)
    if kind is None:
        if given_activation is not None:
            raise ConversionError(f"{path}: architectures name no {' or '.join(KINDS)}, so --activation means nothing")
        return None
    out = _full(info.prefix, head.out)
    count = state.array(f"{out}.weight").shape[0] if state.rank(f"{out}.weight") == 2 else None
    if kind == "token":
        if given_activation not in (None, "softmax"):
            raise ConversionError(f"{path}: a token's labels exclude each other: --activation {given_activation} means nothing")
        activation = "softmax"
    if kind == "sequence" and not info.tokenizer.type_ids and "token_types.weight" in model.tensors:
        types = model.tensors["token_types.weight"][0]
        count_of_types = max(len(types), 2)  # the tokenizer may say 1 all the same
        model.exact("token_types.weight", types[:1].repeat(count_of_types, 0))
        model.key("tokenizer.ggml.token_type_count", count_of_types, "u32")
        if len(types) > 1:
            note("the texts of a pair are told apart by special tokens alone: by tokenizer_config.json transformers 5 gives the model no "
                 "token types (its model_input_names, or the class's)")
    if head.dense is not None:
        _linear(model, state, "ranklet.classifier.dense", _full(info.prefix, head.dense), [info.dim, info.dim])
        model.key("ranklet.classifier.dense.activation", _stated(config, path, head.activation, "gelu", FUNCTIONS), "string")
    if head.norm is not None:
        norm = _full(info.prefix, head.norm)
        model.exact("ranklet.classifier.norm.weight", state.take(f"{norm}.weight", [info.dim]))
        if f"{norm}.bias" in state:
            model.exact("ranklet.classifier.norm.bias", state.take(f"{norm}.bias", [info.dim]))
        model.key("ranklet.classifier.norm.epsilon", model.metadata()[f"{info.architecture}.attention.layer_norm_epsilon"], "f32")
    if kind == "sequence" and head.pooling is not None:
        model.key("ranklet.classifier.pooling", _stated(config, path, head.pooling, "cls", POOLINGS), "string")
    _linear(model, state, "ranklet.classifier.out", out, [count, info.dim])
    labels = _labels(config, count, path)
    if kind == "sequence":
        activation = _activation(given_activation, config, count, path, note)
    model.key("ranklet.classifier.kind", kind, "string")
    model.key("ranklet.classifier.activation", activation, "string")
    model.key("ranklet.classifier.labels", labels, "[string]")
    some = ", ".join(labels[:6]) + (f" and {count - 6} more" if count > 6 else "")
    return f"  classifier    of {'texts' if kind == 'sequence' else 'tokens'}, {activation}: {some}"
