// AttentionPooling: rows weighted by attention and added up, y = sum over i of a_i x_i. The weight comes from a score:
//   additive   v . f(W x_i + b [+ U q])   Bahdanau et al. 2015; without a query: NAML, NRMS (Wu et al. 2019);
//                                         f = sigmoid and no softmax: NARM (Li et al. 2017)
//   dot        q . x_i                    Luong et al. 2015
//   bilinear   q . W x_i                  Luong et al. 2015
// and a = softmax(scores), or a_i = exp(s_i) / (sum of exp(s_j) + epsilon), or the scores themselves.
// In: x [n, dim], a query where the form has one, a mask. Out: y [dim], the weights [n].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ranklet/core/config.hpp"
#include "ranklet/core/result.hpp"
#include "ranklet/core/scratch.hpp"
#include "ranklet/core/view.hpp"
#include "ranklet/kernels/ops.hpp"
#include "ranklet/layers/linear.hpp"
#include "ranklet/layers/storage.hpp"

RANKLET_NAMESPACE_BEGIN

/// What makes scores weights.
struct AttentionWeights {
    bool softmax = true;   ///< false: the scores are the weights (NARM)
    float epsilon = 0.0f;  ///< added to the softmax's denominator before the maximum is taken out, as Keras layers do
};

template <class T = float>
class AttentionPooling {
public:
    /// score = v . activation(keys(x_i) [+ query(q)] ); keys [dim -> n], query [query dim -> n] or none, v [n].
    static Result<AttentionPooling> additive(Linear<T> keys, std::optional<Linear<T>> query, std::span<const T> v,
                                             Activation activation = Activation::tanh, AttentionWeights weights = {}) {
        if (keys.rounds_inputs() || (query && query->rounds_inputs())) return rounds_inputs();
        if (keys.out() == 0 || keys.out() != v.size() || (query && query->out() != v.size()))
            return make_error(ErrorCode::invalid_argument, {"additive attention's parts do not fit together: keys of ",
                                                            keys.out(), ", v of ", v.size()});
        AttentionPooling pooling(keys.in(), query ? query->in() : 0, weights);
        RANKLET_TRY(pooling.check());
        RANKLET_TRY(pooling.v_.resize(v.size()));
        std::copy(v.begin(), v.end(), pooling.v_.data());
        pooling.keys_ = std::move(keys);
        pooling.query_ = std::move(query);
        pooling.activation_ = activation;
        return pooling;
    }
    /// score = q . x_i, both [dim].
    static Result<AttentionPooling> dot(std::size_t dim, AttentionWeights weights = {}) {
        AttentionPooling pooling(dim, dim, weights);
        RANKLET_TRY(pooling.check());
        return pooling;
    }
    /// score = query(q) . x_i: Luong's "general" form, query [query dim -> dim].
    static Result<AttentionPooling> bilinear(Linear<T> query, AttentionWeights weights = {}) {
        AttentionPooling pooling(query.out(), query.in(), weights);
        RANKLET_TRY(pooling.check());
        if (query.rounds_inputs()) return rounds_inputs();
        pooling.query_ = std::move(query);
        return pooling;
    }

    RANKLET_LAYER(AttentionPooling);
    std::size_t dim() const noexcept { return dim_; }
    /// Elements of the query; 0: the form has none.
    std::size_t query_dim() const noexcept { return query_dim_; }

    /// Scratch bytes of forward() over n rows.
    std::size_t scratch_size(std::size_t n) const noexcept {
        const std::size_t hidden = keys_ ? keys_->out() : dim_;
        return scratch_bytes<T>(n + 1) + scratch_bytes<T>(hidden) + (keys_ ? scratch_bytes<T>(n * hidden) : 0);
    }

