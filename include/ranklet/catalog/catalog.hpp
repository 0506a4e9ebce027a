// Catalog: an immutable snapshot of items, ready to be scored.
// In: ids and what the model made of each item. Out: look-up by id, rows by index. Copies share the data.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/catalog/signals.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/matrix.hpp"
#include "ranklet/core/name_index.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// What the rows of a decoder's part of a catalog are of.
enum class PartRows : std::uint32_t {
    item,     ///< a row for each item
    token,    ///< a row for each token of each item's text (token_offsets)
    catalog,  ///< rows of the catalog as a whole: computed anew whenever its items change
};

/// What a decoder computed of the items once, for all users: it alone knows what the numbers mean.
struct CatalogPart {
    std::string name;  ///< the decoder's, for example "projected"
    PartRows rows = PartRows::item;
    Matrix values;
};

/// What a catalog holds of its n items. Which of it is filled depends on the model's encoder and decoder.
struct CatalogData {
    RANKLET_MOVES_OUT_OF_LINE(CatalogData);

    std::vector<std::string> ids;            ///< [n], distinct, not empty
    std::vector<std::string> texts;          ///< [n] as they were encoded, where they were to be kept; or empty
    Matrix vectors;                          ///< [n, dim] item vectors: what an event feeds to the decoder
    Matrix outputs;                          ///< [n, out_dim] what a user's vector is multiplied with; empty: `vectors`
    std::vector<float> bias;                 ///< [n] added to each score; empty: none
    std::vector<std::size_t> token_offsets;  ///< [n + 1] item i's rows of parts that have a row a token; or empty
    std::vector<CatalogPart> parts;          ///< the decoder's own, each name once
    AttributeTable attributes;               ///< what filters and caps look at; no influence on scores
    std::uint64_t model = 0;                 ///< fingerprint of the model that made it

    /// The part of this name; null when there is none.
    const CatalogPart* find_part(std::string_view name) const noexcept {
        for (const CatalogPart& part : parts)
            if (part.name == name) return &part;
        return nullptr;
    }
    /// Its numbers; no rows when there is none.
    MatrixView<const float> part(std::string_view name) const noexcept {
        const CatalogPart* found = find_part(name);
        return found == nullptr ? MatrixView<const float>() : found->values.view();
    }
    /// Adds the part, or replaces that of its name.
    void set_part(std::string name, PartRows rows, Matrix values) {
        for (CatalogPart& part : parts)
            if (part.name == name) {
                part.rows = rows;
                part.values = std::move(values);
                return;
            }
        parts.push_back({std::move(name), rows, std::move(values)});
    }
    /// Rows that a part has to have.
    std::size_t rows_of(PartRows rows, std::size_t otherwise) const noexcept {
        if (rows == PartRows::item) return ids.size();
        return rows == PartRows::token ? (token_offsets.empty() ? 0 : token_offsets.back()) : otherwise;
    }
};

class Catalog;

/// One item of a catalog: a handle, valid as long as any copy of the catalog lives.
class ItemRef {
public:
    std::string_view id() const noexcept { return data_->ids[index_]; }
    /// Its text; empty when the catalog keeps none.
    std::string_view text() const noexcept {
        return data_->texts.empty() ? std::string_view() : std::string_view(data_->texts[index_]);
    }
    std::size_t index() const noexcept { return index_; }
    /// The item vector [dim]; empty when the model's scoring keeps none.
    std::span<const float> vector() const noexcept {
        return data_->vectors.empty() ? std::span<const float>{} : data_->vectors.row(index_);
    }
    const CatalogData& data() const noexcept { return *data_; }

private:
    friend class Catalog;
    ItemRef(const CatalogData* data, std::size_t index) noexcept : data_(data), index_(index) {}
    const CatalogData* data_;
    std::size_t index_;
};

/// Tells snapshots apart: equal for copies of one catalog, different for any two others, also after one is gone.
/// Those of catalogs made by default are equal: there is nothing in them.
class CatalogSnapshot {
public:
    CatalogSnapshot() = default;
    friend bool operator==(const CatalogSnapshot& a, const CatalogSnapshot& b) noexcept {
        return !a.state_.owner_before(b.state_) && !b.state_.owner_before(a.state_);
    }

private:
    friend class Catalog;
    explicit CatalogSnapshot(std::weak_ptr<const void> state) noexcept : state_(std::move(state)) {}
    std::weak_ptr<const void> state_;  // the count behind it outlives the catalog: no address is used twice
};

class Catalog {
public:
    /// An empty catalog, as one that was moved from is.
    Catalog() = default;

