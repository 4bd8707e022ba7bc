"""What all update rules share: the base class, running averages, and the checks of what comes in."""

import copy
import math

import numpy as np


class Optimizer:
    """What all update rules share: the parameters, the step size, and what is remembered between steps.

    A rule is a subclass with a method `direction`; `step` subtracts `lr` times that direction from each
    parameter.

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn. They are updated in place: whoever holds them sees the new values.
    lr : float > 0
        The step size (learning rate). `optimizer.lr` may be set between steps, as a schedule does.

    Raises
    ------
    ValueError
        If `params` is not a list of distinct, writable float arrays, or `lr` is not a positive number.

    Notes
    -----
    A subclass lists its settings in `settings`. What it remembers between steps it gets from `memory`, which
    keeps it in `self.state`, a dictionary from a name to a list of arrays; where these do not have the shapes
    of the parameters, `shapes` says so. `state_dict` and `load_state_dict` then work without further code.
    """

    settings: tuple[str, ...] = ("lr",)

    def __init__(self, params: list[np.ndarray], lr: float):
        self.params = check_params(params)
        self.lr = lr
        if self.lr == 0:
            raise ValueError(f"lr must be a positive number, not {lr!r}: with it no step would move anything")
        self.steps = 0
        self.state: dict[str, list[np.ndarray]] = {}
        self._room: dict[np.dtype, np.ndarray] = {}

    @property
    def lr(self) -> float:
        """The step size. Setting it to 0 is allowed, because schedules end there; below 0 it is refused."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = number("lr", lr)

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """The shapes of what is remembered under `name`: those of the parameters, unless a rule differs."""
        return [param.shape for param in self.params]

    def memory(self, name: str) -> list[np.ndarray]:
        """What is remembered under `name`; zeros in the beginning."""
        if name not in self.state:
            dtype = np.result_type(*self.params)
            self.state[name] = [np.zeros(shape, dtype) for shape in self.shapes(name)]
        return self.state[name]

    def room(self, param: np.ndarray) -> np.ndarray:
        """An array like `param` to compute in, the same memory every time.

        With arrays of millions of entries, making new ones takes longer than the arithmetic.
        """
        if param.dtype not in self._room:
            self._room[param.dtype] = np.empty(max(p.size for p in self.params), param.dtype)
        return self._room[param.dtype][: param.size].reshape(param.shape)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The direction that `step` subtracts from parameter number `index`."""
        raise NotImplementedError

    def update(self, index: int, param: np.ndarray, grad: np.ndarray) -> None:
        """Move parameter number `index`, in place."""
        param -= np.multiply(self.lr, self.direction(index, param, grad), out=self.room(param))

    def step(self, grads: list[np.ndarray]) -> None:
        """Move all parameters by one step, in place.

        Parameters
        ----------
        grads : list of np.ndarray
            The gradient with respect to each parameter, in the order and with the shapes of `params`.

        Raises
        ------
        ValueError
            If the number or a shape does not fit or a gradient holds NaN or infinity. The message says
            which one; no parameter has been changed then.
        """
        grads = check_grads(grads, self.params)
        for index, (param, grad) in enumerate(zip(self.params, grads, strict=True)):
            self.update(index, param, grad)
        self.steps += 1

    def state_dict(self) -> dict:
        """A copy of all that is needed to continue: settings, number of steps, and what the rule remembers.

        The parameters are not in it: they belong to the caller, who saves them too.
        """
        state = {name: [array.copy() for array in arrays] for name, arrays in self.state.items()}
        return {
            "rule": type(self).__name__,
            "settings": {name: getattr(self, name) for name in self.settings},
            "steps": self.steps,
            "state": state,
        }

    def load_state_dict(self, saved: dict) -> None:
        """Continue from a `state_dict`, bit for bit as the optimizer that saved it would have.

        Raises
        ------
        ValueError
            If `saved` comes from another rule or does not fit the shapes of the parameters; nothing has
            been changed then.
        """
        if missing := {"rule", "settings", "steps", "state"} - set(saved):
            raise ValueError(f"this is not a state_dict: it has no {', '.join(sorted(missing))}")
        if saved["rule"] != type(self).__name__:
            raise ValueError(f"the saved state is of {saved['rule']}, this is {type(self).__name__}")
        if set(saved["settings"]) != set(self.settings):
            raise ValueError(
                f"the saved settings are {sorted(saved['settings'])}, those of {type(self).__name__} are "
                f"{sorted(self.settings)}: the state was saved by another version of the rule"
            )
        loaded = copy.copy(self)
        for name, value in saved["settings"].items():
            setattr(loaded, name, value)
        for name, arrays in saved["state"].items():
            found, needed = [np.shape(array) for array in arrays], loaded.shapes(name)
            if found != needed:
                raise ValueError(
                    f"the saved {name!r} has the shapes {found}, this model needs {needed}: load it into an "
                    "optimizer of the same model"
                )
        loaded.steps = saved["steps"]
        loaded.state = {
            name: [np.array(array) for array in arrays] for name, arrays in saved["state"].items()
        }
        vars(self).update(vars(loaded))


