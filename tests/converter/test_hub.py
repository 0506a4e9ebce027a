"""Models by name: from a cache as huggingface_hub makes it, and from a server that answers as the Hub does."""
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import unittest
from unittest import mock

import numpy as np

from helpers import REPOSITORY, FolderTest, edit, layouts, run
from weights_converter import hub
from weights_converter.gguf import read_gguf

try:
    import huggingface_hub
except ImportError:
    huggingface_hub = None

needs_hub = unittest.skipIf(huggingface_hub is None, "skipped: huggingface_hub is not installed")
COMMIT, OTHER = "a" * 40, "b" * 40
ENVIRONMENT = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_TOKEN")


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class HubTest(FolderTest):
    def setUp(self):
        super().setUp()
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        for name in ENVIRONMENT:
            os.environ.pop(name, None)
        os.environ["HF_HOME"] = str(self.folder / "home")
        self.repository = self.folder / "home/hub/models--shop--titles"

    def model(self):
        """A folder of sentence-transformers, as it would be on the Hub."""
        folder, _ = self.encoder("titles")
        layouts.write_sentence_transformers(folder, 48, ["mean"], 20)
        return folder

    def cache(self, folder, commit=COMMIT, revision="main", but=()):
        """The folder in the cache, as huggingface_hub lays it out: blobs, and links to them."""
        for name, data in files_of(folder).items():
            if name in but:
                continue
            blob = self.repository / "blobs" / hashlib.sha256(data).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(data)
            link = self.repository / "snapshots" / commit / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
        reference = self.repository / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)


