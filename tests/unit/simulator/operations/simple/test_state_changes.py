"""Changes of state that a table describes."""

import pytest


@pytest.mark.parametrize(
    ("path", "data", "operation", "state", "events"),
    [
        (
            "/billing/meters",
            {"display_name": "Calls", "event_name": "calls", "default_aggregation[formula]": "sum"},
            "deactivate", "inactive", ["billing.meter.created", "billing.meter.deactivated"],
        ),
        ("/billing/alerts", {"title": "Much", "alert_type": "usage_threshold"}, "archive", "archived", []),
        (
            "/identity/verification_sessions", {"type": "document"}, "cancel", "canceled",
            ["identity.verification_session.created", "identity.verification_session.canceled"],
        ),
    ],
)  # fmt: skip
def test_simple_changes_of_state(post, types, path, data, operation, state, events):
    new_object = post(path, **data)
    changed = post(f"{path}/{new_object['id']}/{operation}")
    assert changed["status"] == state
    assert types() == events
    assert f"has a status of {state}" in post(f"{path}/{new_object['id']}/{operation}", 400)["message"]