def with_decay(grad: np.ndarray, param: np.ndarray, weight_decay: float) -> np.ndarray:
    """The gradient of `f + weight_decay / 2 * ||param||²`, from that of f."""
    return grad + weight_decay * param if weight_decay else grad


def moving_average(
    memory: np.ndarray, rate: float, new: np.ndarray, room: np.ndarray | None = None
) -> np.ndarray:
    """An exponential moving average, in place: `memory <- rate * memory + (1 - rate) * new`."""
    memory *= rate
    memory += np.multiply(1 - rate, new, out=room)
    return memory


def number(name: str, value: float) -> float:
    if not (np.isscalar(value) and np.isreal(value) and math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a number that is not negative, not {value!r}")
    return value


def positive(**values: float) -> None:
    for name, value in values.items():
        if number(name, value) == 0:
            raise ValueError(f"{name} must be above 0")


def fraction(name: str, value: float) -> float:
    """The rate of a moving average."""
    if number(name, value) >= 1:
        raise ValueError(f"{name} must be below 1, not {value!r}: the average would not take in anything new")
    return value


def fractions(name: str, values: tuple[float, float]) -> tuple[float, float]:
    """The rates of two moving averages."""
    if np.shape(values) != (2,):
        raise ValueError(f"{name} must be two numbers, not {values!r}")
    return fraction(f"{name}[0]", values[0]), fraction(f"{name}[1]", values[1])


def check_params(params: list[np.ndarray]) -> list[np.ndarray]:
    if isinstance(params, np.ndarray) or not hasattr(params, "__iter__"):
        raise ValueError("params must be a list of arrays; for one array write [array]")
    params = list(params)
    if not params:
        raise ValueError("params is empty: there is nothing to learn")
    for i, param in enumerate(params):
        if not isinstance(param, np.ndarray) or param.dtype.kind != "f" or not param.flags.writeable:
            what = f"array of {param.dtype}" if isinstance(param, np.ndarray) else type(param).__name__
            raise ValueError(
                f"params[{i}] must be a writable array of floats, which can be updated in place, not: {what}"
            )
        if any(param is other for other in params[:i]):
            raise ValueError(f"params[{i}] stands in params twice: it would be moved twice in each step")
    return params


def check_grads(grads: list[np.ndarray], params: list[np.ndarray]) -> list[np.ndarray]:
    if len(grads) != len(params):
        raise ValueError(f"{len(grads)} gradients for {len(params)} parameters: step needs one for each")
    checked = []
    for i, (grad, param) in enumerate(zip(grads, params, strict=True)):
        grad = np.asarray(grad)
        if grad.dtype.kind not in "fiu":
            raise ValueError(f"grads[{i}] must be an array of real numbers, not of {grad.dtype}")
        if grad.shape != param.shape:
            raise ValueError(f"grads[{i}] has shape {grad.shape}, its parameter has {param.shape}")
        grad = grad.astype(param.dtype, copy=False)
        # one number tells: a sum of squares is finite unless an entry is not, or the sum overflows
        if not np.isfinite(np.vdot(grad, grad)) and not np.all(np.isfinite(grad)):
            raise ValueError(
                f"grads[{i}] (shape {grad.shape}) holds NaN or infinity; no parameter was changed. Most "
                "often the step size is too large: look at the values of the last steps"
            )
        checked.append(grad)
    return checked
