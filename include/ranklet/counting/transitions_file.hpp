// Transitions on disk: in a file of their own, or in a model file beside everything else.
// In: a table and a path or a GgufWriter. Out: a table whose followers, strengths and times are used where they lie in the
// mapped file; processes share them.
// Keys and tensors: `ranklet.transitions.*`, listed in docs/model-file.md.
#pragma once

#include <string>
#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/counting/transitions.hpp"

RANKLET_NAMESPACE_BEGIN

class GgufFile;
class GgufWriter;

/// What keys and tensors of transitions begin with, unless the caller has another name for them.
inline constexpr std::string_view transitions_prefix = "ranklet.transitions.";

struct TransitionsLoadOptions {
    /// Compare the numbers' checksum. (The header's is always compared, and every number is looked at either way: a
    /// follower must be a row, a strength finite and in order.)
    bool verify_checksum = true;
};

/// Writes a file of its own, whole or not at all. Error io when it cannot be written.
RANKLET_COLD Result<void> save_transitions(const Transitions& transitions, const std::string& path);
/// Maps a file that save_transitions wrote; it must not be changed in place while any copy lives. Error io, format,
/// missing or unsupported, naming the place, when it is damaged or something else.
RANKLET_COLD Result<Transitions> load_transitions(const std::string& path, const TransitionsLoadOptions& options = {});

/// The table as keys and tensors of a file that is being written; it must live until that is done.
RANKLET_COLD void write_transitions(GgufWriter& writer, const Transitions& transitions,
                                    std::string_view prefix = transitions_prefix);
void write_transitions(GgufWriter& writer, Transitions&& transitions,
                       std::string_view prefix = transitions_prefix) = delete;  // the writer looks at its numbers later
/// The table in an open file, whose checksums are the caller's affair. It keeps the file; bytes that the file looks at in
/// memory must outlive it. Error missing when the file has none; format or unsupported when what it has is damaged.
RANKLET_COLD Result<Transitions> read_transitions(const GgufFile& file, std::string_view prefix = transitions_prefix);

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ranklet/core/tensor.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/io/gguf_writer.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// Reads a table's parts under a prefix.
class TransitionsReader {
public:
    TransitionsReader(const GgufFile& file, std::string_view prefix) : file_(file), prefix_(prefix) {}

    RANKLET_COLD Result<Transitions> read() {
        const std::string version_key = name("version");
        if (!file_.has(version_key))
            return make_error(ErrorCode::missing, {file_.name(), ": no key ", version_key, ": it has no transitions"});
        RANKLET_ASSIGN(const std::uint32_t version, file_.u32(version_key));
        if (version != 1)
            return make_error(ErrorCode::unsupported,
                              {file_.name(), ": ", version_key, " is ", version, ", this program reads 1"});
        RANKLET_ASSIGN(const auto ids, file_.strings(name("ids")));
        RANKLET_ASSIGN(std::vector<std::uint32_t> seen, file_.u32s(name("seen")));
        RANKLET_ASSIGN(const std::vector<std::uint32_t> sizes, file_.u32s(name("row_sizes")));
        auto owner = std::make_shared<Owner>();
        owner->file = file_;
        Followers all;
        if (file_.has_tensor(name("followers"))) {
            RANKLET_ASSIGN(const TensorView followers, file_.i32_tensor(name("followers")));
            RANKLET_ASSIGN(const TensorView strengths, file_.tensor(name("strengths")));
            RANKLET_ASSIGN(const TensorView times, file_.i32_tensor(name("times")));
            if (strengths.type != TensorType::f32)
                return make_error(ErrorCode::unsupported,
                                  {file_.name(), ": tensor \"", strengths.name, "\" is of type ",
                                   to_string(strengths.type), ", expected F32"});
            all.rows = numbers(followers, owner->followers);
            all.strengths = numbers(strengths, owner->strengths);
            all.times = numbers(times, owner->times);
        }
        auto made = Transitions::create(std::vector<std::string>(ids.begin(), ids.end()), std::move(seen), sizes, all,
                                        std::move(owner));
        if (!made.ok())
            return make_error(told_as(ErrorCode::format, made.error()), {file_.name(), ": ", made.error().message});
        return made;
    }

private:
    struct Owner {
        GgufFile file;
        std::vector<std::uint32_t> followers, times;  // copies, where the file's do not lie as numbers must
        std::vector<float> strengths;
    };
    std::string name(std::string_view key) const { return std::string(prefix_).append(key); }

    template <class T>
    static std::span<const T> numbers(const TensorView& tensor, std::vector<T>& copy) {
        static_assert(sizeof(T) == 4);
        const std::size_t count = tensor.rows * tensor.cols;
        if (reinterpret_cast<std::uintptr_t>(tensor.data) % alignof(T) == 0)
            return {reinterpret_cast<const T*>(tensor.data), count};
        copy.resize(count);  // bytes in memory may lie anywhere
        std::memcpy(copy.data(), tensor.data, tensor.bytes);
        return copy;
    }

    const GgufFile& file_;
    std::string_view prefix_;
};

}  // namespace detail

RANKLET_FUNC void write_transitions(GgufWriter& writer, const Transitions& transitions, std::string_view prefix) {
    const auto name = [&](std::string_view key) { return std::string(prefix).append(key); };
    std::vector<std::uint32_t> seen, sizes;
    seen.reserve(transitions.size());
    sizes.reserve(transitions.size());
    for (std::size_t r = 0; r < transitions.size(); ++r) {
        seen.push_back(transitions.seen(r));
        sizes.push_back(static_cast<std::uint32_t>(transitions.row(r).size()));
    }
    writer.key(name("version"), std::uint32_t{1});
    writer.array(name("ids"), transitions.ids());
    writer.array(name("seen"), seen);
    writer.array(name("row_sizes"), sizes);
    if (transitions.pairs() == 0) return;  // a file has no empty tensors
    const Followers all = transitions.all();
    const auto as_i32 = [](std::span<const std::uint32_t> numbers) {
        return std::span<const std::int32_t>(reinterpret_cast<const std::int32_t*>(numbers.data()), numbers.size());
    };
    writer.tensor(name("followers"), 1, all.size(), as_i32(all.rows));
    writer.tensor(name("strengths"), 1, all.size(), all.strengths);
    writer.tensor(name("times"), 1, all.size(), as_i32(all.times));
}

RANKLET_FUNC Result<Transitions> read_transitions(const GgufFile& file, std::string_view prefix) RANKLET_MEMORY_TRY {
    return detail::TransitionsReader(file, prefix).read();
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<void> save_transitions(const Transitions& transitions, const std::string& path) RANKLET_MEMORY_TRY {
    GgufWriter writer;
    writer.key("general.architecture", "ranklet-transitions");
    write_transitions(writer, transitions);
    return writer.write(path);
}
RANKLET_MEMORY_CATCH

RANKLET_FUNC Result<Transitions> load_transitions(const std::string& path,
                                                  const TransitionsLoadOptions& options) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
    if (file.has(std::string(transitions_prefix) + "version")) RANKLET_TRY(file.verify_header_checksum());
    RANKLET_ASSIGN(Transitions transitions, read_transitions(file));
    if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
    return transitions;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
