// TextAttributes: what was found in an item's text (tagged spans, keywords) as the item's attributes, to filter and
// explain by. In: spans of TokenClassifier::tag, keywords of extract_keywords. Out: Attributes (tags), each a set of
// strings. A value is normalised so that one thing has one spelling (normalize_value).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/catalog/attributes.hpp"
#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/tasks/keywords.hpp"
#include "ranklet/text/normalize_value.hpp"
#include "ranklet/text/tagged_spans.hpp"
#include "ranklet/text/utf8.hpp"
#include "ranklet/text/words.hpp"

RANKLET_NAMESPACE_BEGIN

struct SpanAttributeOptions {
    float minimum_score = 0.5f;  ///< spans below are left out
    /// Which labels become which attributes, whose names stay as they are written here; other labels are left out.
    /// Several labels may share an attribute. None: every label, each the attribute of its own name in lower case
    /// ("BRAND" is "brand").
    std::span<const std::pair<std::string_view, std::string_view>> names = {};
};
struct KeywordAttributeOptions {
    std::string_view name = "keyword";
    float minimum_score = 0.0f;  ///< keywords below (cosines) are left out
};

/// One item's attributes as they are found. Each is a set (AttributeType::tags), in order of first appearance: a value
/// that is there already, or has no letter, digit or Chinese character, is not added.
/// Moves but does not copy, since the Attributes that it gives look into it.
class TextAttributes {
public:
    TextAttributes() = default;
    TextAttributes(TextAttributes&&) noexcept = default;
    TextAttributes& operator=(TextAttributes&&) noexcept = default;
    TextAttributes(const TextAttributes&) = delete;
    TextAttributes& operator=(const TextAttributes&) = delete;

    /// The text that each span covers. Error invalid_text when `text` is not UTF-8; invalid_argument, naming the span,
    /// when it does not lie in `text` or has no label, and for a score that is not a number.
    /// With an error nothing is added.
    RANKLET_COLD Result<void> add(std::string_view text, std::span<const TaggedSpan> spans,
                                  const SpanAttributeOptions& options = {}) RANKLET_MEMORY_TRY {
        RANKLET_TRY(detail::check_words(text));
        if (std::isnan(options.minimum_score)) return not_a_number();
        std::vector<std::pair<std::string, std::string>> found;
        for (std::size_t s = 0; s < spans.size(); ++s) {
            const TaggedSpan& span = spans[s];
            const auto wrong = [&](const char* what) {
                return make_error(ErrorCode::invalid_argument, {"span ", s, " ", what});
            };
            if (span.bytes.begin > span.bytes.end || span.bytes.end > text.size() || cuts(text, span.bytes.begin) ||
                cuts(text, span.bytes.end))
                return wrong("does not lie between characters of the text");
            if (span.label.empty()) return wrong("has no label");
            if (std::isnan(span.score)) return wrong("has a score that is not a number");
            if (span.score < options.minimum_score) continue;
            std::string name;
            if (options.names.empty()) {
                auto normalized = normalize_value(span.label);
                if (!normalized.ok()) return wrong("has a label that is not UTF-8");
                name = std::move(*normalized);
            } else {
                const auto known = std::find_if(options.names.begin(), options.names.end(),
                                                [&](const auto& pair) { return pair.first == span.label; });
                if (known == options.names.end()) continue;
                name = known->second;
                if (utf8::valid_prefix(name) < name.size()) return wrong("would be an attribute that is not UTF-8");
            }
            if (name.empty()) return wrong("would be an attribute without a name");
            RANKLET_ASSIGN(std::string value,
                           normalize_value(text.substr(span.bytes.begin, span.bytes.end - span.bytes.begin)));
            found.emplace_back(std::move(name), std::move(value));
        }
        std::vector<Set> sets = sets_;  // nothing is added unless all is
        for (auto& [name, value] : found) put(sets, name, std::move(value));
        sets_ = std::move(sets);
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// Each keyword's text. Error invalid_text for one that is not UTF-8; invalid_argument for a score that is not a
    /// number or a name that is empty. With an error nothing is added.
    RANKLET_COLD Result<void> add(std::span<const Keyword> keywords,
                                  const KeywordAttributeOptions& options = {}) RANKLET_MEMORY_TRY {
        if (options.name.empty()) return make_error(ErrorCode::invalid_argument, {"an attribute needs a name"});
        if (utf8::valid_prefix(options.name) < options.name.size())
            return make_error(ErrorCode::invalid_text, {"the attribute's name is not UTF-8"});
        if (std::isnan(options.minimum_score)) return not_a_number();
        std::vector<std::string> values;
        for (std::size_t k = 0; k < keywords.size(); ++k) {
            if (std::isnan(keywords[k].score))
                return make_error(ErrorCode::invalid_argument, {"keyword ", k, " has a score that is not a number"});
            if (keywords[k].score < options.minimum_score) continue;
            auto value = normalize_value(keywords[k].text);
            if (!value.ok()) return make_error(value.error().code, {"keyword ", k, ": ", value.error().message});
            values.push_back(std::move(*value));
        }
        std::vector<Set> sets = sets_;
        for (std::string& value : values) put(sets, options.name, std::move(value));
        sets_ = std::move(sets);
        return {};
    }
    RANKLET_MEMORY_CATCH

    /// The attributes so far, to give to Item::attributes, alone or beside others.
    std::vector<Attribute> attributes() const {
        std::vector<Attribute> result;
        for (const Set& set : sets_) result.emplace_back(set.name, TextList(set.values));
        return result;
    }
    /// One attribute's values; none when nothing was found for it.
    std::span<const std::string> values(std::string_view name) const& noexcept {
        for (const Set& set : sets_)
            if (set.name == name) return set.values;
        return {};
    }
    std::span<const std::string> values(std::string_view name) && = delete;
    bool empty() const noexcept { return sets_.empty(); }

private:
    struct Set {
        std::string name;
        std::vector<std::string> values;
    };

    static detail::SharedError not_a_number() {
        return make_error(ErrorCode::invalid_argument, {"the minimum score is not a number"});
    }
    /// Whether a place is inside a character.
    static bool cuts(std::string_view text, std::size_t at) noexcept {
        return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80;
    }
    static void put(std::vector<Set>& sets, std::string_view name, std::string value) {
        bool says_something = false;
        detail::for_each_run(value, [&](const detail::WordRun&) { says_something = true; });
        if (!says_something) return;
        auto set = std::find_if(sets.begin(), sets.end(), [&](const Set& s) { return s.name == name; });
        if (set == sets.end()) set = sets.insert(sets.end(), Set{std::string(name), {}});
        if (std::find(set->values.begin(), set->values.end(), value) != set->values.end()) return;
        set->values.push_back(std::move(value));
    }

    std::vector<Set> sets_;
};

RANKLET_NAMESPACE_END
