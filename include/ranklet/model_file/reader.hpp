// ModelReader: a model file's keys and tensors under a prefix, with errors that say the whole of it by themselves:
// the file, the key or tensor, what is there, and what was expected.
// In: an open GGUF file. Out: typed values, choices among names, vectors and matrices of a stated shape.
// Layers are read by model_file/layers.hpp, tokenizers by model_file/tokenizers.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/tensor.hpp"
#include "ranklet/io/gguf.hpp"

RANKLET_NAMESPACE_BEGIN

/// A name in a file and what it stands for.
template <class T>
struct Choice {
    std::string_view name;
    T value;
};

/// Cheap to copy; keeps the file open. Keys and tensors are named without the prefix.
class ModelReader {
public:
    explicit ModelReader(GgufFile file, std::string prefix = {}) : file_(std::move(file)), prefix_(std::move(prefix)) {}

    const GgufFile& file() const noexcept { return file_; }
    /// The keys and tensors `name`.*: scope("ranklet.gru").u32("hidden_size") reads ranklet.gru.hidden_size.
    ModelReader scope(std::string_view name) const { return ModelReader(file_, full(name) + "."); }
    /// The name with the prefix: as the file has it.
    std::string full(std::string_view name) const { return std::string(prefix_).append(name); }

    bool has(std::string_view key) const { return file_.has(full(key)); }
    bool has_tensor(std::string_view name) const { return file_.has_tensor(full(name)); }

    // Values. Error missing when the key is not there, format when it is of another type or does not fit.

    Result<std::uint32_t> u32(std::string_view key) const { return file_.u32(full(key)); }
    Result<float> f32(std::string_view key) const { return file_.f32(full(key)); }
    Result<bool> boolean(std::string_view key) const { return file_.boolean(full(key)); }
    Result<std::string_view> string(std::string_view key) const { return file_.string(full(key)); }
    Result<std::vector<std::string_view>> strings(std::string_view key) const { return file_.strings(full(key)); }
    Result<std::vector<float>> floats(std::string_view key) const { return file_.floats(full(key)); }
    Result<std::vector<double>> doubles(std::string_view key) const { return file_.doubles(full(key)); }
    Result<std::vector<std::int32_t>> i32s(std::string_view key) const { return file_.i32s(full(key)); }
    Result<std::vector<std::uint32_t>> u32s(std::string_view key) const { return file_.u32s(full(key)); }

    // The same, or a default where the key is not there.

    Result<std::uint32_t> u32_or(std::string_view key, std::uint32_t otherwise) const {
        if (has(key)) return u32(key);
        return otherwise;
    }
    Result<bool> boolean_or(std::string_view key, bool otherwise) const {
        if (has(key)) return boolean(key);
        return otherwise;
    }
    Result<std::string_view> string_or(std::string_view key, std::string_view otherwise) const {
        if (has(key)) return string(key);
        return otherwise;
    }
    Result<std::vector<std::string_view>> strings_or_none(std::string_view key) const {
        if (has(key)) return strings(key);
        return std::vector<std::string_view>();
    }

    /// A number of [low, high].
    RANKLET_COLD Result<std::uint32_t> u32_in(std::string_view key, std::uint32_t low, std::uint32_t high) const {
        RANKLET_ASSIGN(const std::uint32_t value, u32(key));
        if (value >= low && value <= high) return value;
        return wrong(key, {" is ", value, ", expected ", low, " to ", high});
    }
    /// As many strings as `size`.
    RANKLET_COLD Result<std::vector<std::string_view>> strings_of(std::string_view key, std::size_t size,
                                                                  std::string_view of) const {
        RANKLET_ASSIGN(auto values, strings(key));
        if (values.size() == size) return values;
        return wrong(key, {" has ", values.size(), " entries for ", size, " ", of});
    }

