"""All command lines: they answer at once, and stand alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
SCRIPTS = sorted(
    path
    for folder in (TOOLS, TOOLS / "dataset_converters")
    for path in folder.glob("*.py")
    if not path.name.startswith("_")
)
#: What takes seconds to import.
HEAVY = {"torch", "mmengine", "mmcv", "mmpose", "mmpose_da"}
RUN = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as exit:
    print("\\nexit", exit.code)
print("imported", *{name.partition(".")[0] for name in sys.modules})
"""


def run(script: Path, *arguments: str) -> tuple[str, set[str]]:
    """Run a script; return its output and the packages that it has imported."""
    command = [sys.executable, "-c", RUN, str(script), *arguments]
    done = subprocess.run(command, text=True, stdout=-1, stderr=subprocess.STDOUT)
    output, _, modules = done.stdout.rpartition("imported ")
    return output, set(modules.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_imports_nothing_that_takes_time(script):
    output, modules = run(script, "--help")
    assert output.startswith(("usage:", "\nusage:")) and "exit 0" in output
    assert not modules & HEAVY


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_argument_errors_come_before_the_imports(script):
    output, modules = run(script, "--no-such-option")
    assert "exit 2" in output and "error:" in output
    assert not modules & HEAVY


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_tool_imports_another(script):
    siblings = {path.stem for path in SCRIPTS if path.parent == script.parent}
    imported = re.findall(r"^\s*(?:from|import) (\w+)", script.read_text(), re.M)
    assert not siblings & set(imported)
