// Matrices that own their numbers, and those that look into another's.
#include "ranklet/core/matrix.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

using ranklet::Matrix;

TEST_CASE("an owned matrix is zero, moves with its numbers, and leaves nothing behind") {
    auto made = Matrix::zeroed(2, 3);
    REQUIRE(made.ok());
    Matrix a = std::move(*made);
    CHECK_FALSE(a.empty());
    CHECK_FALSE(a.is_borrowed());
    a.row(1)[2] = 5.0f;
    const Matrix b = std::move(a);
    CHECK(b.row(1)[2] == 5.0f);
    CHECK(b.row(0)[0] == 0.0f);
    CHECK(a.empty());
    CHECK(a.rows() == 0);
    CHECK(Matrix().empty());
    CHECK(Matrix::zeroed(0, 7)->empty());
    CHECK_FALSE(Matrix::zeroed(static_cast<std::size_t>(-1), 2).ok());
}

TEST_CASE("a borrowed matrix looks at the owner's numbers and keeps the owner as long as it lives") {
    auto owner = std::make_shared<const std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
    const std::weak_ptr<const std::vector<float>> watch = owner;
    {
        Matrix first = Matrix::borrowed(owner->data(), 3, 2, owner);
        const float* numbers = owner->data();
        owner.reset();
        CHECK_FALSE(watch.expired());
        const Matrix second = std::move(first);
        CHECK(second.is_borrowed());
        CHECK(second.view().data == numbers);
        CHECK(second.row(2)[1] == 6.0f);
        CHECK(first.empty());
        CHECK_FALSE(watch.expired());
    }
    CHECK(watch.expired());
}
