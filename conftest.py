"""For all tests, those in docstrings included."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def print_options():
    """`book.setup` changes how arrays are printed; the next test should not notice."""
    with np.printoptions():
        yield