    /// Takes the data over. Error when an id is empty or stands twice, or the parts' sizes contradict each other.
    RANKLET_COLD static Result<Catalog> create(CatalogData data) RANKLET_MEMORY_TRY {
        const std::size_t n = data.ids.size();
        if (n >= static_cast<std::size_t>(static_cast<std::uint32_t>(-1)))
            return make_error(ErrorCode::invalid_argument, {"a catalog holds fewer than 2^32 - 1 items"});
        const auto fits = [&](const Matrix& part, std::size_t rows) {  // what is absent has no columns either
            return (part.rows() == 0 && part.cols() == 0) || part.rows() == rows;
        };
        const auto& offsets = data.token_offsets;
        bool fit = fits(data.vectors, n) && fits(data.outputs, n) && (data.bias.empty() || data.bias.size() == n) &&
                   (data.texts.empty() || data.texts.size() == n) &&
                   (offsets.empty() || (offsets.size() == n + 1 && offsets.front() == 0 &&
                                        std::is_sorted(offsets.begin(), offsets.end())));
        for (std::size_t p = 0; fit && p < data.parts.size(); ++p) {
            const CatalogPart& part = data.parts[p];
            fit = !part.name.empty() && data.find_part(part.name) == &part &&
                  fits(part.values, data.rows_of(part.rows, part.values.rows())) &&
                  (part.rows != PartRows::token || (!offsets.empty() && part.values.rows() == offsets.back()));
        }
        if (!fit)
            return make_error(ErrorCode::invalid_argument,
                              {"the catalog's parts do not all have one row for each item"});
        RANKLET_TRY(data.attributes.check(n));
        auto state = std::make_shared<State>();
        state->data = std::move(data);
        const auto& ids = state->data.ids;
        const std::size_t twice = state->places.add_all(ids);
        for (std::size_t i = 0; i < std::min(n, twice); ++i)
            if (ids[i].empty()) return make_error(ErrorCode::invalid_argument, {"item ", i, " has no id"});
        if (twice != detail::NameIndex::none)
            return make_error(ErrorCode::invalid_argument, {"items ", state->places.find(ids[twice], ids), " and ",
                                                            twice, " have the same id \"", ids[twice], "\""});
        Catalog catalog;
        catalog.state_ = std::move(state);
        return catalog;
    }
    RANKLET_MEMORY_CATCH

    /// The same items with these signals in place of what it had: what a catalog was encoded to is shared, not copied, and
    /// filters of this snapshot fit that one. Costs a look-up an item.
    /// Error invalid_argument naming an id whose number is not finite or that has two.
    RANKLET_COLD Result<Catalog> with(const Signals& signals) const RANKLET_MEMORY_TRY {
        Catalog catalog = *this;
        RANKLET_ASSIGN(BoundSignals bound,
                       detail::bind_signals(signals, data().ids, [&](std::string_view id) { return find(id); }));
        catalog.signals_ = std::make_shared<const BoundSignals>(std::move(bound));
        return catalog;
    }
    RANKLET_MEMORY_CATCH
    /// The same with signals that are bound already. Error invalid_argument when they are not of size() items, or an item's
    /// number is not finite.
    RANKLET_COLD Result<Catalog> with(BoundSignals bound) const RANKLET_MEMORY_TRY {
        bool fits = bound.rows.size() == bound.signals.transitions.size() &&
                    bound.prior.size() == (bound.signals.prior == nullptr ? 0 : size());
        for (std::size_t t = 0; fits && t < bound.rows.size(); ++t) {
            fits = bound.rows[t].size() == size();
            for (const std::uint32_t row : bound.rows[t])
                fits = fits && (row == BoundSignals::no_row || row < bound.signals.transitions[t].size());
        }
        if (!fits)
            return make_error(ErrorCode::invalid_argument,
                              {"the signals are not those of a catalog of ", size(), " items"});
        for (std::size_t i = 0; i < bound.prior.size(); ++i)
            if (!std::isfinite(bound.prior[i]))
                return make_error(ErrorCode::invalid_argument, {"the prior of \"", data().ids[i], "\" is not finite"});
        Catalog catalog = *this;
        catalog.signals_ = std::make_shared<const BoundSignals>(std::move(bound));
        return catalog;
    }
    RANKLET_MEMORY_CATCH
    /// Null when it has none. It lives as long as any copy of the catalog.
    const BoundSignals* signals() const noexcept { return signals_.get(); }

    std::size_t size() const noexcept { return data().ids.size(); }
    bool empty() const noexcept { return size() == 0; }
    const CatalogData& data() const noexcept {
        if (state_ != nullptr) return state_->data;
        static const CatalogData none;
        return none;
    }
    /// Which snapshot this is.
    CatalogSnapshot snapshot() const noexcept { return CatalogSnapshot(state_); }
    /// What a user's vector is multiplied with, [n, dim]: for a VectorIndex.
    /// It lives as long as any copy of the catalog.
    MatrixView<const float> output_vectors() const noexcept {
        return (data().outputs.empty() ? data().vectors : data().outputs).view();
    }
    bool contains(std::string_view id) const noexcept { return find(id) < size(); }

    /// The index of the item with this id, or size() when there is none.
    std::size_t find(std::string_view id) const noexcept {
        return state_ == nullptr ? 0 : std::min(state_->places.find(id, state_->data.ids), size());
    }
    /// The item with this id. Error missing when there is none.
    Result<ItemRef> at(std::string_view id) const {
        const std::size_t index = find(id);
        if (index >= size())
            return make_error(ErrorCode::missing, {"the catalog has no item with the id \"", id, "\""});
        return ItemRef(&state_->data, index);
    }
    /// The item at an index. Precondition: index < size().
    ItemRef operator[](std::size_t index) const noexcept { return {&state_->data, index}; }

private:
    struct State {
        CatalogData data;
        detail::NameIndex places;  // of the ids
    };
    std::shared_ptr<const State> state_;
    std::shared_ptr<const BoundSignals> signals_;
};

RANKLET_NAMESPACE_END