class Cache(HubTest):
    def test_a_name_is_its_snapshot_and_the_models_name_is_the_names(self):
        folder = self.model()
        self.convert(folder, "--name", "titles")
        expected = (self.folder / "out.gguf").read_bytes()
        self.cache(folder)
        metadata, _ = self.convert("shop/titles")
        self.assertEqual(metadata["general.name"], "titles")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), expected)
        self.assertIn(f"shop/titles is taken from {self.repository}/snapshots/{COMMIT}", self.stderr)
        for path in (self.repository, self.repository / "snapshots" / COMMIT):  # the folders themselves
            self.assertEqual(self.convert(path)[0]["general.name"], "titles")

    def test_a_revision_is_a_branch_a_tag_or_a_commit(self):
        folder = self.model()
        self.cache(folder)
        edit(folder / "config_sentence_transformers.json", prompts={"query": "find: "})
        self.cache(folder, OTHER, "refs/pr/7")
        for revision, prompts in (("", None), ("@main", None), (f"@{COMMIT}", None), ("@refs/pr/7", ["query"]), (f"@{OTHER}", ["query"])):
            metadata, _ = self.convert(f"shop/titles{revision}")
            self.assertEqual(metadata.get("ranklet.prompts.names"), prompts, revision)
            metadata, _ = self.convert(f"{self.repository}{revision}")
            self.assertEqual(metadata.get("ranklet.prompts.names"), prompts, revision)
        self.refused(f"{self.repository}@v2", "there is no revision 'v2'")

    def test_the_cache_is_where_the_environment_says(self):
        folder = self.model()
        self.cache(folder)
        moved = self.folder / "elsewhere"
        (self.folder / "home/hub").rename(moved)
        os.environ["HF_HUB_OFFLINE"] = "1"
        self.refused("shop/titles", f"nor in the Hub's cache ({self.folder}/home/hub)", "HF_HUB_OFFLINE")
        os.environ["HF_HUB_CACHE"] = str(moved)
        self.convert("shop/titles")
        del os.environ["HF_HUB_CACHE"]
        os.environ["HUGGINGFACE_HUB_CACHE"] = str(moved)
        self.convert("shop/titles")

    def test_what_other_programs_left_is_known_to_be_whole_or_not(self):
        folder = self.model()
        os.environ["HF_HUB_OFFLINE"] = "true"
        for left_out, why in ((("modules.json",), "it may have a modules.json"), (("model.safetensors",), "it has no weights"),
                              (("tokenizer.json", "vocab.txt"), "it has no tokenizer")):
            self.cache(folder, but=left_out)
            code, _, stderr = run("shop/titles", self.folder / "out.gguf", "--pooling", "mean")
            self.assertIn(f"though {why}", stderr)
            self.assertEqual(code, 0 if "modules.json" in left_out else 1, stderr)
            shutil.rmtree(self.repository)
        self.cache(folder, but=("modules.json",))
        known = self.repository / ".no_exist" / COMMIT / "modules.json"  # asked for by another program, and not there
        known.parent.mkdir(parents=True)
        known.touch()
        self.convert("shop/titles", "--pooling", "mean")
        self.assertIn("is taken from", self.stderr)

    def test_shards_that_are_not_all_there_are_told(self):
        folder = self.model()
        (folder / "model.safetensors").unlink()
        layouts.write_json(folder / "model.safetensors.index.json", {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
        (folder / "model-1.safetensors").write_bytes(b"")
        self.cache(folder)
        os.environ["HF_HUB_OFFLINE"] = "1"
        self.assertIn("though model-2.safetensors is not there", run("shop/titles", self.folder / "x.gguf")[2])

    def test_a_path_that_does_not_exist_is_not_taken_for_a_name(self):
        (self.folder / "models").mkdir()
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        for path in ("models/titles", "./shop/titles", "../shop/titles", "/shop/titles", "shop/titles.safetensors", "glove.txt", "a/b/c"):
            self.assertEqual(hub.find(path, self.fail), path)
        self.refused("titles", "titles: no such file or folder", "a model is named ORGANISATION/NAME")

    def test_without_the_library_it_is_told_what_to_install(self):
        with mock.patch.dict(sys.modules, {"huggingface_hub": None}):
            self.refused("shop/titles", "nor in the Hub's cache", "pip install huggingface_hub", "or download its files")


class Hub(http.server.ThreadingHTTPServer):
    """Answers as the Hub does of the models it is given: {name: {revision: (commit, {file: bytes})}}."""

    def __init__(self, models):
        super().__init__(("127.0.0.1", 0), Answer)
        self.models, self.asked, self.breaks = models, [], set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def find(self, name, revision):
        """((commit, files), what is missing)"""
        if name not in self.models:
            return None, "RepoNotFound"
        revisions = self.models[name]
        found = revisions.get(revision) or next((each for each in revisions.values() if each[0] == revision), None)
        return found, "RevisionNotFound"


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        listing = re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/(?:revision|tree)/(.+)", path)
        file = re.fullmatch(r"/([\w-]+/[\w-]+)/resolve/([\w.%-]+)/(.+)", path)
        if not listing and not file:
            return self.say(404, b"", {})
        name, revision = (listing or file).group(1, 2)
        found, missing = self.server.find(name, revision.replace("%2F", "/"))
        if found is None:
            return self.say(404, b"{}", {"X-Error-Code": missing})
        commit, files = found
        if listing and "/tree/" in path:  # by pages; there is one
            return self.say(200, json.dumps([{"type": "file", "path": each, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                                             for each, data in files.items()]).encode(), {"Content-Type": "application/json"})
        if listing:
            siblings = [{"rfilename": each, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()} for each, data in files.items()]
            return self.say(200, json.dumps({"_id": "1", "id": name, "modelId": name, "sha": commit, "private": False, "tags": [],
                                             "downloads": 0, "likes": 0, "siblings": siblings}).encode(), {"Content-Type": "application/json"})
        data = files.get(file.group(3))
        if data is None:
            return self.say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        self.server.asked.append((self.command, file.group(3), self.headers.get("Range")))
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")[1])
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.say(206 if start else 200, data[start:], headers, self.command == "GET" and file.group(3) in self.server.breaks)

    def say(self, status, body, headers, breaks=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if breaks:
            self.server.breaks.clear()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)


@needs_hub
class Fetching(HubTest):
    """In a process of its own: huggingface_hub reads the environment when it is imported."""

    def serve(self, **revisions):
        self.server = Hub({"shop/titles": {name.replace("_", "/"): each for name, each in revisions.items()}})
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def run_converter(self, name, *options, **environment):
        """(exit code, stderr), and the file in self.folder/out.gguf"""
        done = subprocess.run([sys.executable, "-m", "weights_converter", name, str(self.folder / "out.gguf"), *options],
                              cwd=REPOSITORY, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "HF_ENDPOINT": self.endpoint, **environment}, check=False)
        return done.returncode, done.stderr

    def fetched(self):
        return sorted({name for command, name, _ in self.server.asked if command == "GET"})

    def test_what_a_conversion_reads_is_fetched_and_nothing_else_and_once(self):
        folder = self.model()
        self.convert(folder, "--name", "titles")
        expected = (self.folder / "out.gguf").read_bytes()
        files = files_of(folder)
        for name in ("pytorch_model.bin", "onnx/model.onnx", "onnx/config.json", "README.md", "tf_model.h5", "openvino/openvino_model.bin"):
            files[name] = b"not wanted"
        self.serve(main=(COMMIT, files))
        code, stderr = self.run_converter("shop/titles")
        self.assertEqual(code, 0, stderr)
        self.assertEqual((self.folder / "out.gguf").read_bytes(), expected)
        self.assertEqual(self.fetched(), sorted(files_of(folder)))
        said = stderr.index(f"fetching {len(files_of(folder))} files (")
        self.assertIn(f"of shop/titles from {self.endpoint} into {self.repository}", stderr[said:])
        self.server.asked.clear()
        code, stderr = self.run_converter("shop/titles", HF_HUB_OFFLINE="1")
        self.assertEqual((code, self.server.asked), (0, []), stderr)
        # What the library itself finds there is what was converted.
        found = huggingface_hub.scan_cache_dir(self.folder / "home/hub")
        self.assertEqual([(each.repo_id, sorted(each.refs)) for each in found.repos], [("shop/titles", ["main"])])

    def test_a_cache_made_by_the_library_is_used_without_the_network(self):
        self.serve(main=(COMMIT, files_of(self.model())))
        done = subprocess.run([sys.executable, "-c", "import huggingface_hub; huggingface_hub.snapshot_download('shop/titles')"],
                              env={**os.environ, "HF_ENDPOINT": self.endpoint}, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.server.asked.clear()
        code, stderr = self.run_converter("shop/titles", HF_ENDPOINT="http://127.0.0.1:9")
        # It may have no modules.json only where nobody asked for it; here it is there.
        self.assertEqual((code, self.server.asked), (0, []), stderr)

    def test_a_model_without_modules_is_asked_for_them_once(self):
        folder, _ = self.encoder("titles")
        self.serve(main=(COMMIT, files_of(folder)))
        for _ in range(2):
            code, stderr = self.run_converter("shop/titles", "--pooling", "mean")
            self.assertEqual(code, 0, stderr)
        self.assertIn("is taken from", stderr)

    def test_shards_and_a_revision(self):
        folder = self.model()
        state = layouts.bert_state(layouts.Draw("titles"), json.loads((folder / "config.json").read_text()))
        names, weight_map = list(state), {}
        (folder / "model.safetensors").unlink()
        for n in range(2):
            part = names[n::2]
            layouts.write_safetensors(folder / f"model-{n}.safetensors", {name: state[name] for name in part})
            weight_map.update(dict.fromkeys(part, f"model-{n}.safetensors"))
        layouts.write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})
        self.serve(main=(OTHER, {"config.json": b"{}"}), v2=(COMMIT, files_of(folder)), refs_pr_1=(COMMIT, files_of(folder)))
        for revision in ("v2", "refs/pr/1", COMMIT):
            code, stderr = self.run_converter(f"shop/titles@{revision}")
            self.assertEqual(code, 0, stderr)
        self.assertEqual(self.fetched(), sorted(files_of(folder)))

    def test_a_connection_that_breaks_is_taken_up_where_it_broke_and_whole_files_stay(self):
        folder = self.model()
        state = layouts.bert_state(layouts.Draw("titles"), json.loads((folder / "config.json").read_text()))
        state["cls.predictions.bias"] = np.zeros(6 << 20, np.float32)  # the library reads 10 MB at a time
        layouts.write_safetensors(folder / "model.safetensors", state)
        self.serve(main=(COMMIT, files_of(folder)))
        self.server.breaks.add("model.safetensors")
        code, stderr = self.run_converter("shop/titles")
        self.assertEqual(code, 0, stderr)
        ranges = [given for command, name, given in self.server.asked if (command, name) == ("GET", "model.safetensors")]
        self.assertEqual(len(ranges), 2)
        self.assertRegex(ranges[1], r"bytes=[1-9]\d*-")
        read_gguf(self.folder / "out.gguf")

    def test_what_the_hub_has_not_and_a_hub_that_does_not_answer(self):
        self.serve(main=(COMMIT, {"README.md": b""}))
        for name, words in (("shop/nothing", "RepositoryNotFoundError"), ("shop/titles@v9", "RevisionNotFoundError"),
                            ("shop/titles", "has no files that a conversion reads; it has README.md")):
            code, stderr = self.run_converter(name)
            self.assertEqual(code, 1, stderr)
            self.assertIn(words, stderr)
        code, stderr = self.run_converter("shop/nothing", HF_ENDPOINT="http://127.0.0.1:9")
        self.assertEqual(code, 1)
        self.assertIn("error: shop/nothing: no such file or folder", stderr)
        self.assertIn("cannot be fetched", stderr)


if __name__ == "__main__":
    unittest.main()
