"""Checkpoints as sentence-transformers 6.2, transformers 5.24 and model2vec 0.10 save them, made by these libraries: converted,
they give in the library what the one that saved them gives. Models are tiny and random, with weights so large that texts differ.

Run by run.sh, in a Python that has them.
"""
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent / "parity")]
warnings.filterwarnings("ignore")

try:
    import model2vec
    import sentence_transformers
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"skipped: {missing.name} is not installed") from None

import make_checkpoints as layouts  # noqa: E402
import numpy as np  # noqa: E402
from sentence_transformers import CrossEncoder, SentenceTransformer  # noqa: E402
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer  # noqa: E402
from sentence_transformers.sentence_transformer import modules as st  # noqa: E402
from torch import nn  # noqa: E402
from weights_converter import compare, engine  # noqa: E402
from weights_converter.__main__ import main  # noqa: E402
from weights_converter.gguf import read_gguf  # noqa: E402

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)

DIM = 24
TEXTS = ["red phone case", "the new blue camera, waterproof", "手机壳 for a red phone", "Running SHOES", "a", "", "coffee bean & book: 2",
         "Kantō CAFÉ 無", "fast charger 快充电器 for the black camera and a tent " * 6]
PAIRS = [("red phone", "phone case"), ("red phone", "a tent for running"), ("手机", "手机壳"), ("coffee", ""), ("a " * 40, "the book " * 40)]
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def options(**given):
    return type("Options", (), {"route": None, "prompt": None, **given})()


class LayoutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = engine.program(lambda text: print(text, file=sys.stderr))

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ranklet-layouts-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        torch.manual_seed(20261201)

    # ---- what the libraries are given

    def base(self, kind="bert", lowercase=True, labels=None, tokenizer="BertTokenizer", positions=40, **config):
        """A folder as transformers saves it: a model of random weights and its tokenizer."""
        folder = self.folder / f"base-{len(list(self.folder.iterdir()))}"
        tokens = layouts.tiny_vocabulary() + ([] if lowercase else list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        layouts.write_tokenizer(folder, tokens, positions, lowercase, tokenizer)
        more = dict(config, **({} if labels is None else dict(num_labels=labels)))
        if kind == "bert":
            settings = transformers.BertConfig(vocab_size=len(tokens), hidden_size=DIM, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48,
                                               max_position_embeddings=positions, initializer_range=0.4, **more)
            names = transformers.BertModel, transformers.BertForSequenceClassification, transformers.BertForTokenClassification
        else:
            settings = transformers.DistilBertConfig(vocab_size=len(tokens), max_position_embeddings=positions, dim=DIM, n_layers=2, n_heads=3, hidden_dim=48,
                                                     initializer_range=0.4, **more)
            names = (transformers.DistilBertModel, transformers.DistilBertForSequenceClassification,
                     transformers.DistilBertForTokenClassification)
        task = 0 if labels is None else 2 if config.get("id2label") else 1
        model = names[task](settings)
        for name, tensor in model.named_parameters():  # transformers starts biases at 0 and norms at 1
            if tensor.dim() == 1:
                tensor.data += 0.3 * torch.randn_like(tensor)
        model.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        return folder

    def transformer(self, *arguments, module=None, **more):
        return Transformer(str(self.base(*arguments, **more)), **(module or {}))

    def dense(self, into, out, activation=nn.Tanh(), **more):
        dense = Dense(into, out, activation_function=activation, **more)
        dense.linear.weight.data *= 3
        return dense

    # ---- what is asked of the result

    def convert(self, folder, *arguments):
        out = self.folder / "out.gguf"
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
            code = main([str(folder), str(out), *arguments])
        self.assertEqual(code, 0, stderr.getvalue())
        self.notes = stderr.getvalue()
        return out, read_gguf(out)[0]

    def same(self, folder, *arguments, texts=TEXTS, prompt=None, route=None, bound=1e-5):
        """The converted folder gives what its own library gives; -> the numbers."""
        arguments += () if route is None else ("--route", route)
        out, metadata = self.convert(folder, *arguments)
        what, rows, counts = engine.run(self.engine, str(out), texts, prompt)
        original = compare.run_original(str(folder), metadata, texts, options(prompt=prompt, route=route))
        self.assertEqual((what, rows.shape, counts), (original.what, original.rows.shape, original.counts))
        scale = max(1.0, float(np.abs(original.rows).max()))
        np.testing.assert_allclose(rows, original.rows, rtol=0, atol=bound * scale)
        if what == "vectors":  # an error would show: texts are not alike
            self.assertGreater(float(np.std(original.rows, axis=0).max()), 0.02 * float(np.abs(original.rows).max()))
        return rows

    def refused(self, folder, *words, arguments=()):
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
            code = main([str(folder), str(self.folder / "refused.gguf"), *arguments])
        self.assertEqual(code, 1, stderr.getvalue())
        for word in words:
            self.assertIn(word, stderr.getvalue())

    def pair(self, folder, routes=("document", "query")):
        """Two converted files in one recommender are the model's encode_query, encode_document (without routes encode) and similarity."""
        files = []
        for route in routes or (None, None):
            out, _ = self.convert(folder, *(() if route is None else ("--route", route)))
            files.append(out.rename(self.folder / f"{len(files)}.gguf"))
        texts, rows = self.folder / "texts", self.folder / "rows"
        texts.write_bytes(b"".join(text.encode() + b"\0" for text in TEXTS))
        program = engine.program(lambda text: print(text, file=sys.stderr), str(HERE / "pair.cpp"))
        done = subprocess.run([program, *files, texts, rows], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        count, dim = len(TEXTS), int(done.stdout)
        found = [part.reshape(count, -1) for part in np.split(np.fromfile(rows, "<f4"), [count * dim, 2 * count * dim])]
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        queries, items = model.encode_query(TEXTS), model.encode_document(TEXTS) if routes else model.encode(TEXTS)
        for numbers, expected in zip(found, (queries, items, model.similarity(queries, items).numpy())):
            np.testing.assert_allclose(numbers, expected, rtol=0, atol=1e-5)
        return queries, items

    def save(self, *modules, **settings):
        """A folder as SentenceTransformer saves it."""
        folder = self.folder / f"model-{len(list(self.folder.iterdir()))}"
        SentenceTransformer(modules=list(modules), device="cpu", **settings).save_pretrained(str(folder), create_model_card=False)
        return folder


class Encoders(LayoutTest):
    def test_poolings_and_pairs_of_them(self):
        for pooling in (*POOLINGS, ("cls", "mean"), ("max", "lasttoken"), ("weightedmean", "mean_sqrt_len_tokens", "cls")):
            with self.subTest(pooling):
                self.same(self.save(self.transformer(), st.Pooling(DIM, pooling)))

    def test_families_lengths_and_types_of_weights(self):
        self.same(self.save(self.transformer("distilbert"), st.Pooling(DIM, "mean"), Normalize()))
        self.same(self.save(self.transformer(module={"max_seq_length": 12}), st.Pooling(DIM, "lasttoken")))
        folder = self.folder / "pickled"
        SentenceTransformer(modules=[self.transformer(), st.Pooling(DIM, "mean"), self.dense(DIM, 9)], device="cpu").save_pretrained(
            str(folder), create_model_card=False, safe_serialization=False)
        self.same(folder)
        for kind in (torch.float16, torch.bfloat16):
            transformer = self.transformer()
            transformer.model.to(kind)
            rows = self.same(self.save(transformer.float(), st.Pooling(DIM, "mean")))  # loaded, these are its numbers
            transformer.model.to(kind)
            out, _ = self.convert(self.save(transformer, st.Pooling(DIM, "mean")))
            np.testing.assert_array_equal(engine.run(self.engine, str(out), TEXTS)[1], rows)

    def test_a_model_of_transformers_alone_is_pooled_as_told(self):
        self.same(self.base(), "--pooling", "mean")

    def test_dense_modules(self):
        for activation in (nn.Tanh(), nn.Identity(), nn.GELU(), nn.ReLU(), nn.Sigmoid(), nn.SiLU()):
            with self.subTest(activation):
                self.same(self.save(self.transformer(), st.Pooling(DIM, "mean"), self.dense(DIM, 17, activation), Normalize()))
        for more in (dict(bias=False), dict(use_residual=True)):
            for out in (DIM, 11):
                with self.subTest(more, out=out):
                    self.same(self.save(self.transformer(), st.Pooling(DIM, "mean"), self.dense(DIM, out, **more), self.dense(out, 5)))

    def test_modules_of_token_states(self):
        of_tokens = dict(module_input_name="token_embeddings")
        pooling = lambda size: st.Pooling(size, ("mean", "max"))  # noqa: E731
        for modules in ([self.dense(DIM, 13, **of_tokens), pooling(13)], [Normalize(**of_tokens), pooling(DIM)],
                        [self.dense(DIM, DIM, use_residual=True, **of_tokens), self.dense(DIM, 30, nn.GELU(), use_residual=True, **of_tokens),
                         Normalize(**of_tokens), pooling(30), self.dense(60, 8), Normalize()]):
            with self.subTest([type(each).__name__ for each in modules]):
                self.same(self.save(self.transformer(), *modules))

    def test_layer_norm(self):
        norm = st.LayerNorm(DIM)
        norm.norm.weight.data = torch.randn(DIM)
        norm.norm.bias.data = torch.randn(DIM)
        self.same(self.save(self.transformer(), st.Pooling(DIM, "cls"), norm))
        self.same(self.save(self.transformer(), st.Pooling(DIM, "cls"), norm, st.Dropout(0.5), self.dense(DIM, 7), st.LayerNorm(7), Normalize()))

    def test_truncate_dim(self):
        for modules in ([], [Normalize()], [self.dense(DIM, 30)]):
            folder = self.save(self.transformer(), st.Pooling(DIM, "mean"), *modules, truncate_dim=10)
            self.assertEqual(self.same(folder).shape[1], 10)
            whole = self.save(self.transformer(), st.Pooling(DIM, "mean"), *modules, truncate_dim=100)
            self.assertGreater(self.same(whole).shape[1], 10)

    def test_prompts(self):
        prompts = {"query": "the new ", "passage": "book: ", "none": ""}
        for default in (None, "passage"):
            folder = self.save(self.transformer(), st.Pooling(DIM, "mean"), prompts=prompts, default_prompt_name=default)
            for prompt in (None, "query", "passage", "none"):
                self.same(folder, prompt=prompt)

    def test_the_prompt_of_queries(self):
        folder = self.save(self.transformer(), st.Pooling(DIM, "mean"), Normalize())
        settings = folder / "config_sentence_transformers.json"
        for prompts, default, alike in (({}, None, True), ({"query": "the new "}, None, False), ({"query": "the new "}, "query", True),
                                        ({"passage": "book: "}, "passage", False), ({"query": "", "passage": "book: "}, None, True),
                                        ({"query": "the new ", "passage": "book: "}, "passage", False)):
            with self.subTest(prompts, default=default):
                layouts.write_json(settings, {**json.loads(settings.read_text()), "prompts": prompts, "default_prompt_name": default})
                queries, items = self.pair(folder, routes=None)
                self.assertEqual(np.abs(queries - items).max() < 1e-6, alike)

    def test_prompts_left_out_of_pooling(self):
        prompts = {"query": "the new ", "odd": "waterpro"}
        for pooling in (*POOLINGS, ("cls", "weightedmean")):
            folder = self.save(self.transformer(), st.Pooling(DIM, pooling, include_prompt=False), prompts=prompts)
            for prompt in (None, "query", "odd"):
                with self.subTest(pooling, prompt=prompt):
                    self.same(folder, prompt=prompt)

    def test_do_lower_case(self):
        texts = [*TEXTS, "RED Phone Case [SEP] ÉTÉ İ ΟΔΟΣ"]
        for lowercase, tokenizer in ((True, "BertTokenizer"), (True, "PreTrainedTokenizerFast"), (False, "PreTrainedTokenizerFast")):
            with self.subTest(tokenizer, lowercase=lowercase):
                lower = self.transformer(lowercase=lowercase, tokenizer=tokenizer, module={"do_lower_case": True})
                self.same(self.save(lower, st.Pooling(DIM, "mean")), texts=texts)
        # Of this class transformers forgets, when it loads, that tokenizer.json lower-cases: the files contradict each other.
        folder = self.save(self.transformer(lowercase=False, module={"do_lower_case": True}), st.Pooling(DIM, "mean"))
        self.refused(folder, "lowercase is true, but do_lower_case in tokenizer_config.json is false")
        self.same(folder, "--lowercase", "no", texts=texts)

    def test_other_modules_are_refused_by_name(self):
        word = self.transformer()
        for module in (st.WeightedLayerPooling(DIM, 2, 1), st.CNN(DIM, 8), st.LSTM(DIM, 8)):
            folder = self.folder / type(module).__name__
            SentenceTransformer(modules=[word, module, st.Pooling(DIM, "mean")], device="cpu").save_pretrained(
                str(folder), create_model_card=False)
            self.refused(folder, f"module 1 is {type(module).__name__}; expected")
        self.refused(self.save(st.BoW(["red", "phone"])), "BoW")


class Routers(LayoutTest):
    def test_each_route_is_converted_by_its_task(self):
        query, document = self.transformer(), self.transformer("distilbert")
        routers = [[Router.for_query_document([query, st.Pooling(DIM, "mean")], [document, st.Pooling(DIM, "cls")]), Normalize()],
                   [Router.for_query_document([query], [document]), st.Pooling(DIM, "mean")],
                   [Router({"fast": [query, st.Pooling(DIM, "cls")], "exact": [document, st.Pooling(DIM, "max")]},
                           route_mappings={("query", None): "fast", ("document", "text"): "exact"})]]
        for modules in routers:
            folder = self.save(*modules, prompts={"query": "the new ", "document": "book: "})
            rows = [self.same(folder, route=route) for route in ("query", "document")]
            self.assertGreater(np.abs(rows[0] - rows[1]).max(), 0.1)
            self.assertIn("the prompt 'document' is put before every text", self.notes)
            self.refused(folder, "--route says which")
            self.refused(folder, "no route 'image'", arguments=("--route", "image"))

    def test_word_vectors_for_queries_and_a_transformer_for_items(self):
        folder = self.save(Router.for_query_document([self.static()], [self.transformer(), st.Pooling(DIM, "mean")]), Normalize())
        for route in ("query", "document"):
            self.same(folder, route=route)

    def test_a_recommender_of_both_routes_is_the_model(self):
        query, document = self.transformer(), self.transformer("distilbert")
        two = Router.for_query_document([query, st.Pooling(DIM, "mean")], [document, st.Pooling(DIM, "cls")])
        named = Router({"fast": [query, st.Pooling(DIM, "cls")], "exact": [document, st.Pooling(DIM, "max")]},
                       route_mappings={("query", None): "fast", ("document", "text"): "exact"})
        static = Router.for_query_document([self.static()], [document, st.Pooling(DIM, "mean")])
        both = {"query": "the new ", "document": "book: "}
        for name, router, settings in (("prompts", two, dict(prompts=both)), ("no prompts", two, {}),
                                       ("a default", two, dict(prompts=both, default_prompt_name="document")),
                                       ("of documents", two, dict(prompts={"document": "book: "}, default_prompt_name="document")),
                                       ("of queries", two, dict(prompts={"query": "the new "}, default_prompt_name="query")),
                                       ("another", two, dict(prompts={"passage": "book: "}, default_prompt_name="passage")),
                                       ("routes of other names", named, dict(prompts=both)),
                                       ("word vectors", static, dict(prompts={"document": "book: "}))):
            with self.subTest(name):
                queries, items = self.pair(self.save(router, Normalize(), **settings))
                self.assertGreater(np.abs(queries - items).max(), 0.1)
        older = self.save(two, Normalize(), prompts=both)  # without sentence-transformers 5's empty prompts
        settings = older / "config_sentence_transformers.json"
        for prompts, default in (({"passage": "book: "}, None), ({"passage": "book: "}, "passage"), ({"document": "book: "}, "document"),
                                 ({"other": "camera "}, "other")):
            with self.subTest(prompts, default=default):
                layouts.write_json(settings, {**json.loads(settings.read_text()), "prompts": prompts, "default_prompt_name": default})
                self.pair(older)

    def static(self):
        base = self.base()
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        return st.StaticEmbedding(tokenizer, embedding_weights=torch.randn(len(tokenizer), DIM))

    def test_one_encoder_for_both_needs_no_route(self):
        route = [self.transformer(), st.Pooling(DIM, "mean")]
        self.same(self.save(Router.for_query_document(route, route)))

    def test_a_model_without_a_router_has_no_route(self):
        folder = self.save(self.transformer(), st.Pooling(DIM, "mean"))
        self.refused(folder, "has no Router", arguments=("--route", "query"))


class StaticModels(LayoutTest):
    def tokenizer(self):
        return transformers.AutoTokenizer.from_pretrained(self.base())._tokenizer

    def test_static_embedding(self):
        tokenizer = self.tokenizer()
        weights = torch.randn(tokenizer.get_vocab_size(), DIM)
        module = st.StaticEmbedding(tokenizer, embedding_weights=weights)
        self.same(self.save(module))
        self.same(self.save(module, Normalize()))
        self.assertEqual(self.same(self.save(module, truncate_dim=7)).shape[1], 7)
        self.refused(self.save(module, Normalize(), truncate_dim=7), "truncate_dim behind Normalize")

    def test_word_embeddings(self):
        words = ["red", "phone", "case", "the", "new", "camera"]
        tokenizer = st.tokenizer.WhitespaceTokenizer(vocab=words, stop_words={"the"}, do_lower_case=True)
        embeddings = st.WordEmbeddings(tokenizer, torch.randn(len(words), DIM).numpy())
        weights = st.WordWeights(words, {"red": 2.0, "case": 0.5})
        for modules in ([], [weights]):
            self.same(self.save(embeddings, *modules, st.Pooling(DIM, "mean")), texts=["red phone case", "the new camera", "RED red tent"])

    def model2vec(self, **more):
        tokenizer = self.tokenizer()
        folder = self.folder / f"model2vec-{len(list(self.folder.iterdir()))}"
        rng = np.random.default_rng(7)
        vectors = more.pop("vectors", None)
        vectors = rng.standard_normal((tokenizer.get_vocab_size(), DIM), dtype=np.float32) if vectors is None else vectors(rng, tokenizer)
        model2vec.StaticModel(vectors, tokenizer, **more).save_pretrained(str(folder))
        return folder

    def test_model2vec_without_a_model_type(self):
        half = lambda rng, tokenizer: rng.standard_normal((tokenizer.get_vocab_size(), DIM)).astype(np.float16)  # noqa: E731
        small = lambda rng, tokenizer: rng.integers(-127, 128, (tokenizer.get_vocab_size(), DIM)).astype(np.int8)  # noqa: E731
        texts = [*filter(None, TEXTS), "☃ unknown ☃ red"]
        for more, bound in (({}, 1e-6), (dict(normalize=True), 1e-6), (dict(max_length=None), 1e-6), (dict(vectors=small), 1e-6),
                            (dict(config={"model_type": "model2vec"}), 1e-6), (dict(vectors=half), 1e-3)):  # it adds halves as halves
            with self.subTest(more):
                self.same(self.model2vec(**more), texts=texts, bound=bound)
        # It cuts a text by characters too (the limit times the median token's), which the library does not; here tokens are what cuts.
        self.same(self.model2vec(max_length=5), texts=["手机壳充电器快线", "红色", "蓝"])

    def test_model2vec_clustered(self):
        tokens = self.tokenizer().get_vocab_size()
        self.same(self.model2vec(vectors=lambda rng, tokenizer: rng.standard_normal((9, DIM), dtype=np.float32),
                                 token_mapping=np.arange(tokens) % 9, weights=np.linspace(0.1, 2, tokens, dtype=np.float32)))

    def test_model2vec_cut_to_fewer_numbers_when_loaded(self):
        folder = self.model2vec(normalize=True)
        out, _ = self.convert(folder, "--truncate-dim", "6")
        expected = model2vec.StaticModel.from_pretrained(str(folder), dimensionality=6).encode(TEXTS[:4])
        np.testing.assert_allclose(engine.run(self.engine, str(out), TEXTS[:4])[1], expected, atol=1e-6)


class Classifiers(LayoutTest):
    def test_cross_encoders(self):
        for tokenizer in ("BertTokenizer", "PreTrainedTokenizerFast"):
            for labels, activation in ((1, None), (1, nn.Identity()), (3, None), (3, nn.Sigmoid()), (3, nn.Softmax(-1))):
                with self.subTest(tokenizer, labels=labels, activation=activation):
                    base = self.base(labels=labels, tokenizer=tokenizer)
                    folder = self.folder / f"cross-{len(list(self.folder.iterdir()))}"
                    CrossEncoder(str(base), device="cpu", activation_fn=activation).save_pretrained(str(folder), create_model_card=False)
                    rows = self.same(folder, texts=PAIRS)
                    self.assertGreater(float(np.ptp(rows[:4], axis=0).max()), 0.01)
        folder = self.folder / "distilbert"
        CrossEncoder(str(self.base("distilbert", labels=1)), device="cpu").save_pretrained(str(folder), create_model_card=False)
        self.same(folder, texts=PAIRS)

    def test_a_cross_encoder_that_is_none_of_transformers_is_refused(self):
        folder = self.folder / "dense"
        CrossEncoder(modules=[self.transformer(), st.Pooling(DIM, "cls"), self.dense(DIM, 1, nn.Identity(), module_output_name="scores")],
                     device="cpu").save_pretrained(str(folder), create_model_card=False)
        self.refused(folder, "module_output_name of Dense is 'scores'")

    def test_sequence_classifiers(self):
        for kind in ("bert", "distilbert"):
            for problem, labels in (("single_label_classification", 3), ("multi_label_classification", 3), ("regression", 1), (None, 1),
                                    (None, 4), ("multi_label_classification", 1)):
                with self.subTest(kind, problem=problem, labels=labels):
                    folder = self.base(kind, labels=labels, problem_type=problem)
                    self.same(folder, texts=[text for text in TEXTS if text])
                    self.same(folder, texts=PAIRS[:3])

    def test_taggers(self):
        names = {0: "O", 1: "B-BRAND", 2: "I-BRAND"}
        for kind in ("bert", "distilbert"):
            folder = self.base(kind, labels=3, id2label=names, label2id={name: i for i, name in names.items()})
            self.same(folder)


class OtherModels(LayoutTest):
    def test_sparse_and_multi_vector_encoders_are_refused(self):
        from sentence_transformers import SparseEncoder
        from sentence_transformers.sparse_encoder.modules import SpladePooling
        base = self.folder / "masked"
        settings = transformers.BertConfig(vocab_size=len(layouts.tiny_vocabulary()), hidden_size=DIM, num_hidden_layers=1,
                                           num_attention_heads=3, intermediate_size=48, max_position_embeddings=40)
        layouts.write_tokenizer(base, layouts.tiny_vocabulary(), 40)
        transformers.BertForMaskedLM(settings).save_pretrained(base)
        folder = self.folder / "sparse"
        SparseEncoder(modules=[Transformer(str(base), transformer_task="fill-mask"), SpladePooling("max")], device="cpu").save_pretrained(
            str(folder), create_model_card=False)
        self.refused(folder, "module 1 is SpladePooling")


class Check(LayoutTest):
    def test_a_file_is_compared_with_its_original(self):
        folder = self.save(self.transformer(), st.Pooling(DIM, "mean"), Normalize())
        exact, _ = self.convert(folder)
        texts = self.folder / "texts.txt"
        texts.write_text("".join(f"{text} {n}\n" for n in range(9) for text in TEXTS[:4]), encoding="utf-8")

        def check(out, *arguments):
            stdout, stderr = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                code = main(["--check", str(out), str(folder), str(texts), *arguments])
            return code, stdout.getvalue(), stderr.getvalue()

        code, said, stderr = check(exact)
        self.assertEqual(code, 0, stderr)
        self.assertIn(f"with sentence-transformers {sentence_transformers.__version__} on 36 texts, run by the library itself", said)
        self.assertRegex(said, r"difference +[\d.]+e-0[678] at most")
        self.assertIn("cosine        1.000000 on average, 1.000000 at worst", said)
        self.assertIn("nearest       100.00 % of each text's 10 nearest are the same", said)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            small = self.folder / "small.gguf"
            self.assertEqual(main([str(folder), str(small), "--dtype", "i8"]), 0)
        said = check(small)[1]
        self.assertRegex(said, r"cosine        0\.99\d+ on average")
        other, _ = self.convert(self.save(self.transformer(), st.Pooling(DIM, "cls"), self.dense(DIM, 9)))
        code, _, stderr = check(other)
        self.assertEqual(code, 1)
        self.assertIn("the file gives vectors [36, 9], the original vectors [36, 24]", stderr)


if __name__ == "__main__":
    unittest.main()
