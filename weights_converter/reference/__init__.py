"""The PyTorch reference of every model: what the C++ library's numbers are held against."""
