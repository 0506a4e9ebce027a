// Stop words: words that say little of what a text is about, English and Chinese.
// In: a word, or UTF-8 text. Out: whether it is one; the stretches of the text that are left when they are taken out.
// Both lists were written for this project: function words, no list of others was copied. They are modest on purpose.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/text/words.hpp"

RANKLET_NAMESPACE_BEGIN

namespace detail {

/// In byte order, lower case.
inline constexpr std::array<std::string_view, 245> english_stop_words{
    "a",         "about",      "above",     "across",    "after",    "again",   "against",   "all",        "almost",
    "along",     "already",    "also",      "although",  "always",   "am",      "among",     "an",         "and",
    "another",   "any",        "anybody",   "anyone",    "anything", "are",     "aren't",    "around",     "as",
    "at",        "away",       "back",      "be",        "because",  "been",    "before",    "behind",     "being",
    "below",     "between",    "both",      "but",       "by",       "can",     "can't",     "cannot",     "could",
    "couldn't",  "did",        "didn't",    "do",        "does",     "doesn't", "doing",     "don't",      "down",
    "during",    "each",       "either",    "else",      "enough",   "even",    "ever",      "every",      "everybody",
    "everyone",  "everything", "few",       "for",       "from",     "further", "get",       "gets",       "got",
    "had",       "hadn't",     "has",       "hasn't",    "have",     "haven't", "having",    "he",         "he's",
    "her",       "here",       "hers",      "herself",   "him",      "himself", "his",       "how",        "however",
    "i",         "i'd",        "i'll",      "i'm",       "i've",     "if",      "in",        "instead",    "into",
    "is",        "isn't",      "it",        "it's",      "its",      "itself",  "just",      "let",        "let's",
    "like",      "made",       "make",      "makes",     "many",     "may",     "maybe",     "me",         "might",
    "mine",      "more",       "most",      "much",      "must",     "my",      "myself",    "near",       "neither",
    "never",     "no",         "nobody",    "none",      "nor",      "not",     "nothing",   "now",        "of",
    "off",       "often",      "on",        "once",      "one",      "only",    "onto",      "or",         "other",
    "others",    "our",        "ours",      "ourselves", "out",      "over",    "own",       "per",        "perhaps",
    "please",    "quite",      "rather",    "really",    "same",     "several", "she",       "she's",      "should",
    "shouldn't", "since",      "so",        "some",      "somebody", "someone", "something", "still",      "such",
    "than",      "that",       "that's",    "the",       "their",    "theirs",  "them",      "themselves", "then",
    "there",     "there's",    "therefore", "these",     "they",     "they're", "they've",   "this",       "those",
    "though",    "through",    "thus",      "to",        "together", "too",     "toward",    "towards",    "under",
    "unless",    "until",      "up",        "upon",      "us",       "very",    "via",       "was",        "wasn't",
    "we",        "we'll",      "we're",     "we've",     "well",     "were",    "weren't",   "what",       "what's",
    "when",      "where",      "whether",   "which",     "while",    "who",     "whoever",   "whole",      "whom",
    "whose",     "why",        "will",      "with",      "within",   "without", "won't",     "would",      "wouldn't",
    "yes",       "yet",        "you",       "you'd",     "you'll",   "you're",  "you've",    "your",       "yours",
    "yourself",  "yourselves"};

/// In byte order.
inline constexpr std::array<std::string_view, 199> chinese_stop_words{
    "一下", "一个", "一些", "一样", "一点", "一种", "一般来说", "不仅",   "不会", "不但", "不是", "不管",   "不能",
    "不要", "不过", "与",   "与其", "且",   "为",   "为了",     "为什么", "么",   "之",   "之一", "之前",   "之后",
    "之间", "也",   "也是", "也许", "了",   "于",   "于是",     "什么",   "从",   "从来", "他",   "他们",   "以",
    "以上", "以下", "以前", "以及", "以后", "但",   "但是",     "你",     "你们", "例如", "关于", "其",     "其中",
    "其他", "其它", "其实", "几个", "几乎", "包括", "十分",     "即使",   "又",   "及",   "只是", "只有",   "只要",
    "可以", "可是", "可能", "各",   "向",   "吗",   "吧",       "呀",     "呢",   "和",   "咱们", "哈",     "哦",
    "哪",   "哪个", "哪些", "哪里", "啊",   "嗯",   "嘛",       "因",     "因为", "因此", "在",   "多么",   "多少",
    "大家", "大概", "太",   "太过", "她",   "她们", "如果",     "它",     "它们", "完全", "对",   "对于",   "将要",
    "尤其", "就",   "就是", "已经", "常常", "并且", "应该",     "当然",   "很",   "必须", "怎么", "怎么样", "怎样",
    "总是", "您",   "您们", "我",   "我们", "或",   "或者",     "所以",   "才",   "把",   "按照", "无论",   "时候",
    "是",   "是否", "更",   "更加", "曾经", "最",   "最为",     "有",     "有时", "有点", "来说", "某",     "根据",
    "正在", "此",   "每",   "比如", "比较", "没有", "然后",     "然而",   "特别", "现在", "甚至", "由于",   "的",
    "的话", "真的", "着",   "确实", "等等", "经常", "给",       "而",     "而且", "而是", "而言", "能否",   "能够",
    "自己", "至于", "虽然", "被",   "让",   "该",   "请问",     "谢谢",   "还",   "还是", "还有", "这",     "这个",
    "这么", "这些", "这样", "这里", "通过", "那",   "那个",     "那么",   "那些", "那样", "那里", "都",     "都是",
    "除了", "随着", "需要", "非常"};
inline constexpr std::size_t longest_chinese_stop_word = 12;  // bytes

}  // namespace detail

