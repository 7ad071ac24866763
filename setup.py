"""Packaging of MMPose-DA."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
TEST_TOOLS = ("hypothesis", "mypy", "pytest", "ruff")


def read_version() -> str:
    """Read the version without importing the package and its stack."""
    return runpy.run_path(str(ROOT / "mmpose_da" / "version.py"))["__version__"]


def read_description() -> str:
    """Read the README, if it is there."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


def read_stack() -> list[str]:
    """Read the pinned requirements of the tested stack."""
    text = (ROOT / "requirements" / "stack.in").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


class BuildWithConfigs(build_py):
    """Put configs and tools into the wheel, where MIM looks for them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "mmpose_da", ".mim")
        for name in ("configs", "tools"):
            shutil.rmtree(folder / name, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        shutil.copy(ROOT / "model-index.yml", folder)


stack = read_stack()

setup(
    name="mmpose-da",
    version=read_version(),
    description="Domain adaptation of pose estimators: a plugin of MMPose",
    long_description=read_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["computer vision", "pose estimation", "domain adaptation"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["mmpose_da", "mmpose_da.*"]),
    package_data={"mmpose_da": ["py.typed"]},
    cmdclass=dict(build_py=BuildWithConfigs),
    include_package_data=True,
    python_requires=">=3.10",
    # Empty on purpose: installing a plugin must not replace the PyTorch, MMCV or
    # MMPose that somebody has. The version gate in mmpose_da/compat/versions.py
    # says at import what is missing or not supported.
    install_requires=[],
    extras_require={
        "stack": [line for line in stack if line not in TEST_TOOLS],
        "dev": list(TEST_TOOLS),
    },
)
