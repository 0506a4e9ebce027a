// WordPieceDecoder: tokens back to text.
// In: tokens as the vocabulary writes them. Out: text, pieces joined, with few spaces before punctuation.
// From `decoders::wordpiece` of Hugging Face's tokenizers 0.23.2, with its clean-up.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "ranklet/core/config.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

class WordPieceDecoder {
public:
    void add(std::string_view token) {
        token_.clear();
        if (count_++ > 0) {
            if (token.starts_with("##")) {
                token.remove_prefix(2);
            } else {
                token_ += ' ';
            }
        }
        token_ += token;
        // Each token by itself, so contractions of several tokens ("do", "not") stay as they are.
        static constexpr std::pair<std::string_view, std::string_view> repairs[] = {
            {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
            {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
        for (const auto& [from, to] : repairs)
            for (std::size_t at = 0; (at = token_.find(from, at)) != std::string::npos; at += to.size())
                token_.replace(at, from.size(), to);
        text_ += token_;
    }

    std::string text() && { return std::move(text_); }

private:
    std::string text_;
    std::string token_;
    std::size_t count_ = 0;
};

}  // namespace detail
RANKLET_NAMESPACE_END
