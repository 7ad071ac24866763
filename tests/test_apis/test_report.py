"""The report: its parts, its page, and what a browser makes of it."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from tiny_domains import VAL_PIPELINE, mpii_config, write_mpii
from tiny_site import HEADS, write_model, write_site

from mmpose_da.apis import config_text
from mmpose_da.apis.adapt.config import Plan, Source, target_dataset, training_config
from mmpose_da.apis.adapt.model import load_model
from mmpose_da.apis.detect.run import Detection, detect
from mmpose_da.apis.report import sections as report_sections
from mmpose_da.apis.report.models import Predictions, load_deployed, predict
from mmpose_da.apis.report.page import Section, Table, Text, photo, render_page
from mmpose_da.apis.report.run import Evidence, Run, run_of_config, run_of_job
from mmpose_da.apis.report.sections import SECTIONS, build_section, find_warnings
from mmpose_da.apis.report.write import write_report
from mmpose_da.apis.work_files import write_json

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: People, their heatmaps; losses, features, confidence.
IMAGES = 8 + 6 + 3
SCORES = {"label_free/consistency": 60.0, "label_free/confidence": 1.5}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The work directory of a job whose training made small changes to the weights."""
    from mmengine.registry import init_default_scope

    init_default_scope("mmpose")
    site = tmp_path_factory.mktemp("site")
    write_site(site)
    (site / "site/images/broken.png").write_bytes(b"no image")
    folder = site / "work"
    settings = Detection(str(site / "site/images"), detector="whole")
    detected = detect(settings, folder / "detect")
    model = load_model(str(site / "model/heatmap.py"), str(site / "model/heatmap.pth"))
    source = Source(str(site / "source/annotations.json"), str(site / "source/images"))
    cfg = training_config(
        model,
        target_dataset(detected.ann_file, detected.images, model.joints),
        source.dataset(model.joints),
        "mean-teacher",
        Plan(20, 2, 2, 1e-3, 0),
    )
    config = folder / "adapt/input/config.py"
    config.parent.mkdir(parents=True)
    config.write_text(config_text(cfg.to_dict()))
    given = torch.load(model.checkpoint, weights_only=False)["state_dict"]
    torch.manual_seed(0)
    changed = {
        key: value + 0.3 * torch.randn(value.shape) * value.std()
        if key.startswith("head") and value.dim() > 1
        else value
        for key, value in given.items()
    }
    prefix = "adaptations.mean_teacher.average.module."
    state = dict(given, **{prefix + key: value for key, value in changed.items()})
    content = dict(state_dict=state, meta=dict(iter=20, seed=0))
    torch.save(content, folder / "adapt/iter_20.pth")
    result = dict(metrics={}, checkpoint="iter_20.pth", step_time=1, peak_memory=1)
    write_json(result, folder / "adapt/result.json")
    lines = [dict(lr=1, step=step, loss=9 / step) for step in (1, 10, 20)]
    log = folder / "adapt/20260101_000000/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = dict(model="heatmap.py", method="mean-teacher")
    job["target"] = dict(source="site/images", detector="whole")
    write_json(job, folder / "job.json")
    lower = dict(SCORES, **{"label_free/consistency": 50.0})
    write_json(dict(before=SCORES, after=lower), folder / "score/result.json")
    history = [
        dict(time="2026-01-01 00:00:00", command="adapt.py <a>", device="a CPU"),
        dict(stage="adapt", seconds=3.0),
        dict(stage="adapt", seconds=4.0),
    ]
    text = "".join(json.dumps(line) + "\n" for line in history)
    (folder / "history.jsonl").write_text(text + '{"unfinished')
    return folder


@pytest.fixture(scope="module")
def labels(work):
    folder = work.parent / "val"
    return Source(str(folder / "annotations.json"), str(folder / "images"))


