"""ranklet.json: what a checkpoint cannot say of itself. It is found and read here and nowhere else.

In: folders. Out: its path and content; Settings, for the kinds that share these keys (README.md lists them). A kind with
keys of its own reads the content with a Reader.
"""
import math
import os
from dataclasses import dataclass, field
from typing import Optional, Union

from .checkpoint import is_count, read_json, read_lines
from .errors import ConversionError
from .sentence import check_prompts, pooling_list

FILE = "ranklet.json"
SCORINGS = ("text_gru", "next_event", "dot_product")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid_keras2", "hard_sigmoid_keras3")
RATING_MODES = ("none", "embedding", "weight")
KEYS = ("name", "scoring", "pooling", "normalize", "max_length", "rating", "prompts", "default_prompt", "encoder", "model",
        "padding_row", "recurrent_activation", "activation")


def find_settings(folders):
    """(path, content) of the ranklet.json of the first folder that has one; (None, {}) without one."""
    path = next((path for path in (os.path.join(folder, FILE) for folder in folders) if os.path.exists(path)), None)
    return path, read_json(path) if path else {}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class Reader:
    """Values of an object in a JSON file, checked; every error names the file and the place."""

    def __init__(self, path, value, known, where=""):
        self.path, self.value, self.where, self.read = path, value, where, set()
        if not isinstance(value, dict):
            raise ConversionError(f"{path}: {where or 'the file'} is {value!r:.60}, expected an object")
        for key in value:
            if key not in known:
                raise ConversionError(f"{path}: unknown key {key!r}{' in ' + where if where else ''}; known are {', '.join(known)}")

    def fail(self, key, expected):
        raise ConversionError(f"{self.path}: {self.where}{'.' if self.where else ''}{key} is {self.value.get(key)!r:.80}, expected {expected}")

    def get(self, key, default=None):
        self.read.add(key)
        return self.value.get(key, default)

    def refuse_rest(self):
        """At the end: a key that nothing asked for would change nothing, whatever its value is."""
        for key in self.value:
            if key not in self.read:
                raise ConversionError(f"{self.path}: {self.where}{'.' if self.where else ''}{key} means nothing here: the model has "
                                      "no part that it is of")

    def optional(self, key, is_right, expected):
        """The value, None where it is not stated."""
        value = self.get(key)
        if value is not None and not is_right(value):
            self.fail(key, expected)
        return value

    def choice(self, key, choices, default=None):
        value = self.get(key, default)
        if value not in choices:
            self.fail(key, f"one of {', '.join(choices)}")
        return value

    def count(self, key, least=1, default=None):
        value = self.get(key, default)
        if not is_count(value, least):
            self.fail(key, f"a whole number from {least} on")
        return value

    def flag(self, key, default=None):
        value = self.get(key, default)
        if not isinstance(value, bool):
            self.fail(key, "true or false")
        return value

    def number(self, key, default):
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e30:
            self.fail(key, "a number from 0 on")
        return float(value)

    def strings(self, key, folder):
        """A list of texts, or the name of a file with one a line."""
        value = self.get(key)
        if isinstance(value, str):
            value = read_lines(os.path.join(folder, value))
        if not isinstance(value, list) or not all(isinstance(each, str) and "\0" not in each for each in value):
            self.fail(key, "a list of texts without zero bytes, or the name of a file with one a line")
        return value


@dataclass
class Rating:
    mode: str = "none"
    values: list = field(default_factory=list)
    scale: Optional[float] = None


@dataclass
class Settings:
    """What ranklet.json states. None: not stated; path None: there is no such file."""
    path: Optional[str] = None
    name: Optional[str] = None
    scoring: Optional[str] = None
    pooling: Optional[list] = None
    normalize: Optional[bool] = None
    max_length: Optional[int] = None
    encoder: Optional[str] = None  # path of word vectors, where the weights hold no encoder
    padding_row: Union[int, str, None] = None  # of learned items; "none": every row is an item
    gates: str = "sigmoid"  # of the GRU, as the model file names them
    rating: Rating = field(default_factory=Rating)
    prompts: dict = field(default_factory=dict)
    default_prompt: Optional[str] = None
    stated: tuple = ()  # the keys that have a value

    def refuse(self, keys, why):
        """An error where one of these keys is stated: it would change nothing."""
        for key in keys:
            if key in self.stated:
                raise ConversionError(f"{self.path}: {key} means nothing here: {why}")


