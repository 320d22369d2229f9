"""runtime.toml: strict, and what it changes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.config import BadConfig, Config, ModelTable, ServerTable, load_config
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import BadRequest, Infeasible
from edgewright.runtime.isolation import IsolatedSession
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.testing.build import Build

X = np.arange(8, dtype=np.float32).reshape(2, 4)
WHOLE = """
[server]
http = "127.0.0.1:9000"
uds = "run/edge.sock"
tokens = "/etc/tokens"
hosts = ["edge.example"]
strict_readiness = true
log_format = "json"
[limits]
body_bytes = 1000
idle_s = 5
[models."*"]
max_batch = 8
priority = 3
[models."seen.model"]
max_delay_ms = 1.5
preferred_batch = [4, 8]
deadline_ms = 0
finite = true
fail_safe = {y = [[1, 2]]}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "runtime.toml").write_text(text)
        return tmp_path / "runtime.toml"

    return write


def test_all_of_it(write, tmp_path):
    config = load_config(write(WHOLE))
    assert config.server.http == "127.0.0.1:9000" and config.server.uds == tmp_path / "run/edge.sock"
    assert str(config.server.tokens) == "/etc/tokens" and config.server.hosts == ("edge.example",)
    assert config.limits.body_bytes == 1000 and config.limits.idle_s == 5.0
    assert config.model("anything") == ModelTable(max_batch=8, priority=3)
    seen = config.model("seen.model")
    assert (seen.max_batch, seen.priority, seen.max_delay_ms, seen.preferred_batch) == (8, 3, 1.5, (4, 8))
    assert load_config(write("")) == Config() and Config().model("m") == ModelTable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "no TOML"),
        ("[serve]", r"no key 'serve'; there are: limits, models, server"),
        ("[server]\nhtp = ''", r"\[server\] has no key 'htp'; there are: .*http"),
        ("[server]\nhttp = 8000", "http is not a string"),
        ("[server]\nstrict_readiness = 1", "true or false"),
        ("[server]\nhosts = 'a'", "hosts is not a list"),
        ("[server]\nhosts = [1]", "hosts is not a string"),
        ("[server]\nlog_format = 'xml'", "log_format is not one of: text, json"),
        ("[server]\nuds = ''", "uds is not a path"),
        ("[server]\ncertificate = 'a'", "belong together"),
        ("[limits]\nbody_bytes = 1.5", "whole number"),
        ("[limits]\nbody_bytes = true", "whole number"),
        ("[limits]\nidle_s = inf", "more than 0"),
        ("[limits]\nidle_s = 0", "more than 0"),
        ("[models.m]\nmax_batch = 0", "more than 0"),
        ("[models.m]\nmax_delay_ms = -1", "0 or more"),
        ("[models.m]\npolicy = 'hope'", "fail, degrade"),
        ("[models.m]\nmax_bath = 1", r"\[models.\"m\"\] has no key 'max_bath'"),
        ("[models]\nm = 1", "not a table"),
        ("models = 1", "not a table"),
        ('[models."*"]\nfail_safe = {}', "is about one model"),
        ("[models.m]\nfail_safe = {}", "fail_safe is empty"),
        ("[models.m]\nsplit = {}", "split is empty"),
        ("[models.m]\nmax_batch = 4\npreferred_batch = [4, 8]", "preferred_batch holds 8, above max_batch, which is 4"),
        ('[models."*"]\npreferred_batch = [2]', "above max_batch, which is 1"),
        ('[models."*"]\npreferred_batch = [4]\nmax_batch = 4\n[models.m]\nmax_batch = 2', r'"m"\] preferred_batch'),
    ],
)
def test_what_is_wrong_is_named(write, text, says):
    with pytest.raises(InputError, match=says):
        load_config(write(text))


def test_all_that_is_wrong_is_told_at_once(write):
    path = write("""
        [serve]
        [server]
        http = 8000
        certificate = "chain.pem"
        [limits]
        body_bytes = 1.5
        idle_s = 0
        [models."*"]
        shadow = {version = "1"}
        threads = "two"
        [models.a]
        max_bath = 1
        [models.b]
        policy = "hope"
        preferred_batch = [4]
    """)
    with pytest.raises(BadConfig) as caught:
        load_config(path)
    told = [problem.removeprefix(f"{path}") for problem in caught.value.problems]
    begins = [
        " has no key 'serve'", ": [server] http is not a string", ": [limits] body_bytes is not a whole number",
        ": [limits] idle_s must be more than 0", ": [server] certificate and key belong together",
        ': [models."*"] shadow: it is about one model', ': [models."*"] threads is not a whole number',
        ": [models.\"a\"] has no key 'max_bath'", ': [models."b"] policy is not one of: fail, degrade',
    ]  # fmt: skip
    assert len(told) == len(begins) and all(map(str.startswith, sorted(told), sorted(begins))), told
    assert "\n" not in str(caught.value) and "(9) " in str(caught.value), "one line"


