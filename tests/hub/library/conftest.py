"""Real bundles, small ones, and key-holders with their keys elsewhere."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.bundles.archive import pack_files
from edgewright.bundles.sealing import seal_files
from edgewright.core.digests import digest_bytes
from edgewright.core.measurement import Measurement
from edgewright.core.model import Step
from edgewright.core.session import EngineOptions
from edgewright.formats.onnx import from_proto
from edgewright.hub.accounts.tables import Tenant
from edgewright.trust import PublicKey, SigningKey
from edgewright.trust.updates import Keys, RoleKeys, propose_root, sign_release, sign_root


def classifier(seed=0, step=0.0, width=4):
    """A linear model; ``step``: every weight moved by a share of itself."""
    weights = np.random.default_rng(seed).standard_normal((width, 3)).astype(np.float32)
    weights *= (1 + step * np.random.default_rng(9).standard_normal(weights.shape)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"])],
        "classifier",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("p", T.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return from_proto(proto, (Step("import", {}, "0" * 64),))


@functools.cache
def content(version, seed, step, width, target):
    model = classifier(seed, step, width)
    variant = Variant("onnxruntime", EngineOptions(), model)
    rows = np.random.default_rng(1).standard_normal((8, width)).astype(np.float32)
    samples = [{"x": rows[i : i + 1]} for i in range(len(rows))]
    seen = {"latency_p99_ms": Measurement(0.2, "ms", "measured", 100, 0.18, 0.25, {"threads": 1})}
    return BundleContent(
        name="classifier", version=version, source=model.digest, variants=(variant,),
        golden=bundles.record_golden([variant], samples, count=2), evidence={"report.json": b'{"schema": 1}'},
        contract=Contract(target, (), seen, bundles.sketch_inputs(samples)),
    )  # fmt: skip


class Packed:
    """A sealed and packed bundle."""

    def __init__(self, key, version="1.0.0", seed=0, step=0.0, width=4, target="host", noise=0):
        self.key = key
        made = content(version, seed, step, width, target)
        if noise:
            made = replace(made, evidence={"noise.bin": np.random.default_rng(noise).bytes(300_000)})
        self.files = seal_files(made, key)
        self.data = pack_files(self.files)
        self.digest = digest_bytes(self.files["manifest.json"])
        self.file = digest_bytes(self.data)


SEALER = SigningKey.generate()


@functools.cache
def packed(version="1.0.0", **how):
    return Packed(SEALER, version, **how)


@pytest.fixture
def make():
    """``make(version, seed=..., step=..., width=...)``: a packed bundle of one sealer."""
    return packed


@pytest.fixture
def sealer():
    return SEALER


class Library:
    """What people do with bundles, as ``who``."""

    def __init__(self, hub):
        self.hub, self.state = hub, hub.state

    def upload(self, bundle, status=201, who=None, signer=None, **options):
        signer = signer or bundle.key.public
        hexed = signer if isinstance(signer, str) else signer.raw.hex()
        return (who or self.hub.north).ask(
            "POST", f"/api/edge/bundles?signer={hexed}", status, content=bundle.data, **options
        ).json()  # fmt: skip

    def holders(self, **how):
        """Key-holders of the tenant north."""
        return Holders(self, self.hub.north, **how)

    def develop(self, name="north", so=True):
        """Make it a development tenant."""
        with self.state.database.write(self.hub.tenants[name]) as session:
            session.query(Tenant).one().development = so

    def propose(self, rollout, *found, name="north"):
        from edgewright.hub import library

        with self.state.database.write(self.hub.tenants[name]) as session:
            digests = [one.digest for one in found]
            library.propose(session, self.state, digests, rollout, self.state.clock())

    def signed(self, bundle, name="north"):
        from edgewright.hub import library

        with self.state.database.read(self.hub.tenants[name]) as session:
            return library.signed(session, bundle.digest)

    def metadata(self, name, tenant="north"):
        from edgewright.hub import library

        with self.state.database.read(self.hub.tenants[tenant]) as session:
            return library.metadata(session, name)

    def fetch(self, tenant="north"):
        """A device's way to the metadata."""

        def get(name, limit):
            data = self.metadata(name, tenant)
            if data is None:
                raise FileNotFoundError(name)
            return data

        return get


class Holders:
    """Key-holders of a tenant: two of three root keys must sign, ``threshold`` of the release keys."""

    def __init__(self, library, who, threshold=1, releases=2):
        self.library, self.who, self.threshold = library, who, threshold
        self.roots = [SigningKey.generate() for _ in range(3)]
        self.releases = [SigningKey.generate() for _ in range(releases)]

    @property
    def now(self):
        return self.library.state.clock()

    def keys(self):
        online = PublicKey.parse(self.who.get("/api/edge/updates")["online"])
        roots, releases = (tuple(key.public for key in held) for held in (self.roots, self.releases))
        return Keys(RoleKeys(roots, 2), RoleKeys(releases, self.threshold), online, online)

    def root(self, current=None, by=None):
        root = propose_root(self.keys(), self.now, current)
        for key in by or self.roots[:2]:
            root = sign_root(root, key, self.now)
        return root.decode()

    def proposal(self):
        return self.who.get("/api/edge/updates/proposal")

    def sign(self, targets, by=None):
        data = targets.encode() if isinstance(targets, str) else targets
        for key in by or self.releases[: self.threshold]:
            data = sign_release(data, key, self.now)
        return data.decode()

    def begin(self, status=200):
        body = {"root": self.root(), "targets": self.sign(self.proposal()["targets"])}
        return self.who.ask("PUT", "/api/edge/updates/root", status, json=body).json()

    def put(self, targets, status=200):
        return self.who.ask("PUT", "/api/edge/updates/targets", status, json={"targets": targets}).json()


@pytest.fixture
def library(hub):
    return Library(hub)


@pytest.fixture
def holders(library):
    return library.holders()
