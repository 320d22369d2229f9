"""The app: every slice's routes in one shell."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edgewright import __version__
from edgewright.core.digests import canonical_json
from edgewright.hub.accounts import routes_account, routes_audit, routes_oidc, routes_users
from edgewright.hub.alerts import routes as routes_alerts
from edgewright.hub.alerts import routes_health, routes_map, routes_webhooks
from edgewright.hub.artifacts import routes as routes_artifacts
from edgewright.hub.benchmarks import routes as routes_benchmarks
from edgewright.hub.events import routes as routes_events
from edgewright.hub.fleet import routes_devices, routes_enrolments, routes_groups, routes_telemetry
from edgewright.hub.jobs import choosing as routes_choosing
from edgewright.hub.jobs import keeping as routes_keeping
from edgewright.hub.jobs import routes as routes_jobs
from edgewright.hub.jobs import routes_profiles as routes_layers
from edgewright.hub.library import routes_bundles, routes_updates
from edgewright.hub.library.uploads import MOST_BYTES
from edgewright.hub.models import routes_datasets, routes_models, routes_uploads, routes_versions
from edgewright.hub.plans import routes as plans
from edgewright.hub.profiles import routes_fits, routes_profiles
from edgewright.hub.rollouts import routes as rollouts
from edgewright.hub.services import routes as services
from edgewright.hub.state import State
from edgewright.hub.web.bodies import Slices
from edgewright.hub.web.idempotency import Replayed
from edgewright.hub.web.openapi import describe
from edgewright.hub.web.problems import add_problems
from edgewright.hub.web.shell import BODY_BYTES, Shell
from edgewright.hub.web.short import Short
from edgewright.studio import ROOT, Pages

ROUTERS = (
    routes_account.router, routes_users.router, routes_oidc.router, routes_audit.router, routes_bundles.router,
    routes_updates.router, routes_devices.router, routes_groups.router, routes_enrolments.router,
    routes_telemetry.router, rollouts.router,
    routes_alerts.router, routes_webhooks.router, routes_health.router, routes_events.router, routes_jobs.router,
    routes_models.router, routes_versions.router, routes_datasets.router, routes_uploads.router,
    routes_profiles.router, routes_fits.router, plans.router, services.router,
    routes_map.router, routes_artifacts.router, routes_benchmarks.router, routes_choosing.router,
    routes_keeping.router, routes_layers.router,
)  # fmt: skip
BODIES: dict[str, int] = {
    f"POST {routes_bundles.PREFIX}": MOST_BYTES, f"POST {routes_bundles.PREFIX}/": BODY_BYTES,
    f"PUT {routes_updates.PREFIX}/": 12 * 2**20, f"PATCH {routes_uploads.PREFIX}/": 0, "POST /api/edge/login": 2**14,
}  # fmt: skip
"""Bodies that may be longer than a mebibyte, or not nearly so long, in bytes (0: the route counts itself)."""


def make_app(state: State) -> ASGIApp:
    """The people's API over this state."""
    return Shell(_built(), BODIES, {"hub": state})


@cache
def _built() -> ASGIApp:
    """All routes: made once, whatever states they are asked about."""
    app = _empty()
    app.router.routes.append(Slices(ROUTERS))
    add_problems(app)

    async def replayed(_: Request, error: Exception) -> Response:
        assert isinstance(error, Replayed)  # noqa: S101
        return error.response()

    app.add_exception_handler(Replayed, replayed)

    @app.get("/openapi.json", include_in_schema=False)
    def told() -> Response:
        return Response(_document(), media_type="application/json")

    @app.get("/", include_in_schema=False)
    def front() -> RedirectResponse:
        return RedirectResponse(ROOT, 307)

    pages = Pages()
    for path in (ROOT, f"{ROOT}/{{path:path}}"):
        app.router.routes.append(Route(path, pages))
    return Short(app, (route for router in ROUTERS for route in router.routes))


@cache
def _document() -> bytes:
    return canonical_json(openapi())


def openapi() -> dict[str, Any]:
    """The document of the people's API."""
    app = _empty()
    for router in ROUTERS:  # to include one would make all of its routes a second time
        app.router.routes.extend(router.routes)
    return describe(app)


def _empty() -> FastAPI:
    return FastAPI(title="Edgewright hub", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
