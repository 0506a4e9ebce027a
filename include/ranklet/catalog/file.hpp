// Catalogs on disk: save_catalog and load_catalog.
// In: a catalog and a path. Out: one GGUF v3 file, mapped when loaded: vectors are used where they lie, processes share
// them. The file names its model by fingerprint; a catalog of another model is refused.
// Keys and tensors: `ranklet.catalog.*`, listed in docs/model-file.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ranklet/catalog/catalog.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

struct CatalogLoadOptions {
    /// Read all numbers once and compare their checksum. Without it loading touches the header alone (whose checksum is
    /// always compared), and a damaged vector gives a wrong score.
    bool verify_checksum = true;
};

class GgufFile;

/// Writes the catalog with its attributes to `path`, whole or not at all: another program that has the old file mapped
/// keeps it. Error io when it cannot be written.
RANKLET_COLD Result<void> save_catalog(const Catalog& catalog, const std::string& path);
/// The bytes that it writes.
RANKLET_COLD Result<std::vector<std::byte>> catalog_bytes(const CatalogData& catalog);

/// Maps a catalog that save_catalog wrote. `model`: the fingerprint of the model that will use it
/// (Recommender::items_fingerprint(); Recommender::load_catalog gives it). The catalog and its copies keep the file mapped; it must not be changed in place.
/// Error mismatch when another model made it; io, format, missing or unsupported, naming the place, when it is damaged
/// or no catalog.
RANKLET_COLD Result<Catalog> load_catalog(const std::string& path, std::uint64_t model,
                                          const CatalogLoadOptions& options = {});
/// The same from a file that is open; bytes that it looks at in memory must outlive the catalog.
RANKLET_COLD Result<Catalog> load_catalog(const GgufFile& file, std::uint64_t model,
                                          const CatalogLoadOptions& options = {});

RANKLET_NAMESPACE_END

#if RANKLET_DEFINITIONS

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/io/gguf.hpp"
#include "ranklet/io/gguf_writer.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_FUNC std::string to_hex(std::uint64_t value) {
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15u];
    return text;
}

/// A name that keeps apart the parts of the attribute columns.
RANKLET_FUNC std::string column_key(std::size_t column, const char* part) {
    return "ranklet.catalog.attributes." + std::to_string(column) + "." + part;
}

RANKLET_FUNC std::vector<std::uint32_t> counts_of(std::span<const std::size_t> offsets) {
    std::vector<std::uint32_t> counts;
    for (std::size_t i = 1; i < offsets.size(); ++i)
        counts.push_back(static_cast<std::uint32_t>(offsets[i] - offsets[i - 1]));
    return counts;
}
RANKLET_FUNC std::vector<std::size_t> offsets_of(std::span<const std::uint32_t> counts) {
    std::vector<std::size_t> offsets(1, 0);
    for (const std::uint32_t count : counts) offsets.push_back(offsets.back() + count);
    return offsets;
}

/// Whether a part is one that catalog files have without listing it: such files name no part, and these two are what a
/// row of them is known to be of.
RANKLET_FUNC bool is_unlisted(const CatalogPart& part, bool by_token) {
    if (part.name == "projected") return part.rows == (by_token ? PartRows::token : PartRows::item);
    return part.name == "initial_scores" && part.rows == PartRows::item && part.values.rows() > 0 &&
           part.values.cols() == 1;
}

/// The catalog as a file to be written; it looks at the numbers of `data`.
RANKLET_COLD RANKLET_FUNC GgufWriter catalog_writer(const CatalogData& data) {
    GgufWriter writer;
    writer.key("general.architecture", "ranklet-catalog");
    writer.key("ranklet.catalog.version", 1);
    writer.key("ranklet.catalog.model", to_hex(data.model));
    writer.array("ranklet.catalog.ids", data.ids);
    if (!data.texts.empty()) writer.array("ranklet.catalog.texts", data.texts);
    if (!data.token_offsets.empty()) writer.array("ranklet.catalog.token_counts", counts_of(data.token_offsets));
    std::vector<std::string> names;
    std::vector<std::uint32_t> types;
    for (const AttributeColumn& column : data.attributes.columns) {
        names.push_back(column.name);
        types.push_back(static_cast<std::uint32_t>(column.type));
    }
    if (!names.empty()) {
        writer.array("ranklet.catalog.attributes.names", names);
        writer.array("ranklet.catalog.attributes.types", types);
    }
    for (std::size_t c = 0; c < names.size(); ++c) {
        const AttributeColumn& column = data.attributes.columns[c];
        if (column.type == AttributeType::number) {
            writer.array(column_key(c, "numbers"), column.numbers);
            continue;
        }
        writer.array(column_key(c, "values"), column.values);
        writer.array(column_key(c, "codes"), column.codes);
        if (column.type == AttributeType::tags)
            writer.array(column_key(c, "tag_counts"), counts_of(column.tag_offsets));
    }
    const auto matrix = [&](const char* name, const Matrix& m) {
        if (m.rows() * m.cols() > 0) writer.tensor(name, m.rows(), m.cols(), {m.view().data, m.rows() * m.cols()});
    };
    const auto vector = [&](const char* name, const std::vector<float>& v) {
        if (!v.empty()) writer.tensor(name, 1, v.size(), v);
    };
    matrix("vectors", data.vectors);
    matrix("outputs", data.outputs);
    const bool listed = std::any_of(data.parts.begin(), data.parts.end(), [&](const CatalogPart& part) {
        return !is_unlisted(part, !data.token_offsets.empty());
    });
    if (listed) {
        std::vector<std::string> part_names;
        std::vector<std::uint32_t> part_rows;
        for (const CatalogPart& part : data.parts) {
            part_names.push_back(part.name);
            part_rows.push_back(static_cast<std::uint32_t>(part.rows));
        }
        writer.array("ranklet.catalog.parts.names", part_names);
        writer.array("ranklet.catalog.parts.rows", part_rows);
        for (const CatalogPart& part : data.parts) matrix(("part." + part.name).c_str(), part.values);
    } else if (const CatalogPart* projected = data.find_part("projected")) {
        matrix("projected", projected->values);
    }
    vector("bias", data.bias);
    if (const CatalogPart* scores = listed ? nullptr : data.find_part("initial_scores"))
        writer.tensor("initial_scores", 1, scores->values.rows(), {scores->values.view().data, scores->values.rows()});
    return writer;
}

