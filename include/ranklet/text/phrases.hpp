// Candidate phrases of a text: what could be a keyword of it.
// In: UTF-8 text. Out: phrases with their places, each once (by normalize_value: whatever its case, the form of its accents
// and the white space between its words), in order of first occurrence. English: n-grams of words between stop words and
// punctuation (as RAKE, Rose et al. 2010). Chinese: runs of characters between stop words and punctuation, all pieces of 2
// to 4 characters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/keyed_hash.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/normalize_value.hpp"
#include "ranklet/text/stop_words.hpp"
#include "ranklet/text/words.hpp"

RANKLET_NAMESPACE_BEGIN

struct PhraseOptions {
    std::size_t max_words = 3;          ///< of an English phrase; it may have one
    std::size_t min_characters = 2;     ///< of a Chinese phrase
    std::size_t max_characters = 4;     ///< of a Chinese phrase
    std::size_t max_candidates = 1000;  ///< phrases beyond are left out: the text's beginning says most
};

/// A phrase and where it stands first.
struct Phrase {
    std::string text;  ///< as the text has it
    TokenSpan bytes;
};

/// Error invalid_text when the text is not UTF-8, invalid_argument for options that allow no phrase.
inline Result<std::vector<Phrase>> candidate_phrases(std::string_view text,
                                                     const PhraseOptions& options = {}) RANKLET_MEMORY_TRY {
    if (options.max_words == 0 || options.min_characters == 0 || options.max_characters < options.min_characters)
        return make_error(ErrorCode::invalid_argument,
                          {"phrases of 1 to ", options.max_words, " words, ", options.min_characters, " to ",
                           options.max_characters, " characters: there are none"});
    RANKLET_ASSIGN(const std::vector<detail::WordRun> runs, detail::content_runs(text));
    std::vector<Phrase> phrases;
    std::unordered_set<std::string, detail::KeyedHash> seen;
    const auto add = [&](std::uint32_t begin, std::uint32_t end) -> Result<void> {
        if (phrases.size() >= options.max_candidates) return {};
        RANKLET_ASSIGN(std::string key, normalize_value(text.substr(begin, end - begin)));
        if (seen.insert(std::move(key)).second)
            phrases.push_back({std::string(text.substr(begin, end - begin)), {begin, end}});
        return {};
    };
    const auto has_letter = [&](TokenSpan span) {  // numbers alone name nothing
        return std::any_of(text.begin() + span.begin, text.begin() + span.end,
                           [](char c) { return static_cast<unsigned char>(c) >= 0x80 || (c | 0x20) >= 'a'; });
    };
    const auto neighbours = [&](std::size_t run) {  // only white space between this word and the one before
        if (runs[run].chinese || runs[run - 1].chinese) return false;
        for (std::size_t at = runs[run - 1].bytes.end; at < runs[run].bytes.begin;) {
            std::uint32_t length = 0;
            if (!unicode::is_space(detail::code_at(text, at, length))) return false;
            at += length;
        }
        return true;
    };
    for (std::size_t r = 0; r < runs.size() && phrases.size() < options.max_candidates; ++r) {
        if (!runs[r].chinese) {
            bool letters = false;
            for (std::size_t last = r; last < runs.size() && last - r < options.max_words; ++last) {
                if (last > r && !neighbours(last)) break;
                letters = letters || has_letter(runs[last].bytes);
                if (letters) RANKLET_TRY(add(runs[r].bytes.begin, runs[last].bytes.end));
            }
            continue;
        }
        std::vector<std::uint32_t> starts;  // of the run's characters, and its end
        for (std::uint32_t at = runs[r].bytes.begin; at < runs[r].bytes.end;) {
            starts.push_back(at);
            std::uint32_t length = 0;
            (void)detail::code_at(text, at, length);
            at += length;
        }
        starts.push_back(runs[r].bytes.end);
        for (std::size_t first = 0; first + 1 < starts.size() && phrases.size() < options.max_candidates; ++first) {
            const std::size_t longest = std::min(options.max_characters, starts.size() - 1 - first);
            for (std::size_t n = options.min_characters; n <= longest; ++n)
                RANKLET_TRY(add(starts[first], starts[first + n]));
        }
    }
    return phrases;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
