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
            "ranklet.hpp": '#include "ranklet/layers/linear.hpp"\n#include "ranklet/recommender/rank.hpp"\n',
            "recommender/rank.hpp": '#include "ranklet/ranklet.hpp"\n',
        }
        self.assertEqual(self.violations(files), [])

    def test_an_include_against_the_stream_is_found(self):
        for folder, other in [("core", "kernels"), ("text", "io"), ("io", "kernels"), ("kernels", "layers"),
                              ("layers", "text"), ("ranking", "layers"), ("encoders", "decoders"), ("core", "")]:
            target = f"{other}/b.hpp" if other else "b.hpp"
            found = self.violations({f"{folder}/a.hpp": f'\n#include "ranklet/{target}"\n', target: ""})
            self.assertEqual(len(found), 1, (folder, other, found))
            self.assertIn("a.hpp:2:", found[0])
            self.assertIn("one way", found[0])

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
