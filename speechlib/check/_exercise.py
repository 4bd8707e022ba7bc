"""How a check answers: a verdict, and where it is wrong one hint. It never raises on a reader's mistake."""

import functools
import inspect

UNANSWERED = "No answer yet: put yours in place of the three dots."


class Unanswered(Exception):
    """A function handed in still returns the three dots of its stub."""


def exercise(function):
    """Turn `function(answer) -> hint or None` into a check that prints a verdict and returns True or False.

    The wrapped function returns None when the answer is right, else one hint for the mistake it recognizes.
    Whatever it raises is the reader's answer being unusable, and is reported as such.

    Examples
    --------
    >>> @exercise
    ... def two(answer):
    ...     return None if answer == 2 else "Count again."
    >>> two(2)
    Right.
    True
    >>> two(3)
    Not yet. Count again.
    False
    >>> two(...)
    No answer yet: put yours in place of the three dots.
    False
    """

    def asked(answer):
        """A reader's function that says so when it is still a stub."""

        @functools.wraps(answer)
        def call(*arguments, **named):
            result = answer(*arguments, **named)
            if result is ...:
                raise Unanswered
            return result

        return call

    @functools.wraps(function)
    def check(answer):
        if answer is ... or answer is None:
            print(UNANSWERED)
            return False
        try:
            hint = function(asked(answer) if inspect.isfunction(answer) else answer)
        except Unanswered:
            print(UNANSWERED)
            return False
        except Exception as error:  # a check must survive any answer
            hint = f"Your answer could not be used: {type(error).__name__}: {error}"
        print("Right." if hint is None else f"Not yet. {hint}")
        return hint is None

    return check
