// What the parity tests share: golden files, comparison, and where the large parity material is.
// In: file names. Out: matrices and vectors of a golden, read with the library's own GGUF reader.
// Goldens are made by make_goldens.py, the large material by onnx/run.sh.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ranklet/core/matrix.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/model_file/layers.hpp"
#include "ranklet/model_file/reader.hpp"
#include "ranklet/model_file/self_test.hpp"
#include "results.hpp"

namespace parity {

/// The largest difference to a reference, relative to max(1, |expected|).
inline constexpr double tolerance = 1e-5;

using ranklet_test::take;

inline double worst_difference(std::span<const float> actual, std::span<const float> expected) {
    double worst = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double scale = std::max(1.0, std::abs(static_cast<double>(expected[i])));
        const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])) / scale;
        // A NaN is as wrong as can be; std::max alone would pass over it.
        worst = std::isnan(difference) ? HUGE_VAL : std::max(worst, difference);
    }
    return worst;
}

inline double cosine(std::span<const float> a, std::span<const float> b) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
        aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return ab / std::sqrt(aa * bb);
}

inline void check_close(std::span<const float> actual, std::span<const float> expected, const std::string& what,
                        double limit = tolerance) {
    REQUIRE_MESSAGE(actual.size() == expected.size(), what);
    const double worst = worst_difference(actual, expected);
    CHECK_MESSAGE(worst <= limit, what << ": differs from the reference by " << worst);
}

inline std::span<const float> flat(const ranklet::Matrix& matrix) {
    return {matrix.view().data, matrix.rows() * matrix.cols()};
}

/// The same for a row that a model computed. Where the model's products round their inputs to bf16 (uses_bf16_dot), by
/// up to 2^-9 of their size, which PyTorch's do not, it is compared with the row's largest value: the tiny models'
/// weights are random and spread wide, and the worst of their rows is off by 2.6 %. (Real ones: 0.3 %.)
class CloseTo {
public:
    explicit CloseTo(const std::string& model_path)
        : rounds_(ranklet::detail::rounds_bf16_inputs(take(ranklet::GgufFile::open(model_path)))) {}

    void check(std::span<const float> actual, std::span<const float> expected, const std::string& what) const {
        double largest = 1.0;
        for (const float e : expected) largest = std::max(largest, std::abs(static_cast<double>(e)));
        check_close(actual, expected, what, rounds_ ? 0.03 * largest : tolerance);
    }
    /// For numbers of magnitude 1.
    double tolerance_of_one() const { return rounds_ ? 0.03 : tolerance; }
    double least_cosine() const { return rounds_ ? 0.9999 : 0.99999; }

private:
    bool rounds_;
};

/// A golden file. Tests start at the project's root.
class Golden {
public:
    explicit Golden(const std::string& name) : file_(take(ranklet::GgufFile::open("tests/parity/goldens/" + name))) {}

    const ranklet::GgufFile& file() const { return file_; }
    ranklet::ModelReader reader() const { return ranklet::ModelReader(file_); }
    bool has(const std::string& tensor) const { return file_.has_tensor(tensor); }
    /// A tensor [rows, cols]; a vector is one row.
    ranklet::Matrix matrix(const std::string& name) const {
        const ranklet::TensorView tensor = take(file_.tensor(name));
        return take(reader().matrix(name, tensor.rows, tensor.cols));
    }
    std::vector<float> vector(const std::string& name) const {
        const ranklet::Matrix values = matrix(name);
        return {flat(values).begin(), flat(values).end()};
    }
    /// A vector that may be absent: empty then.
    std::vector<float> optional_vector(const std::string& name) const {
        return has(name) ? vector(name) : std::vector<float>();
    }
    std::size_t u32(const std::string& key) const { return take(file_.u32(key)); }

private:
    ranklet::GgufFile file_;
};

/// A zeroed matrix to write results to.
inline ranklet::Matrix zeros(std::size_t rows, std::size_t cols) { return take(ranklet::Matrix::zeroed(rows, cols)); }

inline ranklet::Scratch scratch_of(std::size_t bytes) {
    ranklet::Scratch scratch;
    const auto status = scratch.reserve(bytes);
    REQUIRE(status.ok());
    return scratch;
}

/// The folder of onnx/run.sh.
inline std::string material_folder() {
    const char* given = std::getenv("RANKLET_PARITY_DIR");
    return given != nullptr ? given : "build/parity";
}

}  // namespace parity