    /// out [dim] = sum of weights * rows of x [n, dim]. `query` [query_dim] (null where the form has none). `mask` [n]
    /// or empty (all count): a row whose entry is 0 has weight 0. Where no row counts, `out` is zero: PyTorch's masked
    /// softmax would give NaN, Keras's epsilon form gives zero. `weights` [n], if wanted. `out` must not overlap x.
    void forward(MatrixView<const T> x, const T* query, std::span<const std::uint8_t> mask, T* out, T* weights,
                 Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<T>;
        const ScratchFrame frame(scratch);
        const std::size_t n = x.rows;
        T* scores = scratch.take<T>(n + 1);
        std::fill_n(out, dim_, T(0));
        const auto counts = [&](std::size_t i) { return mask.empty() || mask[i] != 0; };
        bool any = false;
        for (std::size_t i = 0; i < n; ++i) any = any || counts(i);
        if (!any) {
            if (weights != nullptr) std::fill_n(weights, n, T(0));
            return;
        }
        score(x, query, scores, scratch);
        if (kind_.softmax) {
            for (std::size_t i = 0; i < n; ++i)
                if (!counts(i)) scores[i] = -std::numeric_limits<T>::infinity();
            // epsilon in the denominator is the exponential of one more score.
            const bool extra = kind_.epsilon > 0.0f;
            if (extra) scores[n] = std::log(static_cast<T>(kind_.epsilon));
            Ops::softmax(scores, n + (extra ? 1 : 0));
        } else {
            for (std::size_t i = 0; i < n; ++i)
                if (!counts(i)) scores[i] = T(0);
        }
        for (std::size_t i = 0; i < n; ++i)
            if (counts(i)) Ops::multiply_add(scores[i], x.row(i).data(), out, out, dim_);
        if (weights != nullptr) std::copy_n(scores, n, weights);
    }

private:
    AttentionPooling(std::size_t dim, std::size_t query_dim, AttentionWeights weights)
        : dim_(dim), query_dim_(query_dim), kind_(weights) {}

    static detail::SharedError rounds_inputs() {
        return make_error(
            ErrorCode::invalid_argument,
            {"attention's linear maps must not round their inputs, as 8-bit weights do and bf16 with a dot product"});
    }
    Result<void> check() const {
        if (dim_ == 0) return make_error(ErrorCode::invalid_argument, {"attention over rows without elements"});
        if (!(kind_.epsilon >= 0.0f && std::isfinite(kind_.epsilon)))
            return make_error(ErrorCode::invalid_argument, {"attention's epsilon must be a finite number from 0 on"});
        return {};
    }

    void score(MatrixView<const T> x, const T* query, T* scores, Scratch& scratch) const noexcept {
        using Ops = kernels::Ops<T>;
        const std::size_t n = x.rows;
        if (!keys_) {
            if (query_) {
                T* projected = scratch.take<T>(dim_);
                query_->forward({query, 1, query_dim_}, {projected, 1, dim_});
                query = projected;
            }
            return Ops::dot_rows(x.data, n, x.stride, query, dim_, scores);
        }
        const std::size_t hidden = keys_->out();
        const MatrixView<T> inner(scratch.take<T>(n * hidden), n, hidden);
        if (!query_) {
            keys_->forward(x, inner, activation_);
        } else {
            T* projected = scratch.take<T>(hidden);
            query_->forward({query, 1, query_dim_}, {projected, 1, hidden});
            keys_->forward(x, inner);
            for (std::size_t i = 0; i < n; ++i) {
                T* row = inner.row(i).data();
                Ops::add(row, projected, row, hidden);
                Ops::activate(activation_, row, hidden);
            }
        }
        Ops::dot_rows(inner.data, n, inner.stride, v_.data(), hidden, scores);
    }

    std::size_t dim_ = 0, query_dim_ = 0;
    AttentionWeights kind_;
    std::optional<Linear<T>> keys_, query_;
    detail::Storage<T> v_;
    Activation activation_ = Activation::tanh;
};

RANKLET_NAMESPACE_END
