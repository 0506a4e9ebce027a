"""A checkpoint becomes a model file: the kind that matches writes it.

In: the options of the command line. Out: the file, and lines that say what is in it. Errors: ConversionError, and then
nothing was written.
"""
import os

from . import hub
from .errors import ConversionError
from .kinds import KINDS
from .model import Model
from .options import refuse_others
from .selftest import write_selftest
from .source import Source


def convert(options, kinds=KINDS, note=lambda text: None, stage=lambda text: None):
    """Writes options.out; -> lines of a summary. note and stage: as Source has them."""
    _check_output(options.out)
    source = Source(hub.find(options.checkpoint, note), options.config, options.model, models_of(kinds), note, stage,
                    getattr(options, "route", None))
    source.check_route()
    kind = _find_kind(source, kinds)
    refuse_others(options, options_of(kinds), kind.OPTIONS, lambda option: kind.refusal(source, option))
    model = Model(options.dtype, options.name or source.name)
    lines, test = kind.write(model, source, options)
    stage("running the reference for the self-test")
    tested, tolerance = write_selftest(model, test)
    total = model.tensor_bytes()
    model.write(options.out, lambda done, name: stage(f"writing {min(100, 100 * done // max(1, total))} %  {name}"))
    size = os.path.getsize(options.out)
    return [f"wrote {options.out} ({size / 1e6:.1f} MB)", *lines,
            f"  parameters    {model.parameters():,}, stored as {options.dtype}",
            f"  self-test     {tested}, tolerance {tolerance:.2g}"]


def options_of(kinds):
    """All options of the kinds, each once."""
    return list(dict.fromkeys(option for kind in kinds for option in kind.OPTIONS))


def models_of(kinds):
    """All names of models, each with what such a model is."""
    return {name: what for kind in kinds for name, what in kind.MODELS.items()}


def _find_kind(source, kinds):
    for kind in kinds:
        if kind.matches(source):
            return kind
    looked_for = filter(None, dict.fromkeys(kind.looked_for(source) for kind in kinds))
    names = source.state.names()
    raise ConversionError(f"{source.state.path}: neither {' nor '.join(looked_for)} is in it; it has {', '.join(names[:4])}"
                          f"{' ...' if len(names) > 4 else ''}")


def _check_output(out):
    """What would fail at the end fails at the start."""
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise ConversionError(f"{out}: the folder {folder} does not exist")
    if os.path.isdir(out):
        raise ConversionError(f"{out}: is a folder, expected a file name")
    if not os.access(folder, os.W_OK):
        raise ConversionError(f"{out}: the folder {folder} cannot be written to")