/// The lists, in byte order.
inline std::span<const std::string_view> english_stop_words() noexcept { return detail::english_stop_words; }
inline std::span<const std::string_view> chinese_stop_words() noexcept { return detail::chinese_stop_words; }

/// Whether the word is in either list; ASCII letters in any case, a typographic apostrophe as the plain one.
inline bool is_stop_word(std::string_view word) {
    if (std::binary_search(detail::chinese_stop_words.begin(), detail::chinese_stop_words.end(), word)) return true;
    constexpr std::string_view curly = "\xE2\x80\x99";
    std::array<char, 16> plain{};  // longer than any English stop word
    std::size_t size = 0;
    for (std::size_t i = 0; i < word.size(); ++i) {
        if (size == plain.size()) return false;
        char c = word[i];
        if (word.substr(i, curly.size()) == curly) {
            c = '\'';
            i += curly.size() - 1;
        }
        plain[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return std::binary_search(detail::english_stop_words.begin(), detail::english_stop_words.end(),
                              std::string_view(plain.data(), size));
}

namespace detail {

/// What is left of a text: stretches of its bytes, in order. Offsets are into the text as it was given.
/// A word is one stretch; of a run of Chinese characters, stretches between stop words (the longest that matches at
/// each place, from the left) are left. Chinese is not segmented: a stop word inside another word is taken out as well
/// (的 of 的士), so the list holds few single characters.
/// Error invalid_text when the text is not UTF-8.
inline Result<std::vector<WordRun>> content_runs(std::string_view text) {
    RANKLET_TRY(check_words(text));
    std::vector<WordRun> runs;
    for_each_run(text, [&](const WordRun& run) {
        const std::string_view part = text.substr(run.bytes.begin, run.bytes.end - run.bytes.begin);
        if (!run.chinese) {
            if (!is_stop_word(part)) runs.push_back(run);
            return;
        }
        std::size_t begin = 0, at = 0;
        const auto keep = [&](std::size_t end) {
            if (end > begin)
                runs.push_back({{run.bytes.begin + static_cast<std::uint32_t>(begin),
                                 run.bytes.begin + static_cast<std::uint32_t>(end)},
                                true});
        };
        while (at < part.size()) {
            std::size_t length = std::min(longest_chinese_stop_word, part.size() - at);
            while (length > 0 &&
                   !std::binary_search(chinese_stop_words.begin(), chinese_stop_words.end(), part.substr(at, length)))
                --length;
            if (length > 0) {
                keep(at);
                begin = at += length;
                continue;
            }
            std::uint32_t bytes = 0;
            (void)code_at(part, at, bytes);
            at += bytes;
        }
        keep(part.size());
    });
    return runs;
}

}  // namespace detail

/// A text without its stop words, and where each part of it came from.
struct StrippedText {
    std::string text;                 ///< the stretches that are left, parted by one space
    std::vector<TokenSpan> stripped;  ///< of each stretch: bytes in `text`
    std::vector<TokenSpan> original;  ///< and bytes in the text as it was given
};

/// Words and Chinese stretches joined by single spaces; punctuation goes as well.
/// Error invalid_text when the text is not UTF-8.
inline Result<StrippedText> remove_stop_words(std::string_view text) RANKLET_MEMORY_TRY {
    RANKLET_ASSIGN(const std::vector<detail::WordRun> runs, detail::content_runs(text));
    StrippedText out;
    for (const detail::WordRun& run : runs) {
        if (!out.text.empty()) out.text += ' ';
        const auto begin = static_cast<std::uint32_t>(out.text.size());
        out.text += text.substr(run.bytes.begin, run.bytes.end - run.bytes.begin);
        out.stripped.push_back({begin, static_cast<std::uint32_t>(out.text.size())});
        out.original.push_back(run.bytes);
    }
    return out;
}
RANKLET_MEMORY_CATCH

RANKLET_NAMESPACE_END
