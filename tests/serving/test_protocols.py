"""One client of each protocol: all tell the same boxes, those of the simple way."""

import base64
import io
import json
import struct
import subprocess

import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image

from .running import KEY, NAME


@pytest.fixture(scope="module")
def expected(server, pictures):
    """Give the boxes of each picture as POST /detect tells them."""
    found = [server.ask_json("POST", "/detect", picture)[1] for picture in pictures]
    assert sum(len(one["detections"]) for one in found) > 20
    return found


def list_rows(expected):
    """List (class_id, label, score, y_min, ...) of each box of an answer."""
    return [tuple(box.values()) for box in expected["detections"]]


def read_tensors(arrays, row):
    """List the same of one picture of padded arrays."""
    count = int(arrays["num_detections"][row])
    labels = [
        one.decode() if isinstance(one, bytes) else one for one in arrays["detection_labels"][row][:count]
    ]
    classes, scores, boxes = (
        np.asarray(arrays[f"detection_{name}"][row][:count]).tolist()
        for name in ("classes", "scores", "boxes")
    )
    return [(c, label, s, *b) for c, label, s, b in zip(classes, labels, scores, boxes, strict=True)]


def approximately(rows):
    """Compare scores and edges with the tolerance of another batch's arithmetic."""
    return [(*row[:2], *(pytest.approx(number, abs=1e-4) for number in row[2:])) for row in rows]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [[8], [8, 1]])
def test_triton_client(server, pictures, expected, binary, shape):
    """NVIDIA's client of the Open Inference Protocol, binary answers or JSON."""
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    headers = {"Authorization": f"Bearer {KEY}"}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME, headers=headers)
    metadata = client.get_model_metadata(NAME, headers=headers)
    assert [one["name"] for one in metadata["inputs"]] == ["image"]
    asked = triton.InferInput("image", shape, "BYTES")
    asked.set_data_from_numpy(np.array(pictures, object).reshape(shape))
    names = [one["name"] for one in metadata["outputs"]]
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = client.infer(NAME, [asked], outputs=outputs, headers=headers, request_id="r1")
    assert answer.get_response()["id"] == "r1"
    arrays = {name: answer.as_numpy(name) for name in names}
    for row, one in enumerate(expected):
        assert read_tensors(arrays, row) == approximately(list_rows(one))
        assert arrays["image_hw"][row].tolist() == [one["height_px"], one["width_px"]]


def test_open_inference_json(server, pictures, expected):
    """Without the binary extension: base64 in, plain lists out, only the outputs asked for."""
    tensor = {
        "name": "image", "datatype": "BYTES", "shape": [2],
        "data": [base64.b64encode(one).decode() for one in pictures[:2]],
    }  # fmt: skip
    body = json.dumps({"inputs": [tensor], "outputs": [{"name": "num_detections"}]})
    status, answer = server.ask_json("POST", f"/v2/models/{NAME}/infer", body)
    assert (status, answer["model_name"]) == (200, NAME)
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("INT32", [2])
    assert output["data"] == [len(one["detections"]) for one in expected[:2]]
    versioned = f"/v2/models/{NAME}/versions/{answer['model_version']}/infer"
    assert server.ask("POST", versioned, body)[0] == 200


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"image": one}])
def test_tensorflow_serving(server, pictures, expected, wrap):
    """By rows and by columns, with and without the input's name."""
    path = f"/v1/models/{NAME}:predict"
    given = [{"b64": base64.b64encode(one).decode()} for one in pictures]
    status, rows = server.ask_json("POST", path, json.dumps({"instances": [wrap(one) for one in given]}))
    assert status == 200
    arrays = {name: [row[name] for row in rows["predictions"]] for name in rows["predictions"][0]}
    for row, one in enumerate(expected):
        assert read_tensors(arrays, row) == approximately(list_rows(one))
    status, columns = server.ask_json("POST", path, json.dumps({"inputs": wrap(given)}))
    assert status == 200
    for row, one in enumerate(expected):
        assert read_tensors(columns["outputs"], row) == approximately(list_rows(one))
    status, answer = server.ask_json("GET", f"/v1/models/{NAME}")
    assert (status, answer["model_version_status"][0]["state"]) == (200, "AVAILABLE")


