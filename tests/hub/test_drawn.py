"""Requests drawn from the OpenAPI document (schemathesis): none of them fails the hub. Who may do everything reaches
every statement, and does so on either database."""

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from edgewright.hub.accounts.rules import ROLES

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")  # bytes of an upload
_LEFT_OUT = {
    "ignored_auth",  # test_api asks every endpoint without a credential
    "unsupported_method",  # 405 with Allow is Starlette's; the check also wants it on the open document
    "positive_data_acceptance",  # a role is a word in the document, and one of few in the rules
}


@pytest.mark.parametrize(
    ("url", "role", "examples"),
    [("sqlite", None, 2), ("sqlite", "viewer", 3), ("sqlite", "owner", 8), ("postgresql", "owner", 5)],
    indirect=["url"],
)
def test_no_request_fails_the_hub(hub, role, examples):
    assert role is None or role in ROLES
    schema = schemathesis.openapi.from_asgi("/openapi.json", hub.app)
    headers = {} if role is None else {"Authorization": f"Bearer {hub.user('drawer', role).token}"}
    checks = [check for check in CHECKS.get_all() if check.__name__ not in _LEFT_OUT]
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(
            generation_mode=GenerationMode.NEGATIVE
        )

        @hypothesis.given(case=strategy)
        @hypothesis.settings(max_examples=examples, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
        def ask(case):
            nonlocal seen
            answer = case.call(headers=headers)
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=checks)
            seen += 1

        ask()
    assert seen > 100
