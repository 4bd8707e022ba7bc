"""What stands in one place only: the pins, the repository's address, the names of the commands."""

import json
import re
import subprocess
import tomllib

import pytest
import yaml
from notebooks import ROOT


def normal(name):
    """Return a package's name as registries compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", name)[0]).lower()


@pytest.fixture(scope="module")
def lock():
    """The lock as {package: version}."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    unpinned = [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+(?: ?;.*)?", line)]
    assert unpinned == []
    pins = [(normal(line), re.split(r"==|;| ", line)[1]) for line in lines]
    assert len(dict(pins)) == len(pins), "a package stands twice in requirements.txt"
    return dict(pins)


@pytest.fixture(scope="module")
def files():
    """The text files of the repository, as {path from the root: text}; what git ignores is left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        try:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a sound, or deleted and not yet committed
    return found


def test_conda_and_pip_agree(lock):
    """environment.yml repeats no pin but PyTorch's, and that one is the lock's."""
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = dict(re.split("=+", package, maxsplit=1) for package in wanted if "=" in package)
    assert set(conda) == {"python", "pytorch-cpu"}
    assert conda["pytorch-cpu"] == lock["torch"]
    assert "-r requirements.txt" in next(package["pip"] for package in wanted if isinstance(package, dict))
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert float(conda["python"].split(".")[1]) >= float(needs.split(".")[1])


def test_what_the_project_needs_is_locked(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    assert {normal(name) for name in needed} - set(lock) == set()


def test_the_book_stays_on_jupyter_book_1(lock):
    """Version 2 is another program, and a build with it can succeed without making a page."""
    assert lock["jupyter-book"].startswith("1.")


def test_axe_is_pinned_exactly_and_alone():
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert set(package["devDependencies"]) == {"axe-core"} and "dependencies" not in package
    assert set(locked) == {"", "node_modules/axe-core"}
    assert locked["node_modules/axe-core"]["version"] == package["devDependencies"]["axe-core"]
    assert locked["node_modules/axe-core"]["integrity"].startswith("sha512-")
    assert "resolved" not in locked["node_modules/axe-core"], "the lock must not name a registry"


def test_the_address_of_the_repository_stands_in_one_place(files):
    url = yaml.safe_load(files["_config.yml"])["repository"]["url"].rstrip("/")
    derived = [url.split("://")[1], "mybinder.org/v2/gh/", "colab.research.google.com/github/", ".github.io"]
    holders = {name for name, text in files.items() if any(piece in text for piece in derived)}
    assert holders - {"_config.yml", "tests/test_environment.py"} == set()
    assert files["_config.yml"].count(url) == 1


def test_no_path_of_one_machine_is_committed(files):
    path = re.compile(r"(?<![\w.~/$}*-])/(?:home|Users|root|work|tmp)/\w+|\b[C-Z]:\\\w+\\|\.\./shared\b")
    found = {name: path.search(text) for name, text in files.items() if not name.startswith("tests/")}
    assert {name: match[0] for name, match in found.items() if match} == {}
    here = re.compile(rf"(?<![\w.~/-]){re.escape(str(ROOT))}/")
    assert [name for name, text in files.items() if here.search(text)] == []


def test_a_bare_make_explains_every_command(files):
    said = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.search(r"^\.PHONY: (.*)$", files["Makefile"], re.MULTILINE)[1].split())
    assert targets - {"help", "check-tests"} == set(re.findall(r"^make (\w+)  ", said, re.MULTILINE))


@pytest.mark.parametrize("place", [".ci/run", ".github/workflows/ci.yml"])
def test_continuous_integration_calls_the_commands_of_the_readme(files, place):
    assert re.search(r"\bmake book$", files[place], re.MULTILINE)
    assert re.search(r"\bmake test$", files[place], re.MULTILINE)


def test_every_chapter_is_in_the_table_of_contents(files):
    toc = yaml.safe_load(files["_toc.yml"])
    listed = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    chapters = {name.removesuffix(".ipynb") for name in files if re.fullmatch(r"chapters/\w+\.ipynb", name)}
    assert chapters - listed == set()
    assert all(re.match(r"chapters/[a-z]", name) for name in chapters), "a name must not begin with a digit"
