"""What all tests share: one thread, hypothesis without a clock, an executed canary."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy and torch are imported

import canary  # noqa: E402
import notebooks  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("book", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("book")


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """The healthy canary, executed by the command that executes chapters; do not change it."""
    path = tmp_path_factory.mktemp("canary") / "healthy.ipynb"
    notebooks.write(canary.healthy(), path)
    assert notebooks.main(["execute", str(path)]) == 0
    return path
