// Whether two catalogs hold the same, bit for bit.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <utility>

#include "recommender/models.hpp"

namespace ranklet_test {

inline void check_same(const ranklet::Matrix& a, const ranklet::Matrix& b) {
    CHECK(a.rows() == b.rows());
    CHECK(a.cols() == b.cols());
    CHECK(same_bits(flat(a), flat(b)));
}
inline void check_same(const ranklet::CatalogData& a, const ranklet::CatalogData& b) {
    CHECK(a.ids == b.ids);
    check_same(a.vectors, b.vectors);
    check_same(a.outputs, b.outputs);
    CHECK(same_bits(a.bias, b.bias));
    CHECK(a.token_offsets == b.token_offsets);
    REQUIRE(a.parts.size() == b.parts.size());
    for (const ranklet::CatalogPart& part : a.parts) {
        const ranklet::CatalogPart* other = b.find_part(part.name);
        REQUIRE(other != nullptr);
        CHECK(part.rows == other->rows);
        check_same(part.values, other->values);
    }
    CHECK(a.model == b.model);
    REQUIRE(a.attributes.columns.size() == b.attributes.columns.size());
    for (std::size_t c = 0; c < a.attributes.columns.size(); ++c) {
        const auto &x = a.attributes.columns[c], &y = b.attributes.columns[c];
        CHECK(x.name == y.name);
        CHECK(x.type == y.type);
        CHECK(x.values == y.values);
        CHECK(x.codes == y.codes);
        CHECK(x.tag_offsets == y.tag_offsets);
        CHECK(std::equal(
            x.numbers.begin(), x.numbers.end(), y.numbers.begin(), y.numbers.end(),
            [](double p, double q) { return std::bit_cast<std::uint64_t>(p) == std::bit_cast<std::uint64_t>(q); }));
    }
}

}  // namespace ranklet_test
