"""What an utterance and a corpus are: who says what, in which split; the samples in memory or on disk."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from speechlib import audio

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
COMMANDS = tuple(
    "backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no "
    "off on one right seven sheila six stop three tree two up visual wow yes zero".split()
)  # the 35 words of Speech Commands v2


class CorpusError(ValueError):
    """The corpus cannot give what was asked for; the message says why and what to do."""


@dataclass(frozen=True)
class Recording:
    """A sound file that is read anew each time its samples are asked for.

    A hundred hours at 16 kHz fill 46 GB as float64: a large corpus stays on disk.

    Attributes
    ----------
    path : Path
    target : int or None [Hz]
        The rate wanted; None keeps the file's own.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/tone.flac", np.sin(np.arange(16_000) / 4), 16_000)
    ...     tone = Recording(Path(folder, "tone.flac"), target=8_000)
    ...     print(tone.rate(), len(tone.samples()), tone.seconds())
    8000 8000 1.0
    """

    path: Path
    target: int | None = None

    def samples(self) -> np.ndarray:
        """The waveform, float64, at the rate wanted.

        Raises
        ------
        CorpusError
            If the file is missing, damaged, cut off or empty, or not one channel of finite numbers.
        """
        try:
            audio._check_chunks(self.path)
            y, own = audio._read(self.path)
            if y.size and y.shape[1] == 1 and np.isfinite(y).all():
                return y[:, 0] if self.target is None else audio.resample(y[:, 0], own, self.target)
        except audio.AudioError as error:
            raise CorpusError(str(error)) from None
        except OSError as error:
            raise self._unreadable(error.strerror) from error
        raise self._unreadable("it must hold one channel of finite numbers, and at least one of them")

    def rate(self) -> int:
        """The rate of `samples`, in Hz; where none was asked for, from the file's header."""
        return self.target or self._header().samplerate

    def seconds(self) -> float:
        """The duration that the file's header announces."""
        return self._header().duration

    def _header(self):
        try:
            return soundfile.info(self.path)
        except soundfile.SoundFileError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, why) -> CorpusError:
        return CorpusError(f"{self.path} cannot be used ({why}): copy it again from the source of the corpus")


class _OnDisk:
    """A field of `Utterance` that may be given as a `Recording`: `read` then gets the value from the file."""

    def __init__(self, read: Callable[[Recording], object]):
        self.read = read

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, utterance, owner=None):
        if utterance is None:  # dataclass looks for a default value, and there is none
            raise AttributeError(self.name)
        value = utterance.__dict__[self.name]
        return self.read(value) if isinstance(value, Recording) else value

    def __set__(self, utterance, value):
        utterance.__dict__[self.name] = value


@dataclass(frozen=True, eq=False, repr=False)
class Utterance:
    """One recording of one speaker saying one text.

    Attributes
    ----------
    id : str
        Unique in its corpus.
    y : np.ndarray [shape=(samples,)]
        The waveform, float64 between -1 and 1. In a large corpus it is read from its file at each access.
    sr : int
        Samples per second (Hz).
    text : str
        What is said, words separated by spaces.
    speaker, split : str
        Who says it, and on which side of the split this speaker is.
    voice, engine, accent : str
        The voice (one engine speaking as one person at one warp), the synthesizer ("human" for people) and
        the accent.
    take : int
        How many times this voice has said it before.
    kind : str
        "digits", "strings", "words", "mandarin_digits", "commands", "sentences" or "noise".
    sex : str
        As the corpus has it, "female" or "male" for most; empty where it says nothing.
    """

    id: str
    y: np.ndarray = _OnDisk(Recording.samples)
    sr: int = _OnDisk(Recording.rate)
    text: str
    speaker: str
    split: str
    voice: str
    engine: str
    accent: str
    take: int
    kind: str
    sex: str = ""

    def __repr__(self) -> str:
        # From __dict__, so that no file is opened.
        shown = (f"{name}={value!r}" for name, value in self.__dict__.items() if name != "y")
        return f"Utterance({', '.join(shown)})"

    @property
    def on_disk(self) -> bool:
        """Whether `y` is read from a file at each access."""
        return isinstance(self.__dict__["y"], Recording)

    @property
    def seconds(self) -> float:
        """The duration; of a recording on disk, what its header announces."""
        return self.__dict__["y"].seconds() if self.on_disk else len(self.y) / self.sr


