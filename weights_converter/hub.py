"""The one module that uses the network: a model by its name on the Hugging Face Hub, from its cache or fetched into it.

In: what stands for CHECKPOINT on the command line. Out: a folder on disk. Only a name that is neither a path nor in the cache is
fetched, by huggingface_hub, after saying so; that library keeps HF_ENDPOINT, HF_TOKEN and its resuming of broken downloads.
Format: the cache's folders, models--ORG--NAME/refs/REVISION (a commit) and /snapshots/COMMIT/ (links to blobs).
"""
import os
import re

from .checkpoint import WEIGHT_FILES, read_json, read_text
from .errors import ConversionError
from .modules import ROUTERS
from .settings import FILE as SETTINGS

NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
CACHED = "models--"
# What a conversion may read beside weights, in a model's folder and in those of its modules
FILES = ("config.json", "modules.json", "config_sentence_transformers.json", "router_config.json", SETTINGS, "items.tsv",
         "sentence_bert_config.json", "sentence_distilbert_config.json", "sentence_roberta_config.json", "tokenizer.json",
         "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json", "wordembedding_config.json",
         "whitespacetokenizer_config.json")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "whitespacetokenizer_config.json")
INSTALL = "with huggingface_hub (pip install huggingface_hub) it would be fetched"


def cache_folder():
    """Where huggingface_hub keeps what it fetched, by the environment's variables that it knows."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface")
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.expandvars(os.path.expanduser(folder))


def is_offline():
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def model_name(folder):
    """NAME of a snapshot .../models--ORG--NAME/snapshots/COMMIT; None for any other folder."""
    parts = os.path.abspath(folder).split(os.sep)
    if len(parts) > 3 and parts[-2] == "snapshots" and parts[-3].startswith(CACHED):
        return parts[-3].split("--")[-1]
    return None


def find(checkpoint, note):
    """The folder or file that `checkpoint` stands for: itself, a snapshot of the cache, or one that is fetched; as it is
    where it can be neither. note(text): something the person should know."""
    if os.path.exists(checkpoint):
        return _snapshot(checkpoint, "main") or checkpoint if _is_cached(checkpoint) else checkpoint
    name, _, revision = checkpoint.partition("@")
    revision = revision or "main"
    if _is_cached(name):
        found = _snapshot(name, revision)
        if found is None:
            raise ConversionError(f"{name}: there is no revision {revision!r} in this folder of the Hub's cache")
        return found
    if not NAME.fullmatch(name) or name.endswith((".safetensors", ".bin", ".pth", ".pt", ".txt", ".vec", ".gguf")) \
            or "/" in name and os.path.isdir(name.split("/")[0]):
        return checkpoint
    folder = os.path.join(cache_folder(), CACHED + name.replace("/", "--"))
    found = _snapshot(folder, revision)
    missing = _missing(found) if found else "it is not there"
    if missing is None:
        note(f"{name} is taken from {found}")
        return found
    return _fetch(name, revision, folder, found, missing, note)


def _is_cached(folder):
    return os.path.basename(os.path.normpath(folder)).startswith(CACHED) and os.path.isdir(os.path.join(folder, "snapshots"))


def _snapshot(folder, revision):
    """The snapshot of a revision (a branch, a tag, a commit) in a model's folder of the cache; None: it is not there."""
    reference = os.path.join(folder, "refs", *revision.split("/"))
    commit = read_text(reference).strip() if ".." not in revision.split("/") and os.path.isfile(reference) else revision
    path = os.path.join(folder, "snapshots", commit)
    return path if re.fullmatch(r"[\w.-]+", commit) and os.path.isdir(path) else None


def _missing(snapshot):
    """What a snapshot lacks of what a conversion reads, as far as can be told without the network; None: nothing. Other
    programs fetch some of a model's files only; for files that they asked for in vain the cache has empty ones."""
    repository, commit = os.path.dirname(os.path.dirname(snapshot)), os.path.basename(snapshot)
    if not any(os.path.exists(path) for path in (os.path.join(snapshot, "modules.json"),
                                                 os.path.join(repository, ".no_exist", commit, "modules.json"))):
        return "it may have a modules.json, which is not there"
    files = [os.path.relpath(os.path.join(folder, name), snapshot).replace(os.sep, "/")
             for folder, _, names in os.walk(snapshot) for name in names if os.path.exists(os.path.join(folder, name))]

    def open_json(name, kind=dict):
        return read_json(os.path.join(snapshot, name), kind)

    folders = _folders(files, open_json)
    weights = [each for folder in folders for each in _weights(folder, files, open_json)]
    if not weights:
        return "it has no weights"
    lost = next((each for each in weights if each not in files), None)
    if lost is not None:
        return f"{lost} is not there"
    return None if any(_join(folder, each) in files for folder in folders for each in TOKENIZERS) else "it has no tokenizer"