def read_settings(path, value):
    """The content of the file `path` as Settings."""
    if path is None:
        return Settings()
    top = Reader(path, value, KEYS)
    settings = Settings(path, top.optional("name", lambda name: isinstance(name, str), "a text"))
    settings.scoring = top.optional("scoring", lambda scoring: scoring in SCORINGS, f"one of {', '.join(SCORINGS)}")
    if value.get("pooling") is not None:
        settings.pooling = pooling_list(value["pooling"], path)
    settings.normalize = top.optional("normalize", lambda normalize: isinstance(normalize, bool), "true or false")
    settings.max_length = top.optional("max_length", lambda length: is_count(length, 3), "a number over 2")
    inside = top.optional("encoder", lambda name: isinstance(name, str) and not os.path.isabs(name)
                          and ".." not in name.split("/"), "a file or folder inside")
    if inside is not None:
        settings.encoder = os.path.join(os.path.dirname(path), inside)
        if not os.path.exists(settings.encoder):
            raise ConversionError(f"{path}: encoder: no {settings.encoder}")
    if value.get("rating") is not None:
        settings.rating = _read_rating(path, value["rating"])
    if value.get("padding_row") is not None:
        settings.padding_row = padding_row(value["padding_row"], f"{path}: padding_row")
    settings.gates = gate_activation(top)
    settings.stated = tuple(key for key, each in value.items() if each is not None)
    settings.prompts, settings.default_prompt = check_prompts(value.get("prompts"), value.get("default_prompt"), path)
    return settings


def padding_row(value, where):
    """The row that stands for no item, or "none" where every row is one."""
    if value == "none" or is_count(value, 0):
        return value
    raise ConversionError(f"{where} is {value!r:.40}, expected a row, counted from 0, or none")


def gate_activation(reader):
    """How a GRU's gates are made, from the keys of Keras's layer: recurrent_activation is of the gates r and z, activation
    of the candidate."""
    if reader.get("activation") not in (None, "tanh"):
        reader.fail("activation", "tanh: a GRU's candidate is made by nothing else")
    gates = reader.get("recurrent_activation")
    if gates is None:
        return "sigmoid"
    if gates == "hard_sigmoid":
        reader.fail("recurrent_activation", "hard_sigmoid_keras2 for clip(0.2 x + 0.5, 0, 1), which hard_sigmoid is in Keras 1 and "
                    "2 and in tf.keras, or hard_sigmoid_keras3 for relu6(x + 3) / 6, which it is in Keras 3 and PyTorch")
    return reader.choice("recurrent_activation", GATE_ACTIVATIONS)


def _read_rating(path, value):
    if not isinstance(value, dict):
        raise ConversionError(f"{path}: rating is {value!r}, expected an object with mode")
    reader = Reader(path, value, ("mode", "values", "scale"), "rating")
    rating = Rating(reader.choice("mode", RATING_MODES), value.get("values") or [], value.get("scale"))
    if not isinstance(rating.values, list) or not all(map(_is_number, rating.values)):
        reader.fail("values", "numbers")
    if any(a >= b for a, b in zip(rating.values, rating.values[1:])):
        raise ConversionError(f"{path}: rating.values must ascend")
    if rating.mode == "embedding" and not rating.values:
        raise ConversionError(f"{path}: rating.mode embedding needs rating.values, one for each row of rating.weight")
    if rating.mode == "weight" and not _is_number(rating.scale):
        raise ConversionError(f"{path}: rating.mode weight needs the number rating.scale")
    if rating.mode != "embedding" and rating.values or rating.mode != "weight" and rating.scale is not None:
        raise ConversionError(f"{path}: rating.values belongs to mode embedding, rating.scale to mode weight")
    return rating