@pytest.fixture(scope="module")
def page(work, labels):
    """A complete report, its text, and what was said about it."""
    path = work / "report.html"
    found = write_report(run_of_job(work, labels=labels), path)
    return SimpleNamespace(path=path, text=path.read_text(), found=found)


class Reader(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def test_report_is_complete_and_needs_no_other_file(page):
    assert page.found["missing"] == []
    read = Reader(page.text)
    headings = [tag for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1"] + ["h2"] * len(SECTIONS)  # warnings, but no attention
    images = read.of("img")
    assert len(images) == IMAGES
    assert all(one["src"].startswith("data:image/") and one["alt"] for one in images)
    assert all(link["href"][0] == "#" for link in read.of("a"))
    ids = {attrs["id"] for _, attrs in read.tags if "id" in attrs}
    assert {link["href"][1:] for link in read.of("a")} <= ids
    assert not read.of("script") and "http" not in page.text
    assert read.of("html")[0]["lang"] == "en"
    assert "undefined" not in page.text and "nan" not in page.text.lower().split()


def test_report_says_what_ran_and_what_is_wrong(page):
    text = page.text
    assert "adapt.py &lt;a&gt;" in text and "7 s" in text  # both parts of the stage
    assert "8 people were found in 9 images" in text
    assert "images that cannot be read" in text and "broken.png" in text
    assert "USES LABELS" in text and "none used in training" in text
    harm, *_ = page.found["warnings"]
    assert "consistency fell from 60.0 to 50.0" in harm
    joined = "\n".join(page.found["warnings"])
    assert "only 8 people" in joined and "1 images cannot be read" in joined


def test_most_changed_people_first(page, work):
    shown = re.findall(r"(\d+)\.png: moved by ([\d.]+) %", page.text)
    values = [float(value) for _, value in shown]
    assert values == sorted(values, reverse=True) and values[0] > values[-1] > 0
    evidence = Evidence(run_of_job(work))
    change = evidence.predictions.change("before", "after", range(17))
    assert values == pytest.approx(np.sort(change)[::-1], abs=0.05)
    names = [evidence.target[i]["data_samples"].img_path for i in evidence.chosen]
    assert shown[0][0] in names[int(change.argmax())]


@pytest.fixture
def maps(monkeypatch):
    """What is drawn over crops: the image, the cells, and the point of each."""
    drawn, draw = [], report_sections.draw_map

    def note(sample, cells, point, step=None):
        drawn.append((sample.img_path, cells, point))
        return draw(sample, cells, point, step)

    monkeypatch.setattr(report_sections, "draw_map", note)
    return drawn


def test_heatmaps_of_the_joint_that_moved_most(work, maps):
    evidence = Evidence(run_of_job(work))
    section = build_section("Heatmaps", evidence)
    assert not section.missing and len(maps) == 2 * 6
    found = evidence.predictions
    moved = found.keypoints["after"] - found.keypoints["before"]
    distance = (moved**2).sum(-1) ** 0.5
    order = sorted(range(8), key=lambda person: -distance[person].mean())
    captions = [picture.caption for picture in section.blocks[-1].pictures]
    for rank, person in enumerate(order[:6]):
        joint = max(range(17), key=lambda k: distance[person, k])
        assert evidence.joints[joint].replace("_", " ") in captions[rank]
        assert (
            f"{100 * distance[person, joint] / found.sizes[person]:.1f} %"
            in captions[rank]
        )
        for title, (path, cells, point) in zip(
            ("before", "after"), maps[2 * rank : 2 * rank + 2], strict=True
        ):
            one = evidence.target[evidence.chosen[person]]
            assert path == one["data_samples"].img_path and path.endswith(
                captions[rank].split(",")[0]
            )
            np.testing.assert_array_equal(point, found.keypoints[title][person, joint])
            model = evidence.models[title]
            mirrored = one["inputs"].flip(-1)
            data = dict(inputs=[one["inputs"], mirrored], data_samples=[])
            images = model.data_preprocessor(data)["inputs"]
            with torch.no_grad():
                own, other = model.head.forward(model.extract_feat(images)).cpu()
            back = other[one["data_samples"].flip_indices].flip(-1)
            back[..., 1:] = back[..., :-1].clone()  # shift_heatmap
            expected = (own + back)[joint].numpy() / 2
            scale = np.abs(expected).max()  # tiny, with random weights
            np.testing.assert_allclose(cells / scale, expected / scale, atol=1e-3)


def test_a_head_without_heatmaps_has_none_in_the_report(work):
    evidence = Evidence(run_of_job(work))
    model = SimpleNamespace(head=MODELS.build(HEADS["simcc"]))
    vars(evidence).update(
        models=dict(before=model, after=model),
        predictions=predictions(np.random.default_rng(2), 8, 17),
    )
    section = build_section("Heatmaps", evidence)
    assert "SimCCHead with SimCCLabel does not predict a 2D" in section.missing


@pytest.fixture
def cafa(work, tmp_path):
    """A run with CAFA, and its model."""
    run = run_of_job(work)
    cfg = Config(run.cfg.to_dict())
    cfg.model.pop("adaptations")
    cfg.model.adaptations = dict(
        teacher=dict(type="MeanTeacher"), exchange=dict(type="CAFA")
    )
    torch.manual_seed(1)
    model = MODELS.build(cfg.model)
    weights = dict(torch.load(run.before, weights_only=False)["state_dict"])
    model.load_state_dict(weights, strict=False)
    neck = model.adaptations["exchange"].neck
    for layer in (neck.query, neck.key):
        torch.nn.init.normal_(layer.weight, std=0.5)
    neck.source_strength.data.fill_(0.25)
    path = tmp_path / "iter_1.pth"
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return Run(cfg, path, run.before), model.eval()


def test_attention_equals_a_slow_computation(cafa, maps):
    run, model = cafa
    evidence = Evidence(run)
    section = build_section("Attention", evidence)
    assert not section.missing and len(maps) == 3 * 3
    assert "+0.250 for the source" in section.blocks[0].text
    neck = model.adaptations["exchange"].neck

    def features(person):
        inputs = model.data_preprocessor(
            dict(inputs=[person["inputs"]], data_samples=[])
        )["inputs"]
        with torch.no_grad():
            return model.student.extract_feat(inputs)[-1][0].double().numpy()

    def project(layer, feature):
        weight, bias = layer.weight[..., 0, 0].detach(), layer.bias.detach()
        return weight.double().numpy() @ feature + bias.double().numpy()

    pairs = list(zip((0, 2, 4), (0, 2, 5), strict=True))  # of 6 and 8, evenly spread
    shares = []
    for rank, (path, cells, point) in enumerate(maps):
        source, target = pairs[rank // 3]
        joint = (0, 5, 11)[rank % 3]  # of 17
        person, partner = evidence.source[source], evidence.target[target]
        assert path == partner["data_samples"].img_path
        found = evidence.predictions.keypoints["after"][target, joint]
        np.testing.assert_array_equal(point, found)
        sample = person["data_samples"]
        label = sample.gt_instances.keypoints[0, joint]
        share = label - sample.input_center + sample.input_scale / 2
        column, row = (share / sample.input_scale * 2).astype(int)  # 2 x 2 cells
        own, other = features(person), features(partner)
        query = project(neck.query, own[:, row, column])
        e = np.zeros((2, 2))
        for y in range(2):
            for x in range(2):
                e[y, x] = np.exp(query @ project(neck.key, other[:, y, x]))
        np.testing.assert_allclose(cells, e / e.sum(), rtol=1e-3)
        shares.append(cells.max())
        caption = section.blocks[-1].pictures[rank].caption
        assert evidence.joints[joint].replace("_", " ") in caption
        assert f"{100 * cells.max():.1f} %" in caption and "25.0 % if" in caption
    assert np.ptp(shares) > 0.01  # not even


def test_attention_needs_cafa_and_its_weights(work, cafa, tmp_path):
    section = build_section("Attention", Evidence(run_of_job(work)))
    assert not section.blocks and not section.missing
    run, _ = cafa
    section = build_section("Attention", Evidence(Run(run.cfg, run.before, run.before)))
    assert "no weights of the adaptation 'exchange'" in section.missing


def test_missing_parts_are_named_and_the_rest_is_written(work, tmp_path):
    """Without source, scores, logs, and labels."""
    copy = tmp_path / "work"
    shutil.copytree(work, copy)
    shutil.rmtree(copy / "score")
    shutil.rmtree(copy / "adapt/20260101_000000")
    config = copy / "adapt/input/config.py"
    cfg = Config.fromfile(config).to_dict()
    cfg["train_dataloader"]["dataset"]["source"] = None
    config.write_text(config_text(cfg))
    found = write_report(run_of_job(copy), tmp_path / "report.html")
    missing = ["Scores without labels", "Training", "Figures with labels"]
    assert found["missing"] == missing
    text = (tmp_path / "report.html").read_text()
    assert "stage &#39;score&#39; is not done" in text
    assert "there is no loss in the logs" in text
    assert "Without the source: the run has no source" in text
    assert "With a labeled validation set" in text
    assert "source-free" in text and text.count("Not in this report") == 3


def test_without_the_images_and_without_a_model_before(work, tmp_path):
    run = run_of_job(work)
    cfg = Config(run.cfg.to_dict())
    cfg.train_dataloader.dataset.target.data_prefix.img = str(tmp_path)
    moved = Evidence(Run(cfg, run.checkpoint, run.before, run.folder, run.job))
    section = build_section("Most changed people", moved)
    assert "does not exist" in section.missing and not section.blocks
    alone = Evidence(Run(run.cfg, run.checkpoint))
    section = build_section("Most changed people", alone)
    assert "--before of tools/report.py" in section.missing
    assert not build_section("Confidence", alone).missing


def test_missing_files_are_errors_that_say_what_to_do(tmp_path, work):
    with pytest.raises(FileNotFoundError, match="job.json'; run tools/adapt.py with"):
        run_of_job(tmp_path)
    config = work / "adapt/input/config.py"
    with pytest.raises(FileNotFoundError, match="config: there is no file 'none.py'"):
        run_of_config("none.py", work / "adapt/iter_20.pth")
    with pytest.raises(FileNotFoundError, match="checkpoint: there is no file"):
        run_of_config(config, "none.pth")
    with pytest.raises(FileNotFoundError, match="checkpoint before the run: there"):
        run_of_config(config, work / "adapt/iter_20.pth", "none.pth")


def test_any_run(work, tmp_path, monkeypatch):
    """A config and a checkpoint, whose scores are computed."""
    scored = []

    def score(cfg, checkpoint, folder, network=None):
        scored.append((str(checkpoint), network))
        return dict(SCORES, PCK=50.0)

    monkeypatch.setattr("mmpose_da.apis.report.run.quiet_score", score)
    config, checkpoint = work / "adapt/input/config.py", work / "adapt/iter_20.pth"
    run = run_of_config(config, checkpoint)
    assert run.job is None and run.before == str(work.parent / "model/heatmap.pth")
    evidence = Evidence(run)
    section = build_section("Scores without labels", evidence)
    assert scored == [(run.before, "student"), (str(checkpoint), None)]
    rows = next(block.rows for block in section.blocks if isinstance(block, Table))
    assert rows[0][:4] == ("consistency", "60.0", "60.0", "+0.0")
    assert not build_section("Data", evidence).missing
    assert not build_section("What ran", evidence).missing


def test_choice_by_labels_is_named(work):
    run = run_of_job(work)
    cfg = Config(run.cfg.to_dict())

    def chosen(metric):
        cfg.default_hooks.checkpoint.save_best = metric
        best = run.checkpoint.with_name("best_x_iter_20.pth")
        shutil.copyfile(run.checkpoint, best)
        evidence = Evidence(Run(cfg, best, run.before))
        [table, *_] = build_section("What ran", evidence).blocks
        warned = report_sections._labels_chose(evidence)
        return dict(row[:2] for row in table.rows)["Checkpoint"], warned

    said, warned = chosen("PCK")
    assert "best by PCK, chosen WITH LABELS" in said and "uses labels" in warned[0]
    said, warned = chosen("label_free/consistency")
    assert "chosen without labels" in said and warned == []


def test_detection_warnings(work):
    run = run_of_job(work)
    evidence = Evidence(run)
    vars(evidence)["job"] = dict(target=dict(detector="hog"))
    left_out = {"images without a person": dict(count=6, examples=[])}
    vars(evidence)["detected"] = SimpleNamespace(left_out=left_out, num_images=9)
    weak, empty = report_sections._detection(evidence)
    assert "'hog' is weak" in weak and "No person was found in 6 of 9" in empty


def predictions(rng, count=5, joints=4):
    shape = count, joints, 2
    truth = rng.uniform(0, 100, shape)
    truth[rng.random((count, joints)) < 0.3] = np.nan
    return Predictions(
        {title: rng.uniform(0, 100, shape) for title in ("before", "after")},
        {title: rng.random(shape[:2]) for title in ("before", "after")},
        rng.uniform(20, 90, count),
        truth,
    )


def test_change_and_errors_equal_loops():
    found = predictions(np.random.default_rng(0))
    before, after = found.keypoints["before"], found.keypoints["after"]
    change, errors = found.change("before", "after", [0, 2]), found.errors("after")
    for person in range(5):
        moved = [
            ((after[person, k] - before[person, k]) ** 2).sum() ** 0.5 for k in (0, 2)
        ]
        expected = 100 * sum(moved) / 2 / found.sizes[person]
        assert change[person] == pytest.approx(expected)
        for k in range(4):
            dx, dy = after[person, k] - found.truth[person, k]
            expected = 100 * (dx * dx + dy * dy) ** 0.5 / found.sizes[person]
            assert errors[person, k] == pytest.approx(expected, nan_ok=True)


def test_joint_table_and_people_that_got_worse_equal_loops(work):
    found = predictions(np.random.default_rng(1), 6, 17)
    evidence = Evidence(run_of_job(work))
    vars(evidence).update(
        labeled_file="val.json",
        labeled_predictions=found,
        models=dict.fromkeys(("before", "after")),
    )
    section = build_section("Figures with labels", evidence)
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    errors = {title: found.errors(title) for title in ("before", "after")}
    for k, row in enumerate(table.rows[:-1]):
        known = [i for i in range(6) if not np.isnan(found.truth[i, k, 0])]
        means = [np.mean([e[i, k] for i in known]) for e in errors.values()]
        shares = [
            100 * np.mean([e[i, k] <= 10 for i in known]) for e in errors.values()
        ]
        expected = [shares[0], means[0], shares[1], means[1]]
        assert [float(cell) for cell in row[2:6]] == pytest.approx(expected, abs=0.051)
        assert (k in table.marked) == (means[1] > means[0])
    worse = 0
    for i in range(6):
        known = [k for k in range(17) if not np.isnan(found.truth[i, k, 0])]
        means = [sum(e[i, k] for k in known) / len(known) for e in errors.values()]
        worse += means[1] > means[0]
    assert f"of {worse} of 6 people" in section.blocks[-1].text
    grew = np.nanmean(errors["after"]) > np.nanmean(errors["before"])
    assert bool(report_sections._harm_by_labels(evidence)) == grew


def test_predictions_are_those_of_the_model_alone(work, labels):
    run = run_of_job(work, labels=labels)
    model = load_deployed(run.cfg, str(run.checkpoint))
    people = Evidence(run).labeled
    found = predict(dict(mine=model, again=model), people, [2, 0])
    for row, index in enumerate((2, 0)):
        person = people[index]
        given = person["data_samples"].gt_instances
        batch = dict(inputs=[person["inputs"]], data_samples=[person["data_samples"]])
        alone = model.test_step(batch)[0].pred_instances
        for title in ("mine", "again"):
            np.testing.assert_allclose(
                found.keypoints[title][row], alone.keypoints[0], atol=1e-3
            )
            np.testing.assert_allclose(
                found.confidence[title][row], alone.keypoint_scores[0], atol=1e-5
            )
        assert found.sizes[row] == 64
        np.testing.assert_allclose(found.truth[row], given.keypoints[0])
    with pytest.raises(ValueError, match="no people"):
        predict(dict(mine=model), people, [])


def test_people_of_the_target_have_no_labels(work):
    target = Evidence(run_of_job(work)).target
    sample = target[0]["data_samples"]
    assert "keypoints" not in sample.gt_instances and sample.domain.endswith(
        "unlabeled"
    )


def test_deployed_networks_are_student_and_teacher(work):
    run = run_of_job(work)
    content = torch.load(run.checkpoint, weights_only=False)["state_dict"]
    prefix, key = "adaptations.mean_teacher.average.module.", "head.final_layer.weight"
    teacher = load_deployed(run.cfg, str(run.checkpoint))
    student = load_deployed(run.cfg, str(run.checkpoint), "student")
    assert torch.equal(teacher.state_dict()[key].cpu(), content[prefix + key])
    assert torch.equal(student.state_dict()[key].cpu(), content[key])
    assert type(teacher).__name__ == "TopdownPoseEstimator"
    with pytest.raises(ValueError, match="heatmap.pth' does not match.*teacher"):
        load_deployed(run.cfg, run.before, "teacher")


def test_checkpoint_of_another_model_is_refused(work):
    write_model(work.parent / "other", "simcc")
    run = run_of_job(work)
    with pytest.raises(ValueError, match="simcc.pth' does not match the model"):
        load_deployed(run.cfg, str(work.parent / "other/simcc.pth"), "student")


def test_joints_that_a_model_never_finds_are_not_compared(work):
    evidence = Evidence(run_of_job(work))
    count = len(evidence.joints)
    found = Predictions(
        keypoints=dict(before=np.zeros((2, count, 2)), after=np.ones((2, count, 2))),
        confidence=dict(before=np.full((2, count), 0.5), after=np.ones((2, count))),
        sizes=np.ones(2),
        truth=np.zeros((2, count, 2)),
    )
    found.confidence["before"][:, 3] = 0.01, 0.2  # found in one person
    found.confidence["before"][:, 4] = 0.01, 0.02
    evidence.predictions = found
    assert evidence.taught == [k for k in range(count) if k != 4]
    found.confidence["before"][:] = 0.01
    del evidence.taught
    assert evidence.taught == list(range(count))


def test_labels_of_such_joints_are_not_compared_either(work, labels):
    evidence = Evidence(run_of_job(work, labels=labels))
    every = evidence.labeled_predictions.truth
    del evidence.labeled_predictions
    evidence.taught = [0, 5]
    truth = evidence.labeled_predictions.truth
    np.testing.assert_array_equal(truth[:, [0, 5]], every[:, [0, 5]])
    assert np.isfinite(truth[:, [0, 5]]).any()
    others = [k for k in range(truth.shape[1]) if k not in (0, 5)]
    assert np.isnan(truth[:, others]).all() and np.isfinite(every[:, others]).any()


def test_stock_run(work):
    """A config of MMPose without domains has the people of its validation set."""
    cfg = Config.fromfile(work.parent / "model/heatmap.py")
    folder = work.parent / "val"
    cfg.val_dataloader = dict(
        dataset=dict(
            type="CocoDataset",
            ann_file=str(folder / "annotations.json"),
            data_prefix=dict(img=str(folder / "images")),
            test_mode=True,
            pipeline=VAL_PIPELINE,
        )
    )
    checkpoint = work.parent / "model/heatmap.pth"
    evidence = Evidence(Run(cfg, checkpoint, str(checkpoint)))
    assert len(evidence.target) == 3 and len(evidence.joints) == 17
    assert evidence.predictions.change("before", "after", evidence.taught).max() == 0
    assert not build_section("Figures with labels", evidence).missing
    assert "no source or target" in build_section("Data", evidence).missing
    assert any("only 3 people" in text for text in find_warnings(evidence))


def test_labels_of_mpii(work, tmp_path):
    """MPII's validation sets name a file of head boxes, which only its metric reads."""
    write_mpii(tmp_path / "mpii", 3)
    run = run_of_job(work)
    cfg = Config(run.cfg.to_dict())
    heads = str(tmp_path / "mpii/headboxes.mat")
    given = mpii_config(tmp_path / "mpii", headbox_file=heads, test_mode=True)
    cfg.val_dataloader = dict(dataset=dict(given, pipeline=VAL_PIPELINE))
    assert len(Evidence(Run(cfg, run.checkpoint)).labeled) == 3


def test_page_escapes_and_marks():
    table = Table("Caption", ("A", "B"), [("x", "<b>"), ("y", "2")], frozenset({1}))
    parts = [Text("1 < 2 & 3"), table, Table("More", (), [("k", "v")], folded=True)]
    sections = [Section("One & two", parts), Section("Gone", missing="no <file>")]
    text = render_page("T<T", "sub", [], sections)
    assert "<title>T&lt;T</title>" in text and "1 &lt; 2 &amp; 3" in text
    assert "&lt;b&gt;" in text and "no &lt;file&gt;" in text
    assert text.count('class="marked"') == 1 and text.count("<details>") == 1
    assert 'href="#one-two"' in text and 'id="one-two"' in text
    assert "None. This does not prove" in text
    warned = render_page("T", "sub", ["look <here>"], sections)
    assert "<li>look &lt;here&gt;</li>" in warned and "None." not in warned


def test_photo_has_the_colors_of_the_pixels():
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = 255  # red
    data = photo(pixels, "red").data.partition("base64,")[2]
    read = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert np.abs(read[8, 8].astype(int) - [0, 0, 255]).max() < 10


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1200, 500])
def test_in_a_browser(page, tmp_path, width):
    """All pictures load, nothing is wider than the window, and something is drawn."""
    measure = """<script>addEventListener('load', () => {
      const images = [...document.images], root = document.documentElement;
      document.title = JSON.stringify({
        images: images.length, loaded: images.filter(i => i.naturalWidth > 0).length,
        content: root.scrollWidth, window: innerWidth, height: root.scrollHeight,
        wide: images.filter(i => i.getBoundingClientRect().right > innerWidth).length,
      });
    });</script></body>"""
    measured = tmp_path / "measured.html"
    measured.write_text(page.text.replace("</body>", measure))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--hide-scrollbars", f"--window-size={width},2000"]
    command.append(f"--user-data-dir={tmp_path / 'profile'}")
    options = dict(check=True, capture_output=True, timeout=120)
    dom = subprocess.run(
        [*command, "--dump-dom", measured.as_uri()], text=True, **options
    ).stdout
    found = json.loads(re.search("<title>(.*?)</title>", dom)[1])
    assert found["images"] == found["loaded"] == IMAGES and found["wide"] == 0
    assert found["content"] <= found["window"] == width
    picture = tmp_path / "report.png"
    shot = [*command, f"--screenshot={picture}", page.path.as_uri()]
    subprocess.run(shot, **options)
    drawn = cv2.imread(str(picture))
    assert drawn.shape[1] == width
    corner, orange = drawn[2, 2], np.abs(drawn.astype(int) - [229, 244, 255]).sum(-1)
    assert (corner == 255).all() and (orange < 6).mean() > 0.02  # warnings on top
