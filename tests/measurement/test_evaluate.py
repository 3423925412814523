"""Evaluations from end to end: by the model, from the tables, as a user runs them; and the referee's word."""

import contextlib
import io
import json
import runpy
import shutil
from pathlib import Path

import deltalake
import pytest

from detector.annotations.reading import read_dataset
from detector.errors import EvaluationError
from detector.measurement.evaluate import evaluate
from detector.measurement.evaluate_settings import EvaluateSettings
from detector.measurement.measuring import measure_model
from detector.measurement.opening import open_model
from detector.measurement.predictions import predict_images
from detector.measurement.thresholds import read_thresholds
from detector.measurement.truths import build_truths, map_names
from detector.settings import ModelSettings, ScoreSettings
from detector.tables.schemas import SCORES

PROJECT = Path(__file__).resolve().parents[2]
QUICK = {"resamples": 100}


def watch(_):
    """Watch nothing."""
    return lambda *_: None


@pytest.fixture
def run_job(monkeypatch, capsys):
    """Give the function that runs jobs/evaluate.py; it gives the exit code, standard output and error."""
    main = runpy.run_path(str(PROJECT / "jobs" / "evaluate.py"))["main"]

    def run(*arguments):
        code = main([*map(str, arguments), "--evaluation.resamples", "100"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def model(demo, tmp_path):
    """Give a copy of the demo's model, to write beside."""
    return shutil.copytree(demo, tmp_path / "shapes")


def test_the_job_measures_and_writes(run_job, drawn_folder, model, tmp_path):
    """Figures on the terminal, as JSON and as a page; thresholds beside the model, and usable again."""
    given = ["--data.root", drawn_folder, "--model.uri", model, "--model.labels", model / "label_map.pbtxt"]
    files = ["--out", tmp_path / "out" / "e.json", "--page", tmp_path / "e.html", "--write_thresholds"]
    code, out, err = run_job(*given, *files)
    assert (code, err) == (0, "")
    summary = json.loads(out.splitlines()[-1])
    assert summary["images"] == 12
    assert summary["ap50"] > 0.8
    written = json.loads((tmp_path / "out" / "e.json").read_text())
    assert written["summary"] == summary
    assert written["subject"]["model_name"] == "shapes"
    thresholds = read_thresholds(model / "thresholds.json")
    best = {row["class_id"]: row["threshold"]["threshold"] for row in written["report"]["classes"]}
    assert thresholds == best
    assert "triangle" in out
    assert "shapes_00.png" in (tmp_path / "e.html").read_text()
    code, out, _ = run_job(*given, "--evaluation.thresholds", model / "thresholds.json")
    assert (code, json.loads(out.splitlines()[-1])) == (0, summary)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data.root", "PHOTOS"], "give model.uri"),
        (["--data.root", "PHOTOS", "--model.uri", "MODEL"], "model.labels is missing"),
        (
            ["--data.root", "nowhere", "--model.uri", "MODEL", "--model.labels", "LABELS"],
            "nowhere is no folder",
        ),
        (
            ["--data.root", "PHOTOS", "--model.uri", "MODEL", "--model.labels", "OTHERS"],
            "knows no class circle",
        ),
        (
            ["--data.root", "PHOTOS", "--tables.root", "nowhere", "--tables.labels", "LABELS"],
            "no Delta table",
        ),
        (["--data.root", "PHOTOS", "--model.uri", "nowhere", "--model.labels", "LABELS"], "nowhere"),
    ],
)
def test_what_does_not_fit_is_exit_code_2(run_job, drawn_folder, model, tmp_path, arguments, said):
    """One line that says why."""
    (tmp_path / "others.txt").write_text("cat\ndog\n")
    places = {
        "PHOTOS": drawn_folder,
        "MODEL": model,
        "LABELS": model / "label_map.pbtxt",
        "OTHERS": tmp_path / "others.txt",
    }
    code, out, err = run_job(*(places.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert said in err


def make_settings(folder, model, **sections):
    """Make the settings of an evaluation by the demo's model."""
    named = {"uri": str(model), "labels": str(model / "label_map.pbtxt"), "min_score": 0.05}
    whole = {"data": {"root": folder}, "model": named, "evaluation": QUICK}
    return EvaluateSettings(**{**whole, **sections})


def test_broken_files_are_refused_or_told(drawn_folder, model, tmp_path):
    """A damaged picture and a damaged XML: refused by name; left out, they are on the page's list."""
    folder = shutil.copytree(drawn_folder, tmp_path / "photos")
    (folder / "shapes_03.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(EvaluationError, match=r"1 of 12 pictures can't be used, the first is shapes_03\.png"):
        evaluate(make_settings(folder, model), watch)
    (folder / "shapes_05.xml").write_bytes(b"<annotation>")
    with pytest.raises(
        EvaluationError, match=r"1 annotation files can't be used, the first is shapes_05\.xml"
    ):
        evaluate(make_settings(folder, model), watch)
    found = evaluate(make_settings(folder, model, data={"root": folder, "unreadable": "leave_out"}), watch)
    assert set(found.failures) == {"shapes_03.png", "shapes_05.xml"}
    assert found.report.image_count == 10


def test_classes_that_the_model_does_not_know_are_counted(drawn_folder, demo, model):
    """Told to leave them out, it says how many boxes that were."""
    (model / "label_map.txt").write_text("circle\nrectangle\n")
    settings = make_settings(drawn_folder, model, data={"root": drawn_folder, "unknown_labels": "leave_out"})
    named = settings.model.model_copy(update={"labels": str(model / "label_map.txt")})
    found = evaluate(settings.model_copy(update={"model": named}), watch)
    assert set(found.left_out) == {"star", "triangle"}
    boxes = read_dataset(drawn_folder)[0].count_boxes()
    assert found.left_out == {name: boxes[name] for name in ("star", "triangle")}
    assert found.report.object_count == boxes["circle"] + boxes["rectangle"]


def test_only_a_split_s_pictures_are_measured(drawn_folder, model, tmp_path):
    """By manifest and name of the split."""
    rows = [f"shapes_{n:02}.png,{'test' if n < 3 else 'train'},a,[],x" for n in range(12)]
    (tmp_path / "split.csv").write_text("image,split,group,labels,sha256\n" + "\n".join(rows) + "\n")
    data = {"root": drawn_folder, "split": tmp_path / "split.csv"}
    found = evaluate(make_settings(drawn_folder, model, data=data), watch)
    assert [row.image for row in sorted(found.report.images, key=lambda row: row.image)] == [
        f"shapes_{n:02}.png" for n in range(3)
    ]
    assert found.subject.data.endswith(f", test of {tmp_path / 'split.csv'}")
    with pytest.raises(EvaluationError, match="its splits: test, train"):
        evaluate(make_settings(drawn_folder, model, data={**data, "split_name": "val"}), watch)


@pytest.mark.spark
def test_from_the_tables_it_is_the_same(spark, drawn_folder, model, tmp_path):
    """Scored by the Spark job, evaluated from the tables: every figure; thresholds go to their table."""
    from detector.scoring.job import score

    direct = evaluate(make_settings(drawn_folder, model), watch)
    lake = str(tmp_path / "lake")
    named = {"uri": str(model), "labels": str(model / "label_map.pbtxt")}
    score(spark, ScoreSettings(media={"paths": [str(drawn_folder)]}, model=named, tables={"root": lake}))
    tables = {"root": lake, "labels": model / "label_map.pbtxt"}
    given = {"data": {"root": drawn_folder}, "tables": tables, "evaluation": QUICK, "write_thresholds": True}
    found = evaluate(EvaluateSettings(**given), watch)
    assert flatten(found.report.to_json()) == pytest.approx(flatten(direct.report.to_json()), abs=1e-5)
    assert found.subject.model_digest == direct.subject.model_digest
    in_catalog = copy_into_catalog(spark, lake, tmp_path)
    again = evaluate(
        EvaluateSettings(**given | {"tables": tables | in_catalog, "write_thresholds": False}), watch
    )
    assert again.report.to_json() == found.report.to_json()
    rows = deltalake.DeltaTable(f"{lake}/thresholds").to_pyarrow_table().to_pylist()
    best = {row.label: row.threshold.threshold for row in found.report.classes if row.threshold}
    assert {row["label"]: row["threshold"] for row in rows} == best
    assert {row["model_digest"] for row in rows} == {found.subject.model_digest}


def copy_into_catalog(spark, lake, folder):
    """Copy the scores into a catalog's schema; give the settings that name it."""
    from detector.settings import TableSettings
    from detector.tables.store import open_store

    named = {"root": None, "schema": "evaluated", "checkpoints": str(folder / "checkpoints")}
    store = open_store(spark, TableSettings(**named))
    store.create([SCORES])
    store.insert_new_scores(spark.read.format("delta").load(f"{lake}/scores"))
    return named


def flatten(text):
    """List the numbers of a JSON document in its order, -1 for null."""

    def walk(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [number for item in value for number in walk(item)]
        return [-1.0 if value is None else value] if isinstance(value, int | float | None) else []

    return walk(json.loads(text))


@pytest.mark.data
def test_a_foreign_model_s_figures_are_those_of_pycocotools(data_pack):
    """Yolo-Fastest on 32 COCO photos, no boxes merged: AP, AP50, AP75 and the recalls to a millionth."""
    folder = data_pack / "models/yolo_fastest_xl_coco"
    settings = ModelSettings(uri=str(folder), labels=str(folder / "label_map.pbtxt"), min_score=0.001)
    dataset = read_dataset(data_pack / "datasets/coco128_train32")[0]
    opened = open_model(settings)
    report = measure_model(opened.predictor, dataset, opened.labels, cluster_iou=None, resamples=100)
    truths = build_truths(dataset, map_names(opened.labels.names), cluster_iou=None)
    results = predict_images(opened.predictor, {one.image: dataset.root / one.image for one in truths})
    wanted = ask_pycocotools(truths, results)
    coco = report.coco
    found = [coco.ap, coco.ap50, coco.ap75, coco.ap_small, coco.ap_medium, coco.ap_large]
    found += [coco.ar_1, coco.ar_10, coco.ar_100, coco.ar_small, coco.ar_medium, coco.ar_large]
    assert found == pytest.approx(wanted, abs=1e-6)
    assert report.object_count == sum(dataset.count_boxes().values())
    assert coco.ap50 > 0.5


def ask_pycocotools(truths, results):
    """Compute the twelve figures by the original."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects = [
        {"image_id": n, "category_id": int(class_id), "bbox": to_xywh(box), "iscrowd": 0}
        for n, truth in enumerate(truths)
        for box, class_id in zip(truth.boxes_xyxy_px, truth.class_ids, strict=True)
    ]
    found = [
        {"image_id": n, "category_id": int(class_id), "bbox": to_xywh(box), "score": float(score)}
        for n, result in enumerate(results)
        for box, class_id, score in zip(result.boxes_xyxy_px, result.class_ids, result.scores, strict=True)
    ]
    objects = [row | {"id": n, "area": row["bbox"][2] * row["bbox"][3]} for n, row in enumerate(objects, 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n} for n in range(len(truths))],
            "categories": [{"id": class_id} for class_id in range(1, 91)],
            "annotations": objects,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


def to_xywh(box):
    """Give a box as a list of x, y, width, height."""
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
