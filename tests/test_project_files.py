"""Files at the root of the project: they parse, and agree with each other."""

import re
import subprocess

import pytest
import yaml

from mmpose_da import __version__

YAML = (
    *("CITATION.cff", ".pre-commit-config.yaml", ".github/workflows/ci.yml"),
    *("mkdocs.yml", "model-index.yml"),
)


@pytest.fixture
def read(repo):
    """Read a file of the project."""
    return lambda name: (repo / name).read_text(encoding="utf-8")


@pytest.fixture
def locked(read):
    """The versions of a package in the lock file."""

    def versions(package: str) -> set[str]:
        lock = read("requirements/lock.txt")
        return set(re.findall(rf"^{package}==(\S+)", lock, re.MULTILINE))

    return versions


@pytest.mark.parametrize("name", YAML)
def test_yaml_parses(read, name):
    assert isinstance(yaml.safe_load(read(name)), dict)


def test_citation_is_of_this_version(read):
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def test_changelog_has_this_version(read):
    sections = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert any(
        section == "Unreleased" or section.startswith(f"{__version__} - ")
        for section in sections
    )


def test_pre_commit_has_the_locked_ruff(read, locked):
    repos = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    [rev] = [repo["rev"] for repo in repos if "ruff" in repo["repo"]]
    assert locked("ruff") == {rev.removeprefix("v")}


def test_type_checker_is_locked(locked):
    assert len(locked("mypy")) == 1


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(repo, read, name):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(name))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (repo / target).exists()] == []


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"])
def test_source_distribution_has_it(read, name):
    assert name in read("MANIFEST.in").split()


def test_every_page_is_in_the_navigation_of_the_site(read, repo):
    """Those of the API are written by ``docs/site.py``."""

    def pages(node):
        if isinstance(node, str):
            return {node}
        values = node.values() if isinstance(node, dict) else node
        return set().union(*map(pages, values))

    listed = pages(yaml.safe_load(read("mkdocs.yml"))["nav"])
    written = {page for page in listed if page.startswith("api/")} | {"index.md"}
    assert listed - written == {path.name for path in (repo / "docs").glob("*.md")}
    exported = repo.glob("mmpose_da/models/*/__init__.py")
    packages = {f"api/{path.parent.name}.md" for path in exported}
    assert packages <= written


def test_model_index_lists_every_config_of_full_size(read, repo):
    """What ``mim search`` finds; the embedded rows are trained in minutes instead."""
    metafiles = yaml.safe_load(read("model-index.yml"))["Import"]
    listed = []
    for metafile in metafiles:
        content = yaml.safe_load(read(metafile))
        collections = {collection["Name"] for collection in content["Collections"]}
        for collection in content["Collections"]:
            assert (repo / collection["README"]).is_file()
        for model in content["Models"]:
            assert model["In Collection"] in collections
            assert model["Name"] == model["Config"].rpartition("/")[2][:-3]
            listed.append(model["Config"])
    folders = {metafile.rpartition("/")[0] for metafile in metafiles}
    assert folders == {
        f"configs/{n}" for n in ("da", "da_3d", "efasnet", "location_free")
    }
    there = {
        path.relative_to(repo).as_posix()
        for folder in folders
        for path in (repo / folder).glob("*.py")
        if not path.stem.startswith(("studio", "street", "crowd_"))
    }
    assert len(listed) == len(set(listed)) and set(listed) == there


@pytest.mark.parametrize("given", [True, False])
def test_an_environment_without_cuda_stays_one(repo, tmp_path, given):
    """`TORCH=cpu` is remembered, and nothing of CUDA is installed."""
    if not given:
        (tmp_path / ".torch-cpu").touch()
    command = ["make", "-n", "setup", f"VENV={tmp_path}", *["TORCH=cpu"] * given]
    run = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True)
    [lock] = [line for line in run.stdout.splitlines() if "-r " in line]
    kept, _ = lock.split(" | ")
    lines = subprocess.run(kept, shell=True, cwd=repo, capture_output=True, text=True)
    names = re.findall(r"^([\w-]+)==", lines.stdout, re.MULTILINE)
    assert {"torch", "torchvision", "numpy", "mmpose"} <= set(names)
    assert not [name for name in names if name == "triton" or "nvidia" in name]


def test_setup_without_cuda_takes_torch_from_its_own_index(repo, tmp_path):
    command = ["make", "-n", "setup", f"VENV={tmp_path}", "TORCH=cpu"]
    run = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True)
    index = run.stdout.index("--index-url https://download.pytorch.org/whl/cpu")
    assert index < run.stdout.index("-r -")
    wrong = subprocess.run(
        ["make", "-n", "setup", "TORCH=gpu"], cwd=repo, capture_output=True, text=True
    )
    assert wrong.returncode and "TORCH must be 'cpu' or empty" in wrong.stderr
