"""LoRA adapters as PEFT 0.21 saves them."""
import math

import numpy as np

from helpers import FolderTest, layouts, same

QUERY, DOWN = "encoder.layer.0.attention.self.query", "encoder.layer.1.output.dense"
PREFIX = "base_model.model."


class Lora(FolderTest):
    def adapter(self, rank=4, **settings):
        """(folder, {module: (A, B)})"""
        folder, rng = self.folder / f"adapter-{len(list(self.folder.iterdir()))}", np.random.default_rng(3)
        folder.mkdir()
        pairs = {QUERY: (rng.standard_normal((rank, 48)), rng.standard_normal((48, rank))),
                 DOWN: (rng.standard_normal((rank, 96)), rng.standard_normal((48, rank)))}
        pairs = {module: tuple(part.astype(np.float32) for part in pair) for module, pair in pairs.items()}
        layouts.write_safetensors(folder / "adapter_model.safetensors", {
            f"{PREFIX}{module}.lora_{name}.weight": part for module, pair in pairs.items() for name, part in zip("AB", pair)})
        layouts.write_json(folder / "adapter_config.json", {
            "peft_type": "LORA", "base_model_name_or_path": "some/base", "r": rank, "lora_alpha": 6, "bias": "none", **settings})
        return folder, pairs

    def model(self):
        return self.encoder(dim=48, layers=2, heads=4, ff=96)

    def test_matrices_get_scale_times_b_a_and_others_stay(self):
        folder, state = self.model()
        plain = self.convert(folder, "--pooling", "mean")[1]
        for settings, scale in (({}, 6 / 4), ({"use_rslora": True}, 6 / math.sqrt(4)), ({"alpha_pattern": {"output.dense": 9}}, None)):
            with self.subTest(settings):
                adapter, pairs = self.adapter(**settings)
                tensors = self.convert(folder, "--pooling", "mean", "--lora", adapter)[1]
                self.assertIn("2 matrices merged", self.stderr)
                for ours, module, own in (("blk.0.attn_q.weight", QUERY, 6 / 4), ("blk.1.ffn_down.weight", DOWN, 9 / 4)):
                    down, up = (part.astype(np.float64) for part in pairs[module])
                    wanted = plain[ours].astype(np.float64) + (own if scale is None else scale) * up @ down
                    np.testing.assert_allclose(tensors[ours], wanted, rtol=1e-6, atol=1e-6)
                same(self, tensors["blk.0.attn_k.weight"], plain["blk.0.attn_k.weight"])
                same(self, tensors["token_embd.weight"], plain["token_embd.weight"])

    def test_what_is_not_merged_is_refused_and_the_way_is_told(self):
        folder, _ = self.model()
        for settings, words in (({"peft_type": "IA3"}, ("'IA3'", "merge_and_unload")), ({"use_dora": True}, ("use_dora",)), ({"bias": "all"}, ("bias",)),
                                ({"modules_to_save": ["classifier"]}, ("modules_to_save", "merge_and_unload")),
                                ({"lora_alpha": "many"}, ("lora_alpha", "'many'"))):
            with self.subTest(settings):
                self.refused(folder, *words, options=("--pooling", "mean", "--lora", str(self.adapter(**settings)[0])))
        adapter, _ = self.adapter()
        self.refused(adapter, "a LoRA adapter", "convert some/base with --lora")
        self.refused(folder, "no adapter_config.json", options=("--pooling", "mean", "--lora", str(folder)))
        (adapter / "adapter_model.safetensors").unlink()
        self.refused(folder, "no adapter_model.safetensors", options=("--pooling", "mean", "--lora", str(adapter)))

    def test_adapters_that_do_not_fit_are_refused(self):
        folder, _ = self.model()
        zeros = lambda *shape: np.zeros(shape, np.float32)
        for tensors, words in (({"nowhere.lora_A.weight": zeros(4, 48), "nowhere.lora_B.weight": zeros(48, 4)}, ("nowhere is no matrix",)),
                               ({f"{QUERY}.lora_A.weight": zeros(4, 48), f"{QUERY}.lora_B.weight": zeros(48, 3)}, ("do not fit together",)),
                               ({f"{QUERY}.lora_A.weight": zeros(4, 40), f"{QUERY}.lora_B.weight": zeros(48, 4)}, ("changes [48, 40]",)),
                               ({f"{QUERY}.lora_embedding_A": zeros(4, 48)}, ("lora_embedding_A", "merge_and_unload"))):
            adapter, _ = self.adapter()
            layouts.write_safetensors(adapter / "adapter_model.safetensors", {PREFIX + name: array for name, array in tensors.items()})
            self.refused(folder, *words, options=("--pooling", "mean", "--lora", str(adapter)))


if __name__ == "__main__":
    import unittest
    unittest.main()