def test_very_many_problems_are_counted(write):
    with pytest.raises(BadConfig, match=r"\(21\) and 80 more$") as caught:
        load_config(write("\n".join(f"[m{number}]" for number in range(100))))
    assert len(caught.value.problems) == 21


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_config(tmp_path / "none.toml")


@pytest.fixture
def model(tmp_path):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    return tmp_path / "models" / "double.onnx"


def output(model):
    with Runtime(model) as runtime:
        return runtime.repository.find().session.signature.outputs[0].name


def test_inputs_that_are_no_arrays_by_name(model):
    with Runtime(model) as runtime:
        for inputs in (X, [X], None):
            with pytest.raises(BadRequest, match="inputs are arrays by name, got"):
                runtime.infer(inputs)
        with pytest.raises(BadRequest, match="must be a numpy array, got list"):
            runtime.infer({"x": X.tolist()})


def test_numbers_that_are_none_are_refused_where_it_is_said_so(model, write):
    bad = X.copy()
    bad[1, 2] = np.nan
    with Runtime(model) as runtime:
        assert runtime.infer({"x": bad})
    with Runtime(model, config=write("[models.double]\nfinite = true\nmax_batch = 4")) as runtime:
        assert runtime.infer({"x": X})
        with pytest.raises(BadRequest, match="'x' holds NaN"):
            runtime.infer({"x": bad})


def test_a_missed_deadline_gets_the_declared_outputs_and_is_counted(model, write):
    name = output(model)
    text = f"[models.double]\ndeadline_ms = 0.000001\nfail_safe = {{{name} = [7, 7, 7, 8.5]}}"
    with Runtime(model, config=write(text)) as runtime:
        served = runtime.repository.find()
        found = runtime.infer({"x": X})
        assert type(found) is Safe
        np.testing.assert_array_equal(found[name], np.float32([[7, 7, 7, 8.5]] * 2))
        assert (served.stats.missed, served.stats.safe, served.stats.faults["infeasible"]) == (1, 1, 1)
        answers = []
        runtime.desk.later(served, {"x": X}, lambda *told: answers.append(told))  # let in or not: the same answer
        assert type(answers[0][0]) is Safe and answers[0][1] is None and served.stats.missed == 2
        assert type(runtime.infer({"x": X}, deadline_ms=60000)) is not Safe
    with Runtime(model, config=write("[models.double]\ndeadline_ms = 0.000001")) as runtime, pytest.raises(Infeasible):
        runtime.infer({"x": X})


def test_an_answer_that_comes_too_late_is_a_miss(model, write):
    name = output(model)
    for text, kind in (("", dict), (f"fail_safe = {{{name} = [[0, 0, 0, 0]]}}", Safe)):
        with Runtime(model, config=write(f"[models.double]\n{text}")) as runtime:
            served = runtime.repository.find()
            served.times = RunTimes(1e-9)  # as if it had been quick until now
            assert type(runtime.infer({"x": X}, deadline_ms=1e-4)) is kind
            assert served.stats.missed == 1


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("{other = [1]}", "must declare the model's outputs"),
        ("{NAME = [[1, 2]]}", "has shape"),
        ("{NAME = ['1', '2', '3', '4']}", "no float32"),
        ("{NAME = [[1], [2, 3]]}", "no float32"),
    ],
)
def test_fail_safe_outputs_must_be_the_models(model, write, declared, says):
    text = f"[models.double]\nfail_safe = {declared.replace('NAME', output(model))}"
    with pytest.raises(InputError, match=says):
        Runtime(model, config=write(text))
    with Runtime(model.parent, config=write(text)) as runtime:
        assert says in next(runtime.repository.index()).reason, "in a folder, that model is not ready and says why"


def test_engine_and_batching_are_each_models_own(model, write):
    text = '[models."*"]\nmax_batch = 3\n[models.double]\nmax_batch = 5\nmax_delay_ms = 2\nthreads = 2\n'
    with Runtime(model, config=write(text)) as runtime:
        served = runtime.repository.find()
        assert (served.most_rows, served.delay_s, served.source.options.threads) == (5, 0.002, 2)
    with pytest.raises(InputError, match="no engine"):
        Runtime(model, config=write("[models.double]\nengine = 'hope'"))


def test_a_model_in_a_process_of_its_own(model, write):
    with Runtime(model, config=write("[models.double]\nisolated = true\nfinite = true")) as runtime:
        served = runtime.repository.find()
        assert served.reason == "" and isinstance(served.session._session, IsolatedSession)
        (found,) = runtime.infer({"x": X}).values()
        np.testing.assert_array_equal(found, 2 * X)


def test_the_reference_page_can_be_loaded(write):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "runtime.md").read_text("utf-8")
    config = load_config(write(page.split("```toml\n")[1].split("```")[0]))
    assert config.limits == Limits(), "the page shows the defaults"
    told = page.partition("```toml")[2]
    for table in (ServerTable, Limits, ModelTable):
        for one in dataclasses.fields(table):
            assert f"\n{one.name} =" in told, f"the page lacks {one.name}"
