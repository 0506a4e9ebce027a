// Vocabulary: tokens by id, and ids by token.
// In: tokens. Out: the token of an id, the id of a token, a trie to walk. It holds copies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/core/text_list.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/encoding.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class Vocabulary {
public:
    RANKLET_MOVES_OUT_OF_LINE(Vocabulary);

    /// Of a token that stands twice the later one is found. Errors: `invalid_argument` for none, `invalid_text` for one that
    /// is not UTF-8, `unsupported` for one of more than `max_token_bytes` or too many of them.
    RANKLET_COLD static Result<Vocabulary> create(TextList tokens) {
        Vocabulary out;
        if (tokens.size() == 0) return make_error(ErrorCode::invalid_argument, {"the vocabulary is empty"});
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (const std::size_t valid = utf8::valid_prefix(tokens[i]); valid < tokens[i].size())
                return make_error(ErrorCode::invalid_text, {"token ", i, " is not UTF-8 at its byte ", valid});
            if (tokens[i].size() > max_token_bytes)
                return make_error(ErrorCode::unsupported, {"token ", i, " has ", tokens[i].size(),
                                                           " bytes, a token may have ", max_token_bytes});
            bytes += tokens[i].size();
        }
        if (bytes > std::numeric_limits<std::uint32_t>::max() ||
            tokens.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
            return make_error(ErrorCode::unsupported, {tokens.size(), " tokens of ", bytes, " bytes"});
        out.text_.reserve(bytes);
        out.starts_.reserve(tokens.size() + 1);
        for (const std::string_view each : tokens) {
            out.starts_.push_back(static_cast<std::uint32_t>(out.text_.size()));
            out.text_ += each;
        }
        out.starts_.push_back(static_cast<std::uint32_t>(out.text_.size()));
        out.sort();
        return out;
    }

    std::size_t size() const noexcept { return starts_.empty() ? 0 : starts_.size() - 1; }
    std::string_view token(std::size_t id) const noexcept {
        if (id >= size()) return {};
        return std::string_view(text_).substr(starts_[id], starts_[id + 1] - starts_[id]);
    }
    std::optional<std::int32_t> id_of(std::string_view text) const noexcept {
        const auto found = std::lower_bound(
            sorted_.begin(), sorted_.end(), text,
            [&](std::int32_t id, std::string_view with) { return token(static_cast<std::size_t>(id)) < with; });
        if (found == sorted_.end() || token(static_cast<std::size_t>(*found)) != text) return std::nullopt;
        return *found;
    }
    /// Of the ids for which `keep` holds. Error `unsupported` for a vocabulary too large.
    template <class Keep>
    Result<ByteTrie> trie(const Keep& keep) const {
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        keys.reserve(sorted_.size());
        values.reserve(sorted_.size());
        for (const std::int32_t id : sorted_) {
            if (!keep(static_cast<std::size_t>(id))) continue;
            keys.push_back(token(static_cast<std::size_t>(id)));
            values.push_back(id);
        }
        return ByteTrie::create(keys, values);
    }
    Result<ByteTrie> trie() const {
        return trie([](std::size_t) { return true; });
    }
    /// The ids of the pieces <0x00> to <0xFF>; -1 where there is none.
    std::vector<std::int32_t> byte_pieces() const {
        std::vector<std::int32_t> out;
        constexpr std::string_view digits = "0123456789ABCDEF";
        for (unsigned byte = 0; byte < 256; ++byte) {
            const char name[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
            out.push_back(id_of({name, sizeof name}).value_or(-1));
        }
        return out;
    }
    std::size_t memory() const noexcept {
        return text_.capacity() + starts_.capacity() * sizeof(starts_[0]) + sorted_.capacity() * sizeof(sorted_[0]);
    }

private:
    /// Ids in byte order of their tokens, the last one alone of equal ones.
    RANKLET_COLD void sort() {
        const auto order = sorted_indices(size(), [&](std::size_t a, std::size_t b) { return token(a) < token(b); });
        sorted_.reserve(order.size());
        for (const std::size_t id : order) {  // equal ones stay in order
            if (!sorted_.empty() && token(static_cast<std::size_t>(sorted_.back())) == token(id)) sorted_.pop_back();
            sorted_.push_back(static_cast<std::int32_t>(id));
        }
    }

    std::string text_;                   // all tokens, joined
    std::vector<std::uint32_t> starts_;  // of each token in it, and its end
    std::vector<std::int32_t> sorted_;
};

}  // namespace detail
RANKLET_NAMESPACE_END
