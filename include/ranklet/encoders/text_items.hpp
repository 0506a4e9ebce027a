// The self-test's items of encoders that read one text an item.
// In: a model file. Out: an item for each of its texts.
#pragma once

#include <string_view>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/encoders/item_encoder.hpp"
#include "ranklet/model_file/reader.hpp"

RANKLET_NAMESPACE_BEGIN
namespace detail {

RANKLET_COLD inline Result<SelfTestItems> self_test_texts(const ModelReader& reader) {
    RANKLET_ASSIGN(const auto texts, reader.strings("ranklet.selftest.texts"));
    SelfTestItems result;
    for (const std::string_view text : texts) result.items.push_back({{}, text});
    return result;
}

}  // namespace detail
RANKLET_NAMESPACE_END
