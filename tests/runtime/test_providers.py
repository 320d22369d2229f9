"""A provider that this machine lacks: an error that is told, or a step down that is told."""

from dataclasses import replace

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.errors import EngineError
from edgewright.core.session import EngineOptions
from edgewright.engines import engine
from edgewright.formats import save
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import NotReady
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.metadata import config
from edgewright.runtime.providers import provider_parameters, step_down
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

X = {"x": np.ones((1, 4), np.float32)}
CPU = {"onnxruntime": "CPUExecutionProvider", "openvino": "CPU"}
CUDA = {"onnxruntime": "CUDAExecutionProvider", "openvino": "CUDA"}

pytestmark = pytest.mark.skipif("cuda" in engine("onnxruntime").providers(), reason="this build has cuda")


@pytest.fixture
def models(tmp_path):
    """Seals a bundle into a folder of models, made to be opened as the options say."""
    key = SigningKey.generate()

    def seal(name, engine_name, **options):
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
        plain = Variant(engine_name, EngineOptions(), build.model())
        asked = replace(plain, options=EngineOptions(**options))
        content = BundleContent(
            name=name, version="1", source=plain.model.digest, variants=(asked,),
            golden=bundles.record_golden([plain], [X], count=1), contract=Contract("host"),
        )  # fmt: skip
        bundles.seal(content, tmp_path / "models" / name, key)

    seal.folder, seal.trusted = tmp_path / "models", [key.public]
    return seal


@pytest.fixture
def repository(models):
    """Serves what the test sealed."""
    opened = []

    def serve(path=models.folder):
        repository, scheduler = Repository(), Scheduler()
        loader = Loader(repository, Desk(scheduler), Settings(path, models.trusted, watch_s=0))
        opened.append((scheduler, loader))
        loader.start()
        return repository

    yield serve
    for scheduler, loader in opened:
        scheduler.close()
        loader.close()


@pytest.mark.parametrize("name", sorted(CPU))
def test_a_provider_that_is_not_here_fails_that_model_alone(models, repository, name):
    models("strict", name, provider="cuda")
    models("fine", name)
    served = repository()
    assert {e.name: e.state for e in served.index()} == {"fine": "READY", "strict": "UNAVAILABLE"}
    (reason,) = [e.reason for e in served.index() if e.name == "strict"]
    assert "cuda" in reason.lower()
    with pytest.raises(NotReady, match=r"(?i)cuda"):
        served.find("strict")
    assert step_down(served.find("fine").session) == ""
    with pytest.raises(EngineError, match=r"(?i)cuda"):
        repository(models.folder / "strict")


@pytest.mark.parametrize("name", sorted(CPU))
def test_a_step_down_is_told(models, repository, caplog, name):
    models("easy", name, provider="cuda", policy="degrade")
    served = repository()
    session = served.find("easy").session
    np.testing.assert_array_equal(next(iter(session.infer(X).values())), 2 * X["x"])
    assert provider_parameters(session) == {"provider": CPU[name], "provider_requested": CUDA[name]}
    (entry,) = served.index()
    assert entry.state == "READY"
    assert entry.reason == f"it runs on {CPU[name]}; {CUDA[name]} was asked for and is not here"
    assert "was asked for" in caplog.text


@pytest.mark.parametrize("table", [ModelTable(engine="openvino", finite=True),
                                   ModelTable(engine="openvino", isolated=True)])  # fmt: skip
def test_an_engine_that_compiles_a_model_otherwise_says_why(tmp_path, caplog, table):
    build = Build()
    build.output(build.reshape(build.input("x", ["n", 4]), [2, 4]), None)  # no single sample fits
    save(build.model(), tmp_path)
    repository, scheduler = Repository(), Scheduler()
    settings = Settings(tmp_path / "model.onnx", watch_s=0, config=Config(models={"*": table}))
    loader = Loader(repository, Desk(scheduler), settings)
    try:
        loader.start()
        told = config(repository.find())["parameters"]["engine_note"]["string_value"]
        assert told.startswith("it is compiled for any number of samples, as it cannot be for one: ")
        assert told in caplog.text
    finally:
        scheduler.close()
        loader.close()
