// Embedding: rows of a table, torch.nn.Embedding.
// In: an id. Out: row [dim] as f32. The table stays where it is (a mapped file) in its stored type; nothing is owned.
#pragma once

#include "ranklet/core/config.hpp"
#include "ranklet/core/tensor.hpp"

RANKLET_NAMESPACE_BEGIN

class Embedding {
public:
    Embedding() = default;
    /// `table` [count, dim]; its memory must outlive the layer.
    explicit Embedding(TensorView table) noexcept : table_(table) {}

    std::size_t count() const noexcept { return table_.rows; }
    std::size_t dim() const noexcept { return table_.cols; }
    /// The first numbers of every row. Precondition: 1 <= columns <= dim().
    Embedding first_columns(std::size_t columns) const noexcept {
        TensorView table = table_;
        table.cols = columns;  // rows lie as far apart as before
        return Embedding(table);
    }

    /// Precondition: id < count().
    void row(std::size_t id, float* out) const noexcept { dequantize_row(table_, id, out); }

private:
    TensorView table_{};
};

RANKLET_NAMESPACE_END