/// Reads the parts of a catalog; its matrices look into the file and keep it.
class CatalogReader {
public:
    explicit CatalogReader(std::shared_ptr<const GgufFile> file) : file_(std::move(file)) {}

    RANKLET_COLD Result<Catalog> read(std::uint64_t model, const CatalogLoadOptions& options) const {
        constexpr std::string_view version_key = "ranklet.catalog.version";
        if (!file_->has(version_key))
            return make_error(ErrorCode::missing, {file_->name(), ": no key ", version_key, ": not a catalog"});
        RANKLET_TRY(file_->verify_header_checksum());
        RANKLET_ASSIGN(const std::uint32_t version, file_->u32(version_key));
        if (version != 1)
            return make_error(ErrorCode::unsupported,
                              {file_->name(), ": ", version_key, " is ", version, ", this program reads 1"});
        RANKLET_ASSIGN(const std::string_view made_by, file_->string("ranklet.catalog.model"));
        if (made_by != to_hex(model))
            return make_error(ErrorCode::mismatch, {file_->name(), ": the catalog was made by another model (", made_by,
                                                    ", not ", to_hex(model), ")"});
        if (options.verify_checksum) RANKLET_TRY(file_->verify_checksum());
        CatalogData data;
        data.model = model;
        RANKLET_ASSIGN(const auto ids, file_->strings("ranklet.catalog.ids"));
        data.ids.assign(ids.begin(), ids.end());
        if (file_->has("ranklet.catalog.texts")) {
            RANKLET_ASSIGN(const auto texts, file_->strings("ranklet.catalog.texts"));
            if (texts.size() != ids.size())
                return make_error(ErrorCode::format, {file_->name(), ": ranklet.catalog.texts has ", texts.size(),
                                                      " texts for ", ids.size(), " items"});
            data.texts.assign(texts.begin(), texts.end());
        }
        RANKLET_ASSIGN(data.vectors, matrix("vectors"));
        RANKLET_ASSIGN(data.outputs, matrix("outputs"));
        RANKLET_ASSIGN(data.bias, vector("bias"));
        if (file_->has("ranklet.catalog.token_counts")) {
            RANKLET_ASSIGN(const auto counts, file_->u32s("ranklet.catalog.token_counts"));
            data.token_offsets = offsets_of(counts);
        }
        RANKLET_TRY(parts(data));
        RANKLET_TRY(attributes(data.attributes));
        auto catalog = Catalog::create(std::move(data));
        if (!catalog.ok())
            return make_error(detail::told_as(ErrorCode::format, catalog.error()),
                              {file_->name(), ": ", catalog.error().message});
        return catalog;
    }

private:
    RANKLET_COLD Result<Matrix> matrix(const char* name) const {
        if (!file_->has_tensor(name)) return Matrix();
        RANKLET_ASSIGN(const TensorView tensor, file_->tensor(name));
        if (tensor.type != TensorType::f32)
            return make_error(ErrorCode::unsupported, {file_->name(), ": tensor \"", name, "\" is of type ",
                                                       to_string(tensor.type), ", expected F32"});
        if (reinterpret_cast<std::uintptr_t>(tensor.data) % alignof(float) == 0)
            return Matrix::borrowed(reinterpret_cast<const float*>(tensor.data), tensor.rows, tensor.cols, file_);
        RANKLET_ASSIGN(Matrix copy, Matrix::zeroed(tensor.rows, tensor.cols));  // bytes in memory may lie anywhere
        std::memcpy(copy.view().data, tensor.data, tensor.bytes);
        return copy;
    }
    RANKLET_COLD Result<std::vector<float>> vector(const char* name) const {
        RANKLET_ASSIGN(const Matrix row, matrix(name));
        if (row.empty()) return std::vector<float>();
        if (row.rows() != 1)
            return make_error(ErrorCode::format,
                              {file_->name(), ": tensor \"", name, "\" has ", row.rows(), " rows, expected 1"});
        return std::vector<float>(row.row(0).begin(), row.row(0).end());
    }
    RANKLET_COLD Result<void> parts(CatalogData& data) const {
        constexpr std::string_view key = "ranklet.catalog.parts.names";
        const bool by_token = !data.token_offsets.empty();
        if (!file_->has(key)) {
            RANKLET_ASSIGN(Matrix projected, matrix("projected"));
            if (by_token || !projected.empty())
                data.set_part("projected", by_token ? PartRows::token : PartRows::item, std::move(projected));
            RANKLET_ASSIGN(const std::vector<float> scores, vector("initial_scores"));
            if (scores.empty()) return {};
            RANKLET_ASSIGN(Matrix column, Matrix::copy_of({scores.data(), scores.size(), 1}));
            data.set_part("initial_scores", PartRows::item, std::move(column));
            return {};
        }
        RANKLET_ASSIGN(const auto names, file_->strings(key));
        RANKLET_ASSIGN(const auto rows, file_->u32s("ranklet.catalog.parts.rows"));
        if (names.size() != rows.size())
            return make_error(ErrorCode::format,
                              {file_->name(), ": ", key, " has ", names.size(), " parts, .rows ", rows.size()});
        for (std::size_t p = 0; p < names.size(); ++p) {
            if (rows[p] > static_cast<std::uint32_t>(PartRows::catalog))
                return make_error(ErrorCode::format, {file_->name(), ": ranklet.catalog.parts.rows[", p, "] is ",
                                                      rows[p], ", expected 0 to 2"});
            const std::string name(names[p]);
            if (data.find_part(name) != nullptr)
                return make_error(ErrorCode::format, {file_->name(), ": ", key, " has \"", name, "\" twice"});
            RANKLET_ASSIGN(Matrix values, matrix(("part." + name).c_str()));
            data.set_part(name, static_cast<PartRows>(rows[p]), std::move(values));
        }
        return {};
    }
    RANKLET_COLD Result<void> attributes(AttributeTable& table) const {
        if (!file_->has("ranklet.catalog.attributes.names")) return {};
        RANKLET_ASSIGN(const auto names, file_->strings("ranklet.catalog.attributes.names"));
        RANKLET_ASSIGN(const auto types, file_->u32s("ranklet.catalog.attributes.types"));
        if (names.size() != types.size())
            return make_error(ErrorCode::format,
                              {file_->name(), ": ", names.size(), " attributes, ", types.size(), " types of them"});
        for (std::size_t c = 0; c < names.size(); ++c) {
            AttributeColumn& column = table.columns.emplace_back();
            column.name = names[c];
            column.type = static_cast<AttributeType>(types[c]);
            if (column.type == AttributeType::number) {
                RANKLET_ASSIGN(column.numbers, file_->doubles(column_key(c, "numbers")));
                continue;
            }
            RANKLET_ASSIGN(const auto values, file_->strings(column_key(c, "values")));
            column.values.assign(values.begin(), values.end());
            RANKLET_ASSIGN(column.codes, file_->u32s(column_key(c, "codes")));
            if (column.type != AttributeType::tags) continue;
            RANKLET_ASSIGN(const auto counts, file_->u32s(column_key(c, "tag_counts")));
            column.tag_offsets = offsets_of(counts);
        }
        return {};
    }

    std::shared_ptr<const GgufFile> file_;
};

}  // namespace detail

RANKLET_FUNC Result<void> save_catalog(const Catalog& catalog, const std::string& path) RANKLET_MEMORY_TRY {
    return detail::catalog_writer(catalog.data()).write(path);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<std::vector<std::byte>> catalog_bytes(const CatalogData& catalog) RANKLET_MEMORY_TRY {
    return detail::catalog_writer(catalog).bytes();
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Catalog> load_catalog(const std::string& path, std::uint64_t model,
                                          const CatalogLoadOptions& options) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(GgufFile file, GgufFile::open(path));
    return detail::CatalogReader(std::make_shared<const GgufFile>(std::move(file))).read(model, options);
}
RANKLET_MEMORY_CATCH
RANKLET_FUNC Result<Catalog> load_catalog(const GgufFile& file, std::uint64_t model,
                                          const CatalogLoadOptions& options) RANKLET_MEMORY_TRY {
    return detail::CatalogReader(std::make_shared<const GgufFile>(file)).read(model, options);
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
#endif
