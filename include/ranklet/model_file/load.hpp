// Loadable<Model>: how every class of models is made from a file: by path, from an open file, from bytes in memory.
// In: a Model with `read(ModelReader, LoadOptions)` and `self_test(ModelReader)`. Out: load, from_file, from_memory,
// which all mean the same: the checksum where it is asked for, the version, the model, its self-test.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/model_file/llama_cpp.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN

struct Kind;  // recommender/kind.hpp

/// What a rating weighs: scale * (rating - neutral); an event without one weighs 1. Below neutral an event pushes away. The
/// default takes a rating for the weight itself, so state neutral for stars. With scale 0 ratings are passed over.
struct RatingWeight {
    float neutral = 0.0f;
    float scale = 1.0f;
};

/// How a user's taste is made of the vectors that they met, where nothing was trained (decoders/history.hpp).
/// Defaults: the best of those tried on MovieLens-1M with titles and genres (docs/decisions.md).
struct HistoryOptions {
    float decay = 0.7f;         ///< what an event weighs after the next one, (0, 1]
    bool centre = true;         ///< take the catalog's mean off every vector
    std::uint32_t power = 0;    ///< 0: the mean of the vectors; 1 to 8: sum over events of max(cosine, 0)^power
    std::uint32_t events = 50;  ///< with a power: the last so many events count, 1 to 1000
    RatingWeight rating = {};
};

/// How one table of transitions is read.
struct FollowersTable {
    float weight = 1.0f;        ///< above 0
    float decay = 0.8f;         ///< what an event weighs after the next one, (0, 1]
    std::uint32_t events = 50;  ///< the last so many events count, 1 to 100,000
    bool share = true;          ///< evidence is divided by its sum over all items, so that it is a probability
};
/// How evidence of what follows what becomes a score (decoders/followers.hpp).
struct FollowersOptions {
    std::vector<FollowersTable> tables = {FollowersTable()};  ///< as the catalog's signals have them
    float floor = 1e-5f;                                      ///< evidence of an item that nobody met, [1e-20, 1]
    RatingWeight rating = {};
};

/// A decoder that is part of a blend, by its type name ("history", "transitions", "prior", "dot_product", ...).
struct BlendPart {
    std::string type;
    float weight = 1.0f;  ///< -1e6 to 1e6
};

/// How a model file is loaded.
struct LoadOptions {
    bool self_test = true;          ///< run the file's self-test and refuse the file when its numbers differ
    bool verify_checksum = false;   ///< read all tensor data and compare its checksum
    EncoderDefaults defaults = {};  ///< of a file of llama.cpp's, in place of what it says
    /// The first so many numbers of a text's vector alone, of length 1 again where the whole one is: of models that are
    /// trained for it (Matryoshka, Kusupati et al. 2022). Catalogs and users' states are then of that size alone. States of
    /// tokens stay whole. Not given: as the file says. Error invalid_argument where it is not 1 to dim().
    std::optional<std::size_t> truncate_dim = {};
    /// In place of what the file says, or the defaults where it says nothing. The file's own expected scores are then not
    /// compared, and users' states are of these numbers alone.
    std::optional<HistoryOptions> history = {};
    std::optional<FollowersOptions> transitions = {};
    /// What a score is added up from, in place of the file's decoder: an encoder's file, say, with counts of the host's.
    std::vector<BlendPart> blend = {};
    /// Kinds of encoders and decoders of the host's own, beside the library's: looked at first.
    std::span<const Kind* const> kinds = {};
};

namespace detail {

/// Error unsupported when a file with keys of ours is of a version that this program does not know.
RANKLET_COLD inline Result<void> check_file(const GgufFile& file, const LoadOptions& options) {
    if (options.verify_checksum) RANKLET_TRY(file.verify_checksum());
    if (!file.has("ranklet.version")) return {};
    RANKLET_ASSIGN(const std::uint32_t version, file.u32("ranklet.version"));
    if (version == 1 || version == 2) return {};
    return make_error(ErrorCode::unsupported,
                      {file.name(), ": ranklet.version is ", version, ", this program reads 1 and 2"});
}

/// Error invalid_argument when the vectors of an encoder, `dim` numbers, cannot be cut as the options say.
RANKLET_COLD inline Result<void> check_truncate_dim(const LoadOptions& options, std::size_t dim) {
    if (!options.truncate_dim || (*options.truncate_dim >= 1 && *options.truncate_dim <= dim)) return {};
    return make_error(ErrorCode::invalid_argument,
                      {"LoadOptions::truncate_dim ", *options.truncate_dim, " is not 1 to ", dim});
}

/// What every way of loading does: the checksum where it is asked for, the version, `read(reader)`, the self-test.
template <class Model, class Read>
Result<Model> load_model(const GgufFile& file, const LoadOptions& options, const Read& read) {
    RANKLET_TRY(check_file(file, options));
    RANKLET_ASSIGN(const GgufFile complete, of_llama_cpp(file, options.defaults));
    const ModelReader reader(complete);
    RANKLET_ASSIGN(Model model, read(reader));
    if (options.self_test && (file.has("ranklet.version") || !Model::may_lack_self_test))
        RANKLET_TRY(model.self_test(reader));
    return model;
}
/// Error unsupported unless the file's encoder is of this type.
RANKLET_COLD inline Result<void> check_encoder_type(const ModelReader& reader, std::string_view type) {
    RANKLET_TRY(reader.choice<bool>("ranklet.encoder.type", {{type, true}}));
    return {};
}

}  // namespace detail

/// `class Bert : public Loadable<Bert>`. Used where they lie in the file, which stays mapped: embedding tables, tables of
/// word vectors, of users and of categories. Copied: matrices, packed for the products; learned items; vectors.
template <class Model>
class Loadable {
public:
    /// Maps the file. Error when it is not of this class, is damaged, or its self-test gives other numbers than it
    /// states. The file must not be changed while the model lives.
    static Result<Model> load(const std::string& path, const LoadOptions& options = {}) RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::open(path));
        return from_file(file, options);
    }
    RANKLET_MEMORY_CATCH
    /// The same from a file that is open; the model keeps it open.
    static Result<Model> from_file(const GgufFile& file, const LoadOptions& options = {}) RANKLET_MEMORY_TRY {
        return detail::load_model<Model>(file, options,
                                         [&](const ModelReader& reader) { return Model::read(reader, options); });
    }
    RANKLET_MEMORY_CATCH
    /// The same from bytes that the host holds (linked into the program, say). They are not copied where a file would
    /// be used in place: they must outlive the model and all copies of it. `name` is for error messages.
    static Result<Model> from_memory(std::span<const std::byte> bytes, const LoadOptions& options = {},
                                     std::string name = "bytes in memory") RANKLET_MEMORY_TRY {
        RANKLET_ASSIGN(const GgufFile file, GgufFile::from_memory(bytes, std::move(name)));
        return from_file(file, options);
    }
    RANKLET_MEMORY_CATCH

    /// Whether a file of another engine, which has no self-test, is loaded without one.
    static constexpr bool may_lack_self_test = false;

protected:
    Loadable() = default;
};

RANKLET_NAMESPACE_END
