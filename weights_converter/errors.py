"""The one exception of this package: a message for the person who converts, without a traceback."""


class ConversionError(ValueError):
    """Something cannot be converted or written; the message names the file, key or tensor and what was expected."""
