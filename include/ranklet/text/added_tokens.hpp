// AddedTokens: finds tokens such as [MASK] in a text before anything else looks at it.
// In: a text. Out: in order, the tokens found and the stretches between them.
// From `AddedVocabulary::find_matches` of Hugging Face's tokenizers 0.23.2 (leftmost, then longest).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/function_view.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/sort.hpp"
#include "ranklet/text/byte_trie.hpp"
#include "ranklet/text/unicode.hpp"
#include "ranklet/text/utf8.hpp"

RANKLET_NAMESPACE_BEGIN

/// A token that is matched in the text itself.
struct AddedToken {
    std::int32_t id = -1;
    std::string content;
    bool special = false;      ///< decode can skip it
    bool lstrip = false;       ///< takes the white space before it
    bool rstrip = false;       ///< takes the white space after it
    bool single_word = false;  ///< matches only where no word character touches it
    bool normalized = false;   ///< its normalised form is matched in the normalised text
};

namespace detail {

class AddedTokens {
public:
    RANKLET_MOVES_OUT_OF_LINE(AddedTokens);

    /// `patterns[i]` is what `tokens[i]` is matched by; of equal patterns the first counts. Error as ByteTrie::create.
    RANKLET_COLD static Result<AddedTokens> create(std::span<const AddedToken* const> tokens,
                                                   std::span<const std::string> patterns) {
        AddedTokens out;
        const auto order = detail::sorted_indices(
            tokens.size(), [&](std::size_t a, std::size_t b) { return patterns[a] < patterns[b]; });
        std::vector<std::string_view> keys;
        std::vector<std::int32_t> values;
        for (const std::size_t i : order) {
            if (!keys.empty() && keys.back() == patterns[i]) continue;
            keys.push_back(patterns[i]);
            values.push_back(static_cast<std::int32_t>(out.rules_.size()));
            out.rules_.push_back({tokens[i]->id, tokens[i]->lstrip, tokens[i]->rstrip, tokens[i]->single_word});
            const auto first = static_cast<unsigned char>(patterns[i][0]);
            if (!out.starts_[first]) {
                out.starts_[first] = true;
                out.only_start_ = out.start_count_++ == 0 ? first : 0;
            }
        }
        RANKLET_ASSIGN(out.trie_, ByteTrie::create(keys, values));
        return out;
    }

    bool empty() const noexcept { return rules_.empty(); }

    /// Calls `plain(begin, end)` and `token(begin, end, id)` in the text's order; each says whether to go on.
    void split(std::string_view text, FunctionView<bool(std::size_t, std::size_t)> plain,
               FunctionView<bool(std::size_t, std::size_t, std::int32_t)> token) const {
        std::size_t done = 0;  // all before is handed out
        std::size_t at = 0;
        while ((at = next_start(text, at)) < text.size()) {
            std::size_t stop = 0;
            const Rule* rule = longest_at(text, at, stop);
            if (rule == nullptr) {
                ++at;
                continue;
            }
            std::size_t start = at;
            at = stop;
            if (rule->single_word && !is_single_word(text, start, stop)) continue;
            if (rule->lstrip) start = std::max(spaces_before(text, start), done);
            if (rule->rstrip) stop = spaces_after(text, stop);
            if (done < start && !plain(done, start)) return;
            if (!token(start, stop, rule->id)) return;
            done = stop;
        }
        if (done < text.size()) plain(done, text.size());
    }

private:
    struct Rule {
        std::int32_t id;
        bool lstrip, rstrip, single_word;
    };

    std::size_t next_start(std::string_view text, std::size_t at) const noexcept {
        if (start_count_ == 1) return std::min(text.find(static_cast<char>(only_start_), at), text.size());
        while (at < text.size() && !starts_[static_cast<unsigned char>(text[at])]) ++at;
        return at;
    }

    const Rule* longest_at(std::string_view text, std::size_t at, std::size_t& stop) const noexcept {
        const Rule* found = nullptr;
        ByteTrie::Node node = ByteTrie::root;
        for (std::size_t i = at; i < text.size(); ++i) {
            node = trie_.child(node, static_cast<unsigned char>(text[i]));
            if (node == ByteTrie::none) break;
            if (const std::int32_t value = trie_.value(node); value >= 0) {
                found = &rules_[static_cast<std::size_t>(value)];
                stop = i + 1;
            }
        }
        return found;
    }

    static std::uint32_t code_at(std::string_view text, std::size_t at, std::uint32_t& length) noexcept {
        return utf8::decode(reinterpret_cast<const unsigned char*>(text.data()) + at, length);
    }

    static bool is_single_word(std::string_view text, std::size_t start, std::size_t stop) noexcept {
        std::uint32_t length = 0;
        return (start == 0 || !unicode::is_word(utf8::last_before(text, start))) &&
               (stop == text.size() || !unicode::is_word(code_at(text, stop, length)));
    }

    static std::size_t spaces_before(std::string_view text, std::size_t start) noexcept {
        while (start > 0) {
            if (!unicode::is_space(utf8::last_before(text, start))) break;
            --start;
            while ((static_cast<unsigned char>(text[start]) & 0xC0u) == 0x80) --start;
        }
        return start;
    }

    static std::size_t spaces_after(std::string_view text, std::size_t stop) noexcept {
        std::uint32_t length = 0;
        while (stop < text.size() && unicode::is_space(code_at(text, stop, length))) stop += length;
        return stop;
    }

    ByteTrie trie_;
    std::vector<Rule> rules_;
    std::array<bool, 256> starts_{};
    unsigned start_count_ = 0;
    unsigned char only_start_ = 0;
};

}  // namespace detail

RANKLET_NAMESPACE_END
