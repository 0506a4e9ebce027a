"""The command line: python3 -m weights_converter CHECKPOINT OUT.gguf"""
import argparse
import sys

try:
    import numpy  # noqa: F401  said plainly here, before the modules that use it
except ModuleNotFoundError:
    sys.exit("error: numpy is missing for this python3 (Debian: apt install python3-numpy, and /usr/bin/python3)")

from .classifier import ACTIVATIONS
from .convert import Options, convert
from .errors import ConversionError
from .news import NAMES
from .recommender import SCORINGS
from .sentence import POOLING_NAMES, pooling_list
from .word_vectors import POOLINGS, UNKNOWN

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


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python3 -m weights_converter", description=DESCRIPTION)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint's folder, or a weights file "
                        "(.safetensors, .bin, .pth), or a file of word vectors (word2vec, GloVe)")
    parser.add_argument("out", metavar="OUT.gguf")
    parser.add_argument("--config", metavar="FOLDER", help="where config.json, the tokenizer and ranklet.json are, if not "
                        "with the weights")
    parser.add_argument("--dtype", choices=("f32", "f16", "bf16", "i8"), default="f32", help="of matrices (default: f32)")
    parser.add_argument("--pooling", metavar="KIND[,KIND]", help=f"how token states become a text's vector, where no file "
                        f"says it: {', '.join(sorted(set(POOLING_NAMES.values())))}")
    parser.add_argument("--normalize", action="store_true", default=None, help="vectors have length 1, where no file says it")
    parser.add_argument("--max-length", type=int, metavar="TOKENS", help="tokens a text may have, [CLS] and [SEP] included")
    parser.add_argument("--scoring", choices=SCORINGS, help="how a recommender scores, where no ranklet.json says it")
    parser.add_argument("--lowercase", choices=("yes", "no"), help="whether text is lower-cased, where the files do not say "
                        "or contradict each other")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="what makes a sequence classifier's outputs scores, in "
                        "place of what config.json says")
    parser.add_argument("--unknown", choices=UNKNOWN, help="word vectors: a word that the vocabulary lacks is left out, is "
                        "the vector of unknown words, or its characters (default: skip, StaticEmbedding: row)")
    parser.add_argument("--word-pooling", choices=POOLINGS, help="word vectors: what their (weighted) sum is divided by: the "
                        "number of words, the weights' sum, nothing (default: mean)")
    parser.add_argument("--max-words", type=int, metavar="N", help="word vectors: only the file's first N words, which are "
                        "the most frequent ones in most files")
    parser.add_argument("--stop-words", metavar="en|zh|en,zh|FILE", help="word vectors: words left out of every text: the "
                        "project's English or Chinese list, or a file with a word a line")
    parser.add_argument("--items", metavar="FILE.tsv", help="ids and titles of learned items, one a line, separated by a tab "
                        "(default: items.tsv beside the weights, if it is there)")
    parser.add_argument("--model", choices=NAMES, help="the named recommender that the checkpoint is, where no ranklet.json says it")
    parser.add_argument("--name", help="the model's name (default: the folder's)")
    return parser.parse_args(arguments)


def main(arguments=None):
    given = parse(arguments)
    progress = Progress()
    try:
        lines = convert(Options(
            given.checkpoint, given.out, given.config, given.dtype,
            pooling_list(given.pooling.split(","), "--pooling") if given.pooling is not None else None,
            given.normalize, given.max_length, given.scoring,
            None if given.lowercase is None else given.lowercase == "yes", given.items, given.name,
            given.activation, given.unknown, given.word_pooling, given.max_words,
            stop_words=given.stop_words, model=given.model,
            note=lambda text: progress.say(f"note: {text}"), stage=progress.show))
    except ConversionError as error:
        progress.say(f"error: {error}")
        return 1
    except OSError as error:
        progress.say(f"error: {error.filename or given.checkpoint}: {error.strerror or error}")
        return 1
    except MemoryError:
        progress.say(f"error: {given.checkpoint}: not enough memory")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; nothing was written")
        return 130
    progress.show("")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
