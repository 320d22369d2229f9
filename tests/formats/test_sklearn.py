"""scikit-learn: estimators become ONNX with one input and plain tensors; pickles are refused."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.engines import open_session
from edgewright.formats import load
from edgewright.testing.formats import check_format, one_line

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
sio = pytest.importorskip("skops.io")

from sklearn.cluster import KMeans  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402

ESTIMATORS = {
    "pipeline": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=30)), ["label", "probabilities"]),
    "forest": (RandomForestClassifier(5, random_state=0), ["label", "probabilities"]),
    "boosting": (HistGradientBoostingClassifier(max_iter=2, random_state=0), ["label", "probabilities"]),
    "network": (MLPClassifier((8,), max_iter=5, random_state=0), ["label", "probabilities"]),
    "neighbours": (KNeighborsClassifier(), ["label", "probabilities"]),
    "margins": (make_pipeline(StandardScaler(), LinearSVC(random_state=0)), ["label", "scores"]),
    "regression": (Ridge(), ["prediction"]),
    "boosted regression": (GradientBoostingRegressor(n_estimators=3, random_state=0), ["prediction"]),
    "clusters": (KMeans(3, n_init=1, random_state=0), ["label", "scores"]),
    "transformer": (make_pipeline(StandardScaler(), PCA(3)), ["transformed"]),
}


def _fit(estimator: Any, digits: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*digits)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_live_estimator_answers_alike(name: str, digits: Any) -> None:
    estimator, outputs = ESTIMATORS[name]
    _fit(estimator, digits)
    rows = digits[0][:50]
    loaded = load(estimator, example=rows)
    assert [str(spec) for spec in loaded.signature.inputs] == ["X: float32[batch, 64]"]
    assert [spec.name for spec in loaded.signature.outputs] == outputs
    assert all(spec.shape[0] == "batch" for spec in loaded.signature.outputs)
    assert load(estimator).digest == loaded.digest, "the same bytes whatever was converted before"
    with open_session(loaded) as session:
        got = session.infer({"X": rows})
    answers = {
        "label": getattr(estimator, "predict", None),
        "prediction": getattr(estimator, "predict", None),
        "probabilities": getattr(estimator, "predict_proba", None),
        "transformed": getattr(estimator, "transform", None),
    }
    for output in {*outputs} - {"scores"}:
        want = answers[output](rows)
        np.testing.assert_allclose(got[output].reshape(want.shape), want, atol=1e-3, rtol=1e-3)


def test_labels_may_be_words(digits: Any) -> None:
    words = np.array(["even", "odd"])[digits[1] % 2]
    estimator = _fit(LogisticRegression(max_iter=20), (digits[0], words))
    loaded = load(estimator)
    with open_session(loaded) as session:
        assert list(session.infer({"X": digits[0][:20]})["label"]) == list(estimator.predict(digits[0][:20]))


@pytest.fixture(scope="module")
def saved(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("skops") / "model.skops"
    sio.dump(_fit(RandomForestClassifier(3, random_state=0), digits), path)
    return path


def test_a_skops_file_keeps_the_contract(saved: Path, tmp_path: Path, digits: Any) -> None:
    reference = load(_fit(RandomForestClassifier(3, random_state=0), digits))
    loaded = check_format("sklearn", saved, tmp_path, reference)
    assert loaded == reference
    assert dict(loaded.lineage[0].options) == {"from": "skops", "estimator": "RandomForestClassifier"}


def shout(rows: Any) -> Any:
    return rows


def test_types_that_are_not_scikit_learns_are_not_built(digits: Any, tmp_path: Path) -> None:
    path = tmp_path / "foreign.skops"
    sio.dump(FunctionTransformer(shout).fit(digits[0]), path)
    with pytest.raises(InputError, match=r"made of .*shout.*pass the live estimator"):
        raise InputError(one_line(lambda: load(path), "a foreign type", str(path)))


def test_a_schema_of_nonsense(tmp_path: Path) -> None:
    path, schema = tmp_path / "odd.skops", {"__class__": "system", "__module__": "os", "__loader__": "TypeNode"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    one_line(lambda: load(path), "nonsense", str(path))


def test_an_archive_that_unpacks_to_terabytes(tmp_path: Path) -> None:
    path = tmp_path / "bomb.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 24  # the directory's uncompressed size
    data[at : at + 4] = b"\xfe\xff\xff\xff"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more", "x")
    data2 = bytearray(path.read_bytes())
    for at in (i + 24 for i in range(len(data2)) if data2[i : i + 4] == b"PK\x01\x02"):
        data2[at : at + 4] = b"\xfe\xff\xff\xff"
    path.write_bytes(data2)
    with pytest.raises(InputError, match="unpacks to more than"):
        load(path)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.pickle", "no_suffix"])
def test_pickles_are_refused_unread(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"anything": 1}))
    with pytest.raises(InputError, match=r"is a pickle, which can run code .*skops\.io\.dump"):
        load(path)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda fit: Ridge(), {}, "Ridge is not fitted; call fit"),
        (lambda fit: fit(Ridge()), {"example": np.ones((3, 5))}, r"must have shape .rows, 64., got \[3, 5\]"),
        (lambda fit: fit(Ridge()), {"samples": 1}, "takes example, not 'samples'"),
        (lambda fit: fit(FunctionTransformer(shout)), {}, "skl2onnx cannot convert the FunctionTransformer"),
    ],
)
def test_a_live_estimator_that_cannot_be_used(make: Any, options: Any, message: str, digits: Any) -> None:
    estimator = make(lambda e: _fit(e, digits))
    with pytest.raises(InputError, match=message):
        raise InputError(one_line(lambda: load(estimator, **options), "an unusable estimator"))
