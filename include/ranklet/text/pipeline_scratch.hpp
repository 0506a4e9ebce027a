// PipelineScratch: working memory of SubwordTokenizer's steps, kept between calls so that they allocate nothing.
// In, out: nothing of its own; its content means nothing between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/text/aligned_text.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

struct NormalFormScratch {
    struct Mark {
        CharChange change;
        std::uint8_t combining;
    };
    std::vector<Mark> marks;
    std::vector<std::size_t> order, spare;
};

/// How a text's best cut comes to its byte i: score of the pieces so far, where the last one begins, and its id.
struct UnigramNode {
    double score;
    std::uint32_t start;
    std::int32_t id;
};

/// A symbol of a word on its way to merged pieces, and a pair that may be merged.
struct BpeSymbol {
    std::int32_t id;
    std::int32_t previous, next;  // -1: none
    std::uint32_t size;           // bytes; 0: merged into its predecessor
};
struct BpePair {
    std::uint32_t rank, at;
    std::int32_t id;  // of what the two become
};

struct PipelineScratch {
    AlignedText normalized[2];       // by the normalizers, in turn
    std::vector<AlignedText> steps;  // by each pre-tokenizer, two of each
    std::vector<CharChange> changes;
    NormalFormScratch normal_form;
    std::vector<UnigramNode> nodes;
    std::vector<std::uint32_t> path;  // ends of pieces, backwards
    std::vector<BpeSymbol> symbols;
    std::vector<BpePair> pairs;
};

}  // namespace detail
RANKLET_NAMESPACE_END