class Corpus(Sequence):
    """A sequence of utterances that can be filtered and split; the order is always the same.

    Parameters
    ----------
    utterances : iterable of Utterance

    Examples
    --------
    >>> from speechlib import corpus
    >>> dev = corpus.digits("dev")
    >>> len(dev), dev[0].text, len(dev[:20])
    (300, 'zero', 20)
    >>> sevens = dev.filter(lambda utterance: utterance.text == "seven")
    >>> len(sevens), set(sevens.labels.tolist())
    (30, {7})
    """

    def __init__(self, utterances: Iterable[Utterance]):
        self._utterances = tuple(utterances)

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Corpus(self._utterances[index])
        return self._utterances[operator.index(index)]

    def __repr__(self) -> str:
        # The durations of a corpus on disk are in as many files as it has utterances.
        on_disk = any(utterance.on_disk for utterance in self)
        length = "on disk" if on_disk else f"{sum(utterance.seconds for utterance in self):.0f} s"
        return f"Corpus({len(self)} utterances, {len(self.speakers)} speakers, {length})"

    def filter(self, keep: Callable[[Utterance], bool]) -> "Corpus":
        """Keep the utterances for which `keep` is true."""
        return Corpus(utterance for utterance in self if keep(utterance))

    def split(self, name: str) -> "Corpus":
        """The utterances of one split.

        Raises
        ------
        CorpusError
            If no utterance here belongs to it.
        """
        here = sorted({utterance.split for utterance in self})
        if name not in here:
            known = ", ".join(here) or "none, the corpus is empty"
            raise CorpusError(f"no split {name!r} here; there are: {known}")
        return self.filter(lambda utterance: utterance.split == name)

    def leave_one_speaker_out(self) -> Iterator[tuple[str, "Corpus", "Corpus"]]:
        """For each speaker: the name, everything the others say, everything this one says.

        Examples
        --------
        >>> from speechlib import corpus
        >>> for speaker, others, own in corpus.digits("test").leave_one_speaker_out():
        ...     print(speaker, len(others), len(own))
        rms 550 550
        slt 550 550
        """
        for speaker in self.speakers:
            others = Corpus(utterance for utterance in self if utterance.speaker != speaker)
            yield speaker, others, Corpus(utterance for utterance in self if utterance.speaker == speaker)

    @property
    def speakers(self) -> list[str]:
        """The speakers' names, sorted."""
        return sorted({utterance.speaker for utterance in self})

    @property
    def texts(self) -> list[str]:
        """What each utterance says."""
        return [utterance.text for utterance in self]

    @property
    def labels(self) -> np.ndarray:
        """The class of each utterance, as an integer.

        That is the digit; or the place of a command word in `WORDS`; or, for all of Speech Commands (kind
        "commands"), the place in `COMMANDS`.

        Raises
        ------
        CorpusError
            If an utterance is not a single digit or command word, or digits and command words are mixed:
            both would be numbered from 0.
        """
        used = set()
        for utterance in self:
            lists = (COMMANDS,) if utterance.kind == "commands" else (DIGITS, WORDS)
            known = [names for names in lists if utterance.text in names]
            if not known:
                raise CorpusError(f"{utterance.id} says {utterance.text!r}, which has no class: use .texts")
            used.update(known)
        if len(used) > 1:
            raise CorpusError("digits and command words are mixed here: filter by kind, or use .texts")
        return np.array([names.index(text) for names in used for text in self.texts], dtype=np.int64)

    @property
    def manifest(self) -> list[dict]:
        """One row an utterance, with everything but the samples, and the duration in seconds.

        Of a corpus on disk every file is opened for it.
        """
        names = [each.name for each in fields(Utterance) if each.name != "y"]
        return [
            {**{name: getattr(utterance, name) for name in names}, "seconds": utterance.seconds}
            for utterance in self
        ]
