"""A checkpoint as the kinds look at it.

In: the path of a folder or weights file, and what the command line says of it. Out: its parts, each read when it is first
asked for, and once; errors are raised then. So a kind that knows its files by their names asks for nothing else.
"""
import os
from functools import cached_property

from . import hub, lora
from .checkpoint import StateDict, find_weights
from .errors import ConversionError
from .sentence import read_sentence_modules
from .settings import find_settings, read_settings


class Source:
    def __init__(self, path, config=None, model=None, models=None, note=lambda text: None, stage=lambda text: None,
                 route=None):
        """config: the folder of config.json, tokenizer and ranklet.json, None: the checkpoint's. model: the name of the
        command line, None: none. models: the names there are, with what each is. note(text): something the person who
        converts should know; stage(text): what is being done. route: of a Router, None: none is named."""
        self.path, self.config, self.note, self.stage, self.route = path, config, note, stage, route
        self._model, self._models = model, models or {}

    @property
    def root(self):
        """The checkpoint's own folder."""
        return self.path if os.path.isdir(self.path) else os.path.dirname(self.path) or "."

    @property
    def name(self):
        """The folder's name, which is the model's where nothing else names it; of a snapshot of the Hub's cache its own."""
        path = os.path.abspath(self.path)
        path = path if os.path.isdir(path) else os.path.dirname(path)
        return hub.model_name(path) or os.path.basename(path)

    @cached_property
    def _found(self):
        """(folder of config.json and tokenizer, weights file, sentence-transformers' modules or None)"""
        path = self.path
        if not os.path.exists(path):
            raise ConversionError(f"{path}: no such file or folder")
        if self.config and not os.path.isdir(self.config):
            raise ConversionError(f"{self.config}: --config expects a folder")
        if lora.is_adapter(path) and not os.path.isfile(os.path.join(path, "config.json")):
            raise ConversionError(f"{path}: a LoRA adapter, which has no weights of its own: convert {lora.base_of(path)} with --lora {path}")
        if os.path.isfile(path):
            folder = self.config or os.path.dirname(path) or "."
            return folder, path, read_sentence_modules(folder, self.route)
        root = self.config or path
        modules = read_sentence_modules(root, self.route)
        if modules is None:
            return root, find_weights(path), None
        return modules.folder, find_weights(modules.folder if path == root else path), modules

    @property
    def folder(self):
        return self._found[0]

    @property
    def weights(self):
        return self._found[1]

    @property
    def modules(self):
        return self._found[2]

    def check_route(self):
        """An error where a route is named and there is nothing that has any."""
        if self.route is not None and not os.path.exists(os.path.join(self.config or self.root, "modules.json")):
            raise ConversionError(f"{self.path}: has no modules.json with a Router, so --route means nothing")

    @cached_property
    def state(self):
        """The weights, a StateDict."""
        self.stage(f"reading {self.weights}")
        return StateDict(self.weights)

    @cached_property
    def ranklet_json(self):
        """(path, content) of ranklet.json; (None, {}) without one."""
        return find_settings([self.root, self.folder] + [self.config] * bool(self.config))

    @cached_property
    def settings(self):
        """ranklet.json as Settings."""
        return read_settings(*self.ranklet_json)

    @cached_property
    def model(self):
        """The named model that the checkpoint is, as ranklet.json or the command line says; None: neither names one."""
        path, content = self.ranklet_json
        stated = content.get("model")
        if self._model and stated not in (None, self._model):
            raise ConversionError(f"{path}: model is {stated!r}, the command line says {self._model!r}")
        name = self._model or stated
        if name is not None and name not in list(self._models):
            raise ConversionError(f"{path}: model is {name!r}, expected one of {', '.join(self._models)}")
        return name

    def refuse_model(self, what):
        """An error where the checkpoint is named: it has `what`, the named model has not."""
        if self.model is not None:
            raise ConversionError(f"{self.state.path}: {self.model} is {self._models[self.model]}; this has {what}")
