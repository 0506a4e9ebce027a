"""Writes tests/io/goldens/*.npy: what numpy.save makes of small arrays.

    python3 tests/io/make_npy_goldens.py

Committed files were made with numpy 1.24.2.
"""

import pathlib

import numpy as np
from numpy.lib import format as npy_format

FOLDER = pathlib.Path(__file__).resolve().parent / "goldens"


def main():
    FOLDER.mkdir(exist_ok=True)
    # Element [r, c] is r + c / 8: exact in float32.
    array = (np.arange(5)[:, None] + np.arange(3)[None, :] / 8).astype("<f4")
    np.save(FOLDER / "f4.npy", array)
    np.save(FOLDER / "f4_empty.npy", array[:0])
    np.save(FOLDER / "f4_fortran.npy", np.asfortranarray(array))
    np.save(FOLDER / "f4_big_endian.npy", array.astype(">f4"))
    np.save(FOLDER / "f4_vector.npy", array[0])
    np.save(FOLDER / "f4_cube.npy", array.reshape(5, 3, 1))
    np.save(FOLDER / "f8.npy", array.astype("<f8"))
    np.save(FOLDER / "i4.npy", array.astype("<i4"))
    np.save(FOLDER / "record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
    with open(FOLDER / "f4_version2.npy", "wb") as file:
        npy_format.write_array(file, array, version=(2, 0))
    with open(FOLDER / "f4_version3.npy", "wb") as file:
        npy_format.write_array(file, array, version=(3, 0))


if __name__ == "__main__":
    main()
