"""Fits the polynomials of include/ranklet/kernels/math.hpp and prints their coefficients, constant first.

Run:  python3 cmake/generators/fit_math.py      (needs numpy)

Each is a weighted minimax fit in double precision, by Lawson's iteratively reweighted least squares on Chebyshev nodes,
rounded to float32. What matters is the function's error, so a polynomial in an exponent is weighted by how much it moves
the result.
"""

from __future__ import annotations

import math

import numpy as np


def nodes(low: float, high: float, count: int = 3000) -> np.ndarray:
    return low + (high - low) * (1.0 - np.cos(np.linspace(0.0, np.pi, count))) / 2.0


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, degree: int, rounds: int = 1500) -> tuple[np.ndarray, float]:
    """The polynomial with the smallest largest |weight * (p(x) - y)|: its coefficients and that error."""
    basis = np.polynomial.chebyshev.chebvander((2.0 * x - (x[0] + x[-1])) / (x[-1] - x[0]), degree)
    importance = np.ones_like(x)
    best, best_error = None, math.inf
    for _ in range(rounds):
        row = np.sqrt(importance) * weight
        solution, *_ = np.linalg.lstsq(basis * row[:, None], y * row, rcond=None)
        error = np.abs((basis @ solution - y) * weight)
        if error.max() < best_error:
            best, best_error = solution, error.max()
        importance *= error / error.max() + 1e-12
        importance /= importance.sum()
    series = np.polynomial.chebyshev.Chebyshev(best, domain=[x[0], x[-1]])
    return series.convert(kind=np.polynomial.Polynomial).coef, float(best_error)


def exponential() -> tuple[np.ndarray, float]:
    """exp_parts: q of e^r = 1 + r + r^2 q(r), |r| <= ln(2) / 2; the error is that of e^r, relative."""
    r = nodes(-math.log(2.0) / 2.0, math.log(2.0) / 2.0)
    r = r[np.abs(r) > 1e-3]  # q is smooth; its own formula is not, near zero
    return fit(r, (np.expm1(r) - r) / (r * r), r * r / np.exp(r), 4)


def power_of_two(degree: int) -> tuple[np.ndarray, float]:
    """exp2_below and gelu: 2^f, |f| <= 1/2, relative error."""
    f = nodes(-0.5, 0.5)
    return fit(f, np.exp2(f), np.exp2(-f), degree)


def normal_tail() -> tuple[np.ndarray, float]:
    """gelu: R of Phi(-a) = 2^R(a) on [0, 6]; the error is that of a Phi(-a), relative below a = 0.02."""
    a = nodes(0.0, 6.0)
    tail = np.array([0.5 * math.erfc(v / math.sqrt(2.0)) for v in a])
    return fit(a, np.log2(tail), np.maximum(a, 0.02) * tail * math.log(2.0), 8)


def logarithm() -> tuple[np.ndarray, float]:
    """log: p of ln(1 + f) = f + f^2 p(f), 1 + f in [sqrt(1/2), sqrt(2)]; the error is absolute."""
    f = nodes(math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0)
    f = f[np.abs(f) > 1e-3]  # p is smooth; its own formula is not, near zero
    return fit(f, (np.log1p(f) - f) / (f * f), f * f, 8)


def main() -> None:
    for name, (coefficients, error) in {
        "exp_parts, q": exponential(),
        "exp2_below": power_of_two(6),
        "gelu, R": normal_tail(),
        "gelu, 2^f": power_of_two(5),
        "log, p": logarithm(),
    }.items():
        print(f"{name}: error {error:.2g}")
        for coefficient in coefficients:
            print(f"    {float(np.float32(coefficient))!r}")


if __name__ == "__main__":
    main()