    /// What the key's string stands for. Error unsupported, naming the choices, when it is none of them.
    template <class T, std::size_t N>
    Result<T> choice(std::string_view key, const std::array<Choice<T>, N>& choices) const {
        RANKLET_ASSIGN(const std::string_view name, string(key));
        return choose(key, name, choices);
    }
    /// The same with a list written in place.
    template <class T>
    Result<T> choice(std::string_view key, std::initializer_list<Choice<T>> choices) const {
        RANKLET_ASSIGN(const std::string_view name, string(key));
        return choose(key, name, choices);
    }
    /// The same for a name that was read already, an entry of the key's list, say.
    template <class Choices>
    auto choose(std::string_view key, std::string_view name, const Choices& choices) const
        -> Result<std::remove_cvref_t<decltype(choices.begin()->value)>> {
        const auto first = choices.begin();
        RANKLET_ASSIGN(const std::size_t index, index_of(key, name, choices.size(), [&](std::size_t c) {
                           return (first + static_cast<std::ptrdiff_t>(c))->name;
                       }));
        return (first + static_cast<std::ptrdiff_t>(index))->value;
    }

    // Tensors. Error missing when it is not there, format when its shape is another, unsupported for a type that is not
    // read. Views look into the file.

    Result<TensorView> tensor(std::string_view name) const { return file_.tensor(full(name)); }
    Result<TensorView> tensor(std::string_view name, std::size_t rows, std::size_t cols) const {
        return file_.tensor(full(name), rows, cols);
    }
    /// [rows, cols] as f32, copied.
    RANKLET_COLD Result<Matrix> matrix(std::string_view name, std::size_t rows, std::size_t cols) const {
        RANKLET_ASSIGN(const TensorView found, tensor(name, rows, cols));
        RANKLET_ASSIGN(Matrix matrix, Matrix::zeroed(rows, cols));
        for (std::size_t r = 0; r < rows; ++r) dequantize_row(found, r, matrix.row(r).data());
        return matrix;
    }
    /// [size] as f32, copied.
    RANKLET_COLD Result<std::vector<float>> vector(std::string_view name, std::size_t size) const {
        RANKLET_ASSIGN(const TensorView found, tensor(name, 1, size));
        std::vector<float> values(size);
        dequantize_row(found, 0, values.data());
        return values;
    }
    /// The same; empty where the file has none.
    RANKLET_COLD Result<std::vector<float>> vector_or_none(std::string_view name, std::size_t size) const {
        if (has_tensor(name)) return vector(name, size);
        return std::vector<float>();
    }

    /// "FILE: KEY WHAT", for what only the caller can check; format unless it says otherwise.
    RANKLET_COLD detail::SharedError wrong(std::string_view key, std::initializer_list<ErrorPart> what,
                                           ErrorCode code = ErrorCode::format) const {
        return make_error(code, {file_.name(), ": ", prefix_, key}, what);
    }
    /// The result; an error gets file and key put before its message. What a caller would be told is an invalid
    /// argument is a malformed file here.
    template <class T>
    Result<T> at(std::string_view key, Result<T> result) const {
        if (result.ok()) return result;
        return located(key, result.error());
    }

private:
    RANKLET_OUT_OF_LINE detail::SharedError located(std::string_view key, const Error& error) const {
        return wrong(key, {": ", error.message},
                     error.code == ErrorCode::invalid_argument ? ErrorCode::format : error.code);
    }
    RANKLET_OUT_OF_LINE Result<std::size_t> index_of(std::string_view key, std::string_view name, std::size_t count,
                                                     FunctionView<std::string_view(std::size_t)> choice) const {
        std::string expected;
        for (std::size_t i = 0; i < count; ++i) {
            if (choice(i) == name) return i;
            if (i > 0) expected.append(i + 1 < count ? ", " : " or ");
            expected.append(choice(i));
        }
        return wrong(key, {" is \"", name, "\", expected ", expected}, ErrorCode::unsupported);
    }

    GgufFile file_;
    std::string prefix_;
};

RANKLET_NAMESPACE_END
