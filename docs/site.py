"""Hooks of MkDocs: pages that are made from other files, and links that leave docs/."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
#: Package by the name of its page.
PACKAGES = dict(
    apis="mmpose_da.apis",
    datasets="mmpose_da.datasets",
    engine="mmpose_da.engine",
    evaluation="mmpose_da.evaluation",
    visualization="mmpose_da.visualization",
    **{
        name: f"mmpose_da.models.{name}"
        for name in (
            *("adaptations", "backbones", "heads", "layers", "losses", "necks"),
            *("pose_estimators", "styles"),
        )
    },
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the start page and those of the API."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=start))
    for name, package in PACKAGES.items():
        exported = ", ".join(f'"{n}"' for n in names(package))
        content = (
            f"# `{package}`\n\n::: {package}\n    options:\n"
            f"      members: [{exported}]\n"
        )
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def names(package: str) -> list[str]:
    """Return the ``__all__`` of a package, without importing it."""
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    [listed] = re.findall(r"__all__ = \[(.*?)\]", path.read_text("utf-8"), re.S)
    return re.findall(r'"(\w+)"', listed)


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Show links to files of the project that are no pages as their paths."""
    folder = (ROOT / "docs" / page.file.src_uri).parent
    if page.file.src_uri == "index.md":
        folder = ROOT

    def outside(link: re.Match) -> str:
        text, target, _ = link.groups()
        path = (folder / target).resolve()
        if "://" in target or not path.is_relative_to(ROOT) or not path.exists():
            return link[0]
        if path.is_relative_to(ROOT / "docs"):
            return link[0]
        name = path.relative_to(ROOT).as_posix()
        return text if name in text else f"{text} (`{name}`)"

    return LINK.sub(outside, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show Sphinx's roles in docstrings as code: the last part of the name."""
    role = re.compile(r":(?:class|func|meth|mod|attr|data):<code>~?([\w.]+)</code>")
    return role.sub(lambda m: f"<code>{m[1].rpartition('.')[2]}</code>", html)
