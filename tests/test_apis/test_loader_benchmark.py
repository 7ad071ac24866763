import json

from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from mmpose_da.apis.loader_benchmark import measure_loaders, write_people


def test_both_datasets_have_the_same_people(tmp_path):
    write_people(tmp_path, 30)
    init_default_scope("mmpose")
    stock = dict(
        type="CocoDataset",
        data_root=str(tmp_path),
        ann_file="people.json",
        data_prefix=dict(img="images/"),
        pipeline=[],
    )
    mixed = dict(
        type="MixedDomainDataset", joints="CocoDataset", source=stock, pipeline=[]
    )
    people = json.loads((tmp_path / "people.json").read_text())["annotations"]
    for config in (stock, mixed):
        dataset = DATASETS.build(config)
        assert len(dataset) == len(people) == 30
        joints = dataset.get_data_info(7)["keypoints"][0]
        expected = people[7]["keypoints"]
        assert abs(joints[:, 0] - expected[::3]).max() < 1e-3


def test_measurements_are_positive_and_of_both():
    found = measure_loaders(num_people=20, num_samples=3, repeats=1)
    assert set(found) == {"stock", "mixed"}
    assert all(value > 0 for times in found.values() for value in times.values())


def test_command_line(load_tool, capsys):
    load_tool("benchmark_loader").main(
        ["--people", "20", "--samples", "3", "--repeats", "1"]
    )
    out = capsys.readouterr().out
    assert "| MixedDomainDataset |" in out and "| ratio |" in out
