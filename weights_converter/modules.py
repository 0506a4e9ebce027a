"""modules.json of sentence-transformers: which modules a model is made of, in order, each with its folder.

In: a folder, and which route of a Router is meant. Out: a list of Modules; None without modules.json.
Format: sentence-transformers 2 to 6; router_config.json of Router (config.json of Asym, its name before 5).
"""
import ast
import os
from dataclasses import dataclass

from .checkpoint import read_json
from .errors import ConversionError

ROUTERS = ("Router", "Asym")
# The tasks whose prompt is put before a text where none is named: encode_query's and encode_document's. sentence-transformers
# gives every model both prompts, empty where its files have none: encode_document's next choices are never met.
TASKS = ("query", "document")
OTHER_PROMPTS = ("passage", "corpus")


@dataclass(frozen=True)
class Module:
    kind: str  # its class's name
    folder: str
    where: str  # the file that names it, and the place there


def _inside(folder, path, where):
    if not isinstance(path, str) or os.path.isabs(path) or ".." in path.split("/"):
        raise ConversionError(f"{where} has the path {path!r}, expected a folder inside")
    return os.path.normpath(os.path.join(folder, path)) if path not in ("", ".") else folder


def read_modules(root, route=None):
    """route: what texts are, "query" or "document" say, or the name of one of a Router's routes."""
    path = os.path.join(root, "modules.json")
    if not os.path.exists(path):
        return None
    modules, routed = [], False
    for position, entry in enumerate(read_json(path, list)):
        where = f"{path}: module {position}"
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise ConversionError(f"{where} has no type")
        kind = entry["type"].rsplit(".", 1)[-1]
        folder = _inside(root, entry.get("path") or "", where)
        if kind in ROUTERS:
            modules += _routed(folder, route)
            routed = True
        else:
            modules.append(Module(kind, folder, where))
    if route is not None and not routed:
        raise ConversionError(f"{path}: has no Router, so --route means nothing")
    return modules


def _routed(folder, route):
    """The modules of one of a Router's routes."""
    path = os.path.join(folder, "router_config.json")
    path = path if os.path.exists(path) else os.path.join(folder, "config.json")
    config = read_json(path)
    types, routes, parameters = config.get("types"), config.get("structure"), config.get("parameters") or {}
    if not isinstance(types, dict) or not isinstance(routes, dict) or not isinstance(parameters, dict) or not routes \
            or not all(isinstance(ids, list) for ids in routes.values()):
        raise ConversionError(f"{path}: expected a Router's objects types and structure (names of routes, each with its modules)")
    name = _route_name(route, routes, parameters, path)
    modules = []
    for each in routes[name]:
        where = f"{path}: route {name}: {each}"
        if not isinstance(each, str) or not isinstance(types.get(each), str):
            raise ConversionError(f"{where} has no type")
        modules.append(Module(types[each].rsplit(".", 1)[-1], _inside(folder, each, where), where))
    return modules


def _route_name(route, routes, parameters, path):
    """The route that sentence-transformers takes for texts of this task, or the one of this name."""
    known = ", ".join(routes)
    if route is None:
        if len({tuple(ids) for ids in routes.values()}) == 1:
            return next(iter(routes))
        raise ConversionError(f"{path}: a Router with an encoder for each of {known}; a model file holds one: --route says which "
                              "(query and document as encode_query and encode_document have them)")
    mappings = {}
    for key, name in (parameters.get("route_mappings") or {}).items():
        try:
            task, modality = ast.literal_eval(key)
        except (ValueError, SyntaxError, TypeError):
            raise ConversionError(f"{path}: route_mappings has the key {key!r}, expected a task and a modality") from None
        mappings[task, modality] = name
    for name in (mappings.get((route, "text")), mappings.get((route, None)), route):
        if name in routes:
            return name
    raise ConversionError(f"{path}: no route {route!r}; there are {known}")


def default_prompt(route, prompts, stated):
    """(name, text) of the prompt that texts of a route get where none is named; stated: the name of the model's own default."""
    name = route if route in TASKS else stated
    return name, prompts.get(name, "")
