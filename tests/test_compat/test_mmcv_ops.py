"""The stand-in for MMCV's compiled operators."""

import importlib.util
import sys

import pytest
from mmcv.utils.ext_loader import check_ops_exist
from mmengine.utils.dl_utils import mmcv_full_available

from mmpose_da.compat import mmcv_ops
from mmpose_da.compat.mmcv_ops import import_mmcv_ops

compiled = check_ops_exist()
needs_lite = pytest.mark.skipif(compiled, reason="compiled MMCV is installed")
needs_full = pytest.mark.skipif(not compiled, reason="mmcv-lite is installed")


@needs_lite
def test_an_op_says_what_to_install(run_python):
    # In a new process: nothing else has imported mmcv.ops before.
    result = run_python(
        "import mmpose_da, torch\n"
        "from mmcv.ops import nms, RoIAlign\n"
        "nms(torch.rand(3, 4), torch.rand(3), 0.5)\n"
    )
    assert result.returncode != 0
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("RuntimeError: the operator 'nms' needs the compiled part")
    assert "mmcv-lite is installed" in error
    assert "make setup MMCV=full" in error
    assert "pip install mmcv" in error


@needs_lite
def test_without_the_stand_in_the_import_fails(run_python):
    # The reason for the stub: if this test fails, it can be removed.
    result = run_python("import mmcv.ops")
    assert "No module named 'mmcv._ext'" in result.stderr


@needs_lite
def test_mmcv_is_not_taken_for_compiled():
    assert import_mmcv_ops() is False
    assert "mmcv._ext" not in sys.modules
    assert not check_ops_exist()
    assert not mmcv_full_available()


@needs_full
def test_compiled_mmcv_is_left_alone(run_python):
    assert import_mmcv_ops() is True
    result = run_python(
        "import mmpose_da, torch\n"
        "from mmcv.ops import nms\n"
        "boxes = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 2]])\n"
        "print(len(nms(boxes, torch.tensor([.9, .8]), 0.5)[1]))\n"
    )
    assert result.stdout.strip() == "1"


def test_a_failed_import_leaves_no_stand_in(monkeypatch):
    def fail(name):
        assert name == "mmcv.ops"
        assert isinstance(sys.modules["mmcv._ext"], mmcv_ops._MissingExtension)
        raise ImportError("broken")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.delitem(sys.modules, "mmcv.ops")
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    with pytest.raises(ImportError, match="broken"):
        import_mmcv_ops()
    assert "mmcv._ext" not in sys.modules


def test_every_op_exists_and_fails():
    extension = mmcv_ops._MissingExtension("mmcv._ext")
    assert hasattr(extension, "deform_conv_forward")
    with pytest.raises(RuntimeError, match="'deform_conv_forward'"):
        extension.deform_conv_forward(1, size=2)
    assert not hasattr(extension, "__path__")  # or the import system gets confused
