"""An archive comes from the network: in parts if need be, checked against its sum, unpacked with care."""

import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from speechlib.utterances import CorpusError

MOST_MEMBERS = 500_000  # three times what the largest of the corpora has
BLOCK = 2**20


@dataclass(frozen=True)
class Archive:
    """A tar.gz file on the network.

    Attributes
    ----------
    url : str
    size : int
        Bytes of the archive.
    sha256 : str
    unpacked : int
        Bytes of all its files; an archive with more is refused.
    """

    url: str
    size: int
    sha256: str
    unpacked: int

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rsplit("/", 1)[1]


def cache() -> Path:
    """The folder in which downloads are kept."""
    import pooch

    return Path(pooch.os_cache("speechlib"))


def fetch(archive: Archive, folder: Path, *, call: str) -> None:
    """See that `folder` holds what an archive on the network holds.

    Nothing is done where the folder exists: it gets its name last, when it is whole. A download that was
    interrupted is continued by the next call. Beside the folder there must be room for the archive, which
    is removed at the end.

    Parameters
    ----------
    archive : Archive
    folder : Path
    call : str
        What a reader calls with a local folder instead, for the message.

    Raises
    ------
    CorpusError
        If the download fails, or what came is not the archive, or the archive is not safe to unpack.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        packed = folder.parent / archive.name
        if not packed.is_file():
            _download(archive, packed, call)
        _verify(archive, packed)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            unpack(packed, Path(temporary) / "whole", archive.unpacked)
            os.replace(Path(temporary) / "whole", folder)
        packed.unlink()
    except OSError as error:
        raise CorpusError(f"{folder} cannot be written ({error}): is the disk full, or read-only?") from error


def _download(archive: Archive, packed: Path, call: str) -> None:
    """Append to the part that is there already; give it its name when it has the right length."""
    import requests
    import tqdm
    import urllib3

    part = packed.with_name(packed.name + ".part")
    done = part.stat().st_size if part.is_file() else 0
    try:
        if done < archive.size:
            # Some servers call a gz file "encoded", and requests would decode it: it is taken as it comes.
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
            with requests.get(archive.url, headers=headers, stream=True, timeout=60) as response:
                response.raise_for_status()
                if not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                    done = 0  # this server sends the whole file
                blocks = response.raw.stream(BLOCK, decode_content=False)
                bar = tqdm.tqdm(total=archive.size, initial=done, unit="B", unit_scale=True, desc=packed.name)
                with part.open("ab" if done else "wb") as file, bar:
                    for block in blocks:
                        file.write(block)
                        bar.update(len(block))
                        done += len(block)
                        if done > archive.size:
                            break
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise CorpusError(
            f"cannot download {archive.url} ({error}). Call again to go on where it stopped. Without a "
            f"network: get this file on another machine, unpack it here and call {call}"
        ) from error
    if done < archive.size:
        raise CorpusError(
            f"the download of {archive.url} broke off after {done} of {archive.size} bytes: call again to "
            "go on where it stopped"
        )
    os.replace(part, packed)


def _verify(archive: Archive, packed: Path) -> None:
    with packed.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != archive.sha256:
        packed.unlink()
        raise CorpusError(
            f"what came from {archive.url} is not what was published (SHA-256 {found[:12]}… instead of "
            f"{archive.sha256[:12]}…) and was removed: call again; if it happens twice, use another source"
        )


def unpack(packed: Path, folder: Path, most_bytes: int) -> None:
    """Unpack the files and folders of a tar.gz archive into a new folder; refuse all else.

    Parameters
    ----------
    packed, folder : Path
    most_bytes : int
        Refuse more than this, which fills the disk.

    Raises
    ------
    CorpusError
        If a path leads out of the folder or stands there twice, if something is neither a file nor a folder
        (a link, a device), if there is too much, or if the archive is damaged. What was unpacked until then
        stays in `folder`.
    """
    total = 0
    try:
        folder.mkdir()
        # Content is copied by hand: tarfile would also set owners and modes, and follow links.
        with tarfile.open(packed, "r|gz") as members:
            for number, member in enumerate(members):
                path = _inside(folder, member, packed.name)
                total += member.size
                if total > most_bytes or number >= MOST_MEMBERS:
                    raise CorpusError(f"{packed.name} holds more than it should: do not use this source")
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("xb") as file:
                        shutil.copyfileobj(members.extractfile(member), file)
    except FileExistsError as error:
        raise CorpusError(f"{packed.name} holds {error.filename} twice: do not use this source") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise CorpusError(f"{packed.name} is damaged ({error}): get it again") from error


def _inside(folder: Path, member: tarfile.TarInfo, archive: str) -> Path:
    """Where a member goes, if it is safe."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or any(c in member.name for c in "\\:\0"):
        raise CorpusError(f"{archive} holds the unsafe path {member.name!r}: do not use this source")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise CorpusError(f"{archive} holds {member.name!r}, a link or a device: do not use this source")
    return folder.joinpath(*path.parts)
