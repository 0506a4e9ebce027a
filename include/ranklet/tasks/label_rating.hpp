// From a review's sentiment to an event's rating: the rating that a classifier expects.
// In: label names and their probabilities (SequenceClassifier). Out: a rating for User::observe.
// The expected value sum p_i r_i, r_i the rating that label i stands for.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"

RANKLET_NAMESPACE_BEGIN

/// The lowest and the highest rating that a recommender knows.
struct RatingRange {
    float lowest = 1.0f;
    float highest = 5.0f;
};

namespace detail {

/// The label in lower case, words parted by one space: "Very_Negative" is "very negative".
inline std::string plain_label(std::string_view label) {
    std::string out;
    for (const char c : label) {
        if (c == '_' || c == '-' || c == ' ') {
            if (!out.empty() && out.back() != ' ') out += ' ';
        } else {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

/// Of "5", "4 stars", "1 star", "3星": the number.
inline std::optional<float> stars_of(std::string_view label) {
    std::size_t digits = 0;
    float value = 0.0f;
    while (digits < label.size() && digits < 3 && label[digits] >= '0' && label[digits] <= '9')
        value = value * 10.0f + static_cast<float>(label[digits++] - '0');
    const std::string_view rest = label.substr(digits);
    constexpr std::array<std::string_view, 6> units{"", " star", " stars", "star", "stars", "\xE6\x98\x9F"};  // 星
    if (digits == 0 || std::find(units.begin(), units.end(), rest) == units.end()) return std::nullopt;
    return value;
}

/// -2 (very negative) to 2 (very positive).
inline std::optional<float> valence_of(std::string_view label) {
    using Pair = std::pair<std::string_view, float>;
    constexpr std::array<Pair, 14> words{Pair{"very negative", -2.0f},
                                         Pair{"negative", -1.0f},
                                         Pair{"neg", -1.0f},
                                         Pair{"neutral", 0.0f},
                                         Pair{"neu", 0.0f},
                                         Pair{"mixed", 0.0f},
                                         Pair{"positive", 1.0f},
                                         Pair{"pos", 1.0f},
                                         Pair{"very positive", 2.0f},
                                         Pair{"\xE6\xB6\x88\xE6\x9E\x81", -1.0f},  // 消极
                                         Pair{"\xE8\xB4\x9F\xE9\x9D\xA2", -1.0f},  // 负面
                                         Pair{"\xE4\xB8\xAD\xE6\x80\xA7", 0.0f},   // 中性
                                         Pair{"\xE7\xA7\xAF\xE6\x9E\x81", 1.0f},   // 积极
                                         Pair{"\xE6\xAD\xA3\xE9\x9D\xA2", 1.0f}};  // 正面
    for (const auto& [word, valence] : words)
        if (word == label) return valence;
    return std::nullopt;
}

}  // namespace detail

/// The rating that each label stands for. Labels are either numbers of stars ("1 star" ... "5 stars", "1" ... "10",
/// 3星) or words of sentiment in English or Chinese (NEG, NEU, POS, very positive, 负面, 中性, 正面 ...): the lowest
/// and the highest of them are the ends of the range, those between lie where their number or meaning puts them. Labels
/// between which the model's names leave a gap keep it: 1, 2 and 5 stars are not evenly spread.
/// Error invalid_argument naming a label that is neither, or when there are fewer than two different ones, kinds are
/// mixed, or the range is not one. Such labels need ratings given by the caller.
RANKLET_COLD inline Result<std::vector<float>> label_ratings(std::span<const std::string> labels,
                                                             const RatingRange& range = {}) RANKLET_MEMORY_TRY {
    if (!(range.lowest < range.highest) || !std::isfinite(range.lowest) || !std::isfinite(range.highest))
        return make_error(ErrorCode::invalid_argument,
                          {"a rating range from ", range.lowest, " to ", range.highest, " is none"});
    std::vector<float> values;
    bool all_stars = true, all_words = true;
    for (const std::string& label : labels) {
        const std::string plain = detail::plain_label(label);
        const auto stars = detail::stars_of(plain), valence = detail::valence_of(plain);
        if (!stars && !valence)
            return make_error(ErrorCode::invalid_argument,
                              {"label \"", label, "\" is neither a number of stars nor a known word of sentiment"});
        all_stars = all_stars && stars;
        all_words = all_words && valence;
        values.push_back(stars ? *stars : *valence);
    }
    if (!all_stars && !all_words)
        return make_error(ErrorCode::invalid_argument, {"the labels mix numbers of stars and words of sentiment"});
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    if (values.empty() || *least == *most)
        return make_error(ErrorCode::invalid_argument, {labels.size(), " labels do not tell good from bad"});
    const float low = *least, high = *most;
    for (float& value : values) {
        const float share = (value - low) / (high - low);
        value = range.lowest + share * (range.highest - range.lowest);
    }
    return values;
}
RANKLET_MEMORY_CATCH

/// sum p_i r_i / sum p_i: the mean rating under the probabilities. It lies between the lowest and the highest r_i.
/// `probabilities` need not sum to one (labels of a multi-label model), but must be finite, not negative, and not all
/// 0. Error invalid_argument otherwise, or when the sizes differ.
inline Result<float> expected_rating(std::span<const float> probabilities, std::span<const float> ratings) {
    if (probabilities.size() != ratings.size() || ratings.empty())
        return make_error(ErrorCode::invalid_argument,
                          {probabilities.size(), " probabilities came with ", ratings.size(), " ratings"});
    double sum = 0.0, weight = 0.0;
    for (std::size_t i = 0; i < ratings.size(); ++i) {
        if (!(probabilities[i] >= 0.0f) || !std::isfinite(probabilities[i]) || !std::isfinite(ratings[i]))
            return make_error(ErrorCode::invalid_argument,
                              {"label ", i, " has the probability ", probabilities[i], " and the rating ", ratings[i]});
        sum += static_cast<double>(probabilities[i]) * static_cast<double>(ratings[i]);
        weight += static_cast<double>(probabilities[i]);
    }
    if (!(weight > 0.0)) return make_error(ErrorCode::invalid_argument, {"all probabilities are 0"});
    const auto [least, most] = std::minmax_element(ratings.begin(), ratings.end());
    return std::clamp(static_cast<float>(sum / weight), *least, *most);
}

RANKLET_NAMESPACE_END