def _join(folder, name):
    return f"{folder}/{name}" if folder else name


def _folders(files, open_json):
    """The folders of a model and its modules, inside it; "" is its own. files: all names; open_json(name): their content."""
    folders = [""]
    for entry in open_json("modules.json", list) if "modules.json" in files else ():
        if not isinstance(entry, dict):
            continue  # who reads it says what is wrong with it
        path = entry.get("path")
        folder = path.strip("/") if isinstance(path, str) and path != "." else ""
        folders.append(folder)
        router = _join(folder, "router_config.json")
        if str(entry.get("type")).rsplit(".", 1)[-1] in ROUTERS and router in files:
            folders += [_join(folder, str(each)) for each in open_json(router).get("types") or ()]
    return list(dict.fromkeys(folders))


def _weights(folder, files, open_json):
    """The weights in a folder, as find_weights chooses them: one file, or an index and its shards."""
    found = next((each for each in WEIGHT_FILES if _join(folder, each) in files), None)
    if found is None:
        return []
    found = _join(folder, found)
    if not found.endswith(".index.json"):
        return [found]
    shards = open_json(found).get("weight_map")
    return [found, *sorted({_join(folder, str(each)) for each in (shards.values() if isinstance(shards, dict) else ())})]


def _fetch(name, revision, folder, cached, missing, note):
    """A snapshot with all that a conversion reads; where none can be had, the one that there is, saying so.

    cached: that one, None: none; missing: why it will not do."""
    here = cached or os.path.dirname(folder)

    def do_without(why):
        if cached is None:
            raise ConversionError(f"{name}: no such file or folder, nor in the Hub's cache ({here}); {why}")
        note(f"{name} is taken as it is from {here}, though {missing}; {why}")
        return cached

    if is_offline():
        return do_without("HF_HUB_OFFLINE says not to fetch it")
    if "/" not in name:
        return do_without("to be fetched, a model is named ORGANISATION/NAME, as its page on the Hub is")
    try:
        import huggingface_hub
        from huggingface_hub import constants
        from huggingface_hub.errors import EntryNotFoundError
    except ImportError:
        return do_without(f"{INSTALL}, or download its files and name their folder")

    def get(file):
        return huggingface_hub.hf_hub_download(name, file, revision=commit, cache_dir=os.path.dirname(folder))

    try:
        note(f"asking {constants.ENDPOINT} for {name}{'' if revision == 'main' else '@' + revision}")
        info = huggingface_hub.HfApi().model_info(name, revision=revision, files_metadata=True)
        commit, sizes = info.sha, {each.rfilename: each.size for each in info.siblings or ()}

        def open_json(file, kind=dict):
            return read_json(get(file), kind)

        try:
            get("modules.json")
        except EntryNotFoundError:
            pass  # that it is not there is now in the cache
        folders = _folders(sizes, open_json)
        wanted = [_join(inside, each) for inside in folders for each in FILES if _join(inside, each) in sizes]
        wanted += [each for inside in folders for each in _weights(inside, sizes, open_json)]
        size = sum(sizes.get(each) or 0 for each in wanted)
        note(f"fetching {len(wanted)} files ({size / 1e6:.1f} MB) of {name} from {constants.ENDPOINT} into {folder}")
        paths = [get(each) for each in wanted]
        _remember(folder, revision, commit)
    except ConversionError:
        raise
    except Exception as error:  # of that library, of what it uses for the network, of the disk: all it can say is its text
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return do_without(f"it cannot be fetched ({type(error).__name__}: {reason}); files that were fetched stay for the next try")
    if not paths:
        raise ConversionError(f"{name}: has no files that a conversion reads; it has {', '.join(list(sizes)[:5])}")
    return os.path.join(folder, "snapshots", commit)


def _remember(folder, revision, commit):
    """The revision's commit, where the library (asked for the commit) wrote none."""
    path = os.path.join(folder, "refs", *revision.split("/"))
    if revision != commit and not (os.path.exists(path) and read_text(path).strip() == commit):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(commit)
