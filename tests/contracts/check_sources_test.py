"""The source check finds each kind of violation, and only those."""

import pathlib
import tempfile
import unittest

import check_sources


class CheckSourcesTest(unittest.TestCase):
    def violations(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, "ranklet", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return [v.replace(folder + "/ranklet/", "") for v in check_sources.check(folder)]

    def test_clean_headers_pass(self):
        files = {
            "core/config.hpp": '// xsimd, std::cout and abort() may be named in a comment\n#include <cstddef>\n',
            "kernels/gemm.hpp": '#include <xsimd/xsimd.hpp>\n#include "ranklet/core/config.hpp"\nxsimd::batch<float> b;\n',
            "layers/linear.hpp": '#include <Eigen/Core>\n#include "ranklet/kernels/gemm.hpp"\nconst char* s = "exit(1)";\n',
            "encoders/item_encoder.hpp": '#include "ranklet/core/config.hpp"\n',
            "decoders/decoder.hpp": '#include "ranklet/encoders/item_encoder.hpp"\n',
            "recommender/kind.hpp": '#include "ranklet/decoders/decoder.hpp"\n',
            "recommender.hpp": '#include "ranklet/recommender/kind.hpp"\n',
            "ranklet.hpp": '#include "ranklet/recommender.hpp"\n',
        }
        self.assertEqual(self.violations(files), [])

    def test_an_include_against_the_stream_is_found(self):
        for header, target in [("core/a.hpp", "kernels/b.hpp"), ("text/a.hpp", "io/b.hpp"), ("io/a.hpp", "kernels/b.hpp"),
                               ("kernels/a.hpp", "layers/b.hpp"), ("layers/a.hpp", "model_file/b.hpp"),
                               ("catalog/a.hpp", "recommender.hpp"), ("ranking/a.hpp", "decoders/decoder.hpp"),
                               ("encoders/a.hpp", "decoders/b.hpp"), ("decoders/a.hpp", "encoders/bert.hpp"),
                               ("recommender/a.hpp", "recommender.hpp"), ("recommender.hpp", "explain/b.hpp"),
                               ("core/a.hpp", "ranklet.hpp")]:
            found = self.violations({header: f'\n#include "ranklet/{target}"\n', target: ""})
            self.assertEqual(len(found), 1, (header, target, found))
            self.assertIn(f"{header}:2:", found[0])
            self.assertIn("one way", found[0])

    def test_the_order_has_no_circle(self):
        above = set()
        for place, known in check_sources.FOLDERS.items():
            self.assertLessEqual({name if name in check_sources.FOLDERS else name.split("/")[0] for name in known}, above)
            above.add(place)

    def test_forbidden_words_are_found(self):
        for text in ["void f() { abort(); }", "void f() { std::exit(1); }", 'void f() { printf("x"); }',
                     "auto& s = std::cout;", "auto& s = std::cerr;", "#include <iostream>", "void f() { throw 1; }",
                     "void f() { std::terminate(); }", "FILE* f = stderr;"]:
            self.assertEqual(len(self.violations({"layers/a.hpp": text})) > 0, True, text)

    def test_simd_outside_the_kernels_is_found(self):
        for text in ["#include <xsimd/xsimd.hpp>", "__m256 x;", "auto x = _mm512_set1_ps(1);", "#include <immintrin.h>",
                     "auto x = vaddq_f32(a, b);"]:
            self.assertEqual(len(self.violations({"ranking/a.hpp": text})) > 0, True, text)

    def test_eigen_in_text_an_unknown_folder_and_a_missing_header_are_found(self):
        self.assertEqual(len(self.violations({"text/a.hpp": "#include <Eigen/Core>"})), 1)
        self.assertEqual(len(self.violations({"other/a.hpp": ""})), 1)
        self.assertEqual(len(self.violations({"core/a.hpp": '#include "ranklet/core/b.hpp"'})), 1)
        self.assertEqual(len(self.violations({"core/a.hpp": '#include "b.hpp"'})), 1)
        self.assertEqual(len(self.violations({})), 1)


if __name__ == "__main__":
    unittest.main()
