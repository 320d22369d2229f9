"""Models, small ones, and data; and uploads as a client of tus does them."""

import base64
import io

import numpy as np
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.hub import models
from edgewright.hub.models.checking import checker


def onnx(seed=0, width=4, classes=3):
    weights = np.random.default_rng(seed).standard_normal((width, classes)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"], "mix"), helper.make_node("Softmax", ["z"], ["p"], "share")],
        "classifier",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("p", T.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def npz(rows=40, width=4, **more):
    draw = np.random.default_rng(1)
    made = io.BytesIO()
    arrays = {"x": draw.standard_normal((rows, width)).astype(np.float32), "labels": draw.integers(0, 3, rows)}
    np.savez(made, **arrays, **more)
    return made.getvalue()


class Uploads:
    """What people do with models, as ``hub.north``."""

    def __init__(self, hub):
        self.hub, self.state = hub, hub.state

    @staticmethod
    def metadata(**told):
        return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())

    def begin(self, data, status=201, who=None, **metadata):
        length = data if isinstance(data, int) else len(data)
        told = {"Upload-Length": str(length), "Upload-Metadata": self.metadata(**metadata)}
        headers = {**told, "Tus-Resumable": "1.0.0"}
        return (who or self.hub.north).ask("POST", "/api/edge/uploads", status, headers=headers)

    def send(self, place, data, offset, status=204, who=None, kind="application/offset+octet-stream"):
        headers = {"Upload-Offset": str(offset), "Content-Type": kind, "Tus-Resumable": "1.0.0"}
        return (who or self.hub.north).ask("PATCH", place, status, content=data, headers=headers)

    def offset(self, place, who=None):
        return int((who or self.hub.north).ask("HEAD", place, 200).headers["Upload-Offset"])

    def upload(self, data, who=None, **metadata):
        """All of it at once, checked: the version or data set."""
        place = self.begin(data, who=who, **metadata).headers["Location"]
        self.send(place, data, 0, who=who)
        self.check()
        return self.result(place, who)

    def result(self, place, who=None):
        who = who or self.hub.north
        found = who.get(place)["result"]
        return who.get(f"/api/edge/{'versions' if found.startswith('ver') else 'datasets'}/{found}")

    def check(self):
        models.resume(self.state, self.state.clock())
        checker(self.state).wait()

    def model(self, name="digits", who=None):
        return (who or self.hub.north).post("/api/edge/models", {"name": name})["id"]

    def version(self, proto=None, name="digits", filename="digits.onnx", **metadata):
        data = (proto or onnx()).SerializeToString()
        return self.upload(data, filename=filename, model=self.model(name), **metadata)

    def refusal(self, data, **metadata):
        found = self.upload(data, **metadata)
        assert found["state"] == "refused" and found["file"] == "", found
        return found["reason"]