def test_curl(server, pictures, expected, tmp_path):
    """The three ways of curl: the file as body, as a form, and for the picture with boxes."""
    file = tmp_path / "a picture.jpg"
    file.write_bytes(pictures[0])

    def curl(*words):
        command = ["curl", "-sSf", "-H", f"X-API-Key: {KEY}", *words, f"{server.address}/detect"]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    for words in (
        ("--data-binary", f"@{file}"),
        ("-F", f"image=@{file};type=image/jpeg"),
        ("-T", file, "-X", "POST"),
    ):
        assert [list_rows(json.loads(curl(*words)))] == [approximately(list_rows(expected[0]))]
    drawn = Image.open(io.BytesIO(curl("--data-binary", f"@{file}", "-H", "Accept: image/png")))
    assert (drawn.format, drawn.size) == ("PNG", Image.open(file).size)
    plain, boxed = np.asarray(Image.open(file).convert("RGB"), int), np.asarray(drawn.convert("RGB"), int)
    changed = (np.abs(plain - boxed).max(axis=-1) > 60).mean()
    assert 0.01 < changed < 0.6  # lines and labels, with the picture still there


def test_min_score(server, pictures, expected):
    """Only boxes from it; what isn't between 0 and 1 is refused."""
    status, answer = server.ask_json("POST", "/detect?min_score=0.5", pictures[0])
    kept = [row for row in list_rows(expected[0]) if row[2] >= 0.5]
    assert (status, list_rows(answer)) == (200, approximately(kept))
    for wrong in ("2", "-1", "nan", "x"):
        assert server.ask_json("POST", f"/detect?min_score={wrong}", pictures[0])[0] == 400


def test_a_browsers_accept_gives_json_or_picture(server, pictures):
    """A picture where the client names pictures first; JSON to those who take anything."""
    kinds = {
        "*/*": "application/json", "application/json": "application/json", "image/*": "image/jpeg",
        "image/png,image/*;q=0.8,*/*;q=0.5": "image/png", "application/json, image/*": "application/json",
    }  # fmt: skip
    for accept, kind in kinds.items():
        assert server.ask("POST", "/detect", pictures[0], {"Accept": accept})[1]["content-type"] == kind


def test_metrics_and_page(server, pictures):
    """Counts that grow with what was asked, and a page that may load nothing from elsewhere."""
    server.ask("POST", "/detect", pictures[0])
    status, _, text = server.ask("GET", "/metrics", key=None)
    assert status == 200
    assert b'detector_requests_total{route="detect",status="200"}' in text
    assert b"detector_batch_size_sum" in text
    assert KEY.encode() not in text
    status, headers, page = server.ask("GET", "/", key=None)
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http://" not in page
    assert b"https://" not in page
    assert b"/* STYLE */" not in page


def test_binary_lengths_must_fit(server, pictures):
    """Triton's lengths are held against the body."""
    path = f"/v2/models/{NAME}/infer"
    good = struct.pack("<I", len(pictures[0])) + pictures[0]
    cases = [
        (good, None, 200), (good[:-1], None, 400), (good[:2], None, 400), (good, 10**30, 400), (good, -1, 400),
        (struct.pack("<I", 2**32 - 1) + pictures[0], None, 400), (good + good, None, 400),
    ]  # fmt: skip
    for binary, header_length, expected in cases:
        tensor = {
            "name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(binary)},
        }  # fmt: skip
        head = json.dumps({"inputs": [tensor]}).encode()
        headers = {"Inference-Header-Content-Length": str(header_length or len(head))}
        assert server.ask("POST", path, head + binary, headers)[0] == expected, (binary[:8], header_length)
