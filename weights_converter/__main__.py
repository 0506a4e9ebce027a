"""The command line: python3 -m weights_converter CHECKPOINT OUT.gguf, or --check OUT.gguf CHECKPOINT TEXTS"""
import argparse
import sys

try:
    import numpy  # noqa: F401  said plainly here, before the modules that use it
except ModuleNotFoundError:
    sys.exit("error: numpy is missing for this python3 (Debian: apt install python3-numpy, and /usr/bin/python3)")

from . import compare
from .convert import convert, models_of, options_of
from .errors import ConversionError
from .kinds import KINDS

DESCRIPTION = "Converts a Hugging Face checkpoint, a PyTorch recommender or word vectors into ranklet's model file (GGUF)."


class Progress:
    """One line on stderr that is written over; nothing at all when stderr is not a terminal."""

    def __init__(self):
        self.on = sys.stderr.isatty()

    def show(self, text):
        if self.on:
            sys.stderr.write(f"\r\033[K{text[:100]}")
            sys.stderr.flush()

    def say(self, text):
        self.show("")
        print(text, file=sys.stderr)


def make_parser(kinds):
    """What every kind takes, and the kinds' own options by what they are for."""
    parser = argparse.ArgumentParser(prog="python3 -m weights_converter", description=DESCRIPTION,
                                     epilog="--check OUT.gguf CHECKPOINT TEXTS compares a converted file with the original, on a "
                                     "text a line.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint's folder, or a weights file "
                        "(.safetensors, .bin, .pth), or a file of word vectors (word2vec, GloVe), or a name on the Hugging Face "
                        "Hub (ORGANISATION/NAME, ORGANISATION/NAME@REVISION), which is looked for in its cache, else fetched")
    parser.add_argument("out", metavar="OUT.gguf")
    parser.add_argument("--config", metavar="FOLDER", help="where config.json, the tokenizer and ranklet.json are, if not "
                        "with the weights")
    parser.add_argument("--dtype", choices=("f32", "f16", "bf16", "i8"), default="f32", help="of matrices (default: f32)")
    parser.add_argument("--model", choices=list(models_of(kinds)), help="the named recommender that the checkpoint is, where no "
                        "ranklet.json says it")
    parser.add_argument("--name", help="the model's name (default: the folder's)")
    groups = {}
    for option in options_of(kinds):
        if option.of not in groups:
            groups[option.of] = parser.add_argument_group(option.of)
        groups[option.of].add_argument(option.flag, **option.arguments)
    return parser


def read_values(options, kinds):
    """Texts given for options become the values that they stand for."""
    for option in options_of(kinds):
        value = getattr(options, option.name)
        if option.read and value is not None:
            setattr(options, option.name, option.read(value))


def main(arguments=None, kinds=KINDS):
    arguments = sys.argv[1:] if arguments is None else arguments
    progress = Progress()
    watch = dict(note=lambda text: progress.say(f"note: {text}"), stage=progress.show)
    if "--check" in arguments:
        return end(progress, "comparing", lambda: compare.main([each for each in arguments if each != "--check"], **watch))
    options = make_parser(kinds).parse_args(arguments)

    def work():
        read_values(options, kinds)
        return convert(options, kinds, **watch)

    return end(progress, options.checkpoint, work)


def end(progress, what, work):
    """The exit code of `work`, whose lines are printed; `what` names it where an error of the system does not."""
    try:
        lines = work()
    except ConversionError as error:
        progress.say(f"error: {error}")
        return 1
    except OSError as error:
        progress.say(f"error: {error.filename or what}: {error.strerror or error}")
        return 1
    except MemoryError:
        progress.say(f"error: {what}: not enough memory")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; nothing was written")
        return 130
    progress.show("")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
