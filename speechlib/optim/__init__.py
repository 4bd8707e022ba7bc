"""Update rules, schedules and the loop around them, in the order in which the book derives them.

An update rule is one formula: `theta <- theta - lr * direction`. The classes differ in the direction, and a
few in what they keep beside `theta`. A schedule multiplies `lr` by a factor that depends on the step.
"""

from ._base import Optimizer
from .adaptive import Adagrad, Adam, AdamW, Lion, NAdam, RMSprop
from .averaging import Average, ScheduleFree, ScheduleFreeAdamW
from .descent import SGD, GradientDescent, Subgradient
from .finite_sums import saga, svrg
from .loop import History, backtracking, minimize
from .matrix import Adafactor, Muon, newton_schulz
from .schedules import constant, cosine, exponential, one_cycle, step_decay, warmup, warmup_stable_decay

__all__ = [
    "Optimizer", "GradientDescent", "SGD", "Subgradient",
    "Adagrad", "RMSprop", "Adam", "AdamW", "NAdam", "Lion", "Adafactor", "Muon", "newton_schulz",
    "Average", "ScheduleFree", "ScheduleFreeAdamW", "svrg", "saga",
    "constant", "step_decay", "exponential", "cosine", "warmup", "one_cycle", "warmup_stable_decay",
    "History", "minimize", "backtracking",
]  # fmt: skip
