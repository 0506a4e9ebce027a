"""Sequence and token classification: the head of a Hugging Face checkpoint becomes the model file's.

In: config.json and a StateDict whose encoder was taken. Out: keys `ranklet.classifier.*` and its tensors.
Layouts: BertForSequenceClassification (pooler.dense, tanh, classifier), DistilBertForSequenceClassification
(pre_classifier, ReLU, classifier), BertForTokenClassification and DistilBertForTokenClassification (classifier).
"""
import os

from .checkpoint import optional_json
from .errors import ConversionError
from .options import Option

KINDS = {"ForSequenceClassification": "sequence", "ForTokenClassification": "token"}
ACTIVATIONS = ("softmax", "sigmoid", "identity")
PROBLEMS = {"single_label_classification": "softmax", "multi_label_classification": "sigmoid", "regression": "identity"}
# What sentence-transformers' cross-encoders write of their activation; its default differs by version, so it says
CROSS_ENCODER_ACTIVATIONS = {"Identity": "identity", "Sigmoid": "sigmoid", "Softmax": "softmax"}
CROSS_ENCODER_FILE = "config_sentence_transformers.json"
WEIGHT = "classifier.weight"
ACTIVATION = Option("--activation", "classifiers", dict(
    choices=ACTIVATIONS, help="what makes a sequence classifier's outputs scores, in place of what config.json says"))


def find_kind(config, state, prefix):
    """'sequence', 'token', or None where config.json names no such class."""
    for name in config.get("architectures") or []:
        for suffix, kind in KINDS.items():
            if str(name).endswith(suffix):
                if _outer(prefix) + WEIGHT not in state:
                    raise ConversionError(f"{state.path}: tensor {_outer(prefix) + WEIGHT} is missing (the head of {name})")
                return kind
    return None


def _outer(prefix):
    """What stands before the head's names where `prefix` stands before the encoder's ('bert.' is the encoder's own)."""
    for own in ("distilbert.", "bert."):
        if prefix == own or prefix.endswith("." + own):
            return prefix[:-len(own)]
    return prefix


def _labels(config, count, path):
    names = config.get("id2label")
    if names is None:
        return [f"LABEL_{i}" for i in range(count)]  # transformers' own names
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(count)}:
        raise ConversionError(f"{path}: id2label must name the labels \"0\" to \"{count - 1}\" of classifier.weight")
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
    model.exact(f"{ours}.bias", state.take(f"{name}.bias", shape[:1]))


def add_classifier(model, state, config, path, info, given_activation, note):
    """Adds the head if config.json names one; -> a line for the summary, or None."""
    kind = find_kind(config, state, info.prefix)
    if kind is None:
        if given_activation is not None:
            raise ConversionError(f"{path}: architectures name no {' or '.join(KINDS)}, so --activation means nothing")
        return None
    outer = _outer(info.prefix)
    count = state.array(outer + WEIGHT).shape[0] if state.rank(outer + WEIGHT) == 2 else None
    if kind == "token":
        if given_activation not in (None, "softmax"):
            raise ConversionError(f"{path}: a token's labels exclude each other: --activation {given_activation} means nothing")
        activation = "softmax"
    if kind == "sequence" and not info.tokenizer.type_ids and "token_types.weight" in model.tensors:
        types = model.tensors["token_types.weight"][0]
        model.exact("token_types.weight", types[:1].repeat(len(types), 0))
        note("the texts of a pair are told apart by [SEP] alone: by tokenizer_config.json transformers 5 gives the model no token "
             "types (its model_input_names, or the class's)")
    if kind == "sequence":
        inner = outer + "pre_classifier" if info.family == "distilbert" else info.prefix + "pooler.dense"
        _linear(model, state, "ranklet.classifier.dense", inner, [info.dim, info.dim])
        model.key("ranklet.classifier.dense.activation", "relu" if info.family == "distilbert" else "tanh", "string")
    _linear(model, state, "ranklet.classifier.out", outer + "classifier", [count, info.dim])
    labels = _labels(config, count, path)
    if kind == "sequence":
        activation = _activation(given_activation, config, count, path, note)
    model.key("ranklet.classifier.kind", kind, "string")
    model.key("ranklet.classifier.activation", activation, "string")
    model.key("ranklet.classifier.labels", labels, "[string]")
    some = ", ".join(labels[:6]) + (f" and {count - 6} more" if count > 6 else "")
    return f"  classifier    of {'texts' if kind == 'sequence' else 'tokens'}, {activation}: {some}"
