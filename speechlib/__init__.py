"""Small, plain code for learning how recognizers learn: each module is one idea of the book."""

__version__ = "0.1.0"
