"""One self-check an exercise, in one module a chapter. Each prints a verdict and, where wrong, one hint."""

from .acoustic_models import *  # noqa: F403
from .backpropagation import *  # noqa: F403
from .cross_entropy import *  # noqa: F403
from .gradient_clipping import *  # noqa: F403
from .gradient_descent import *  # noqa: F403
from .human_speech import *  # noqa: F403
from .sound import *  # noqa: F403
from .stochastic_optimization import *  # noqa: F403
