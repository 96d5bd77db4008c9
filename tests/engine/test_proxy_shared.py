"""What both routers do alike: tests of the embedded one, with HAProxy in its place. Those that are not here differ in
how a head is written (names in lower case), or in what docs/decisions/011 lists."""

import pytest

from tests.engine import (
    test_router_balancing,
    test_router_faults,
    test_router_lines,
    test_router_passing,
    test_router_routes,
    test_router_sleep,
)
from tests.engine.proxy_rig import ProxyRig

SHARED = {
    test_router_balancing: [
        "apps_share_a_host_by_their_weights_and_each_keeps_its_own",
        "who_came_once_stays_with_the_app_until_it_is_drained",
        "apps_that_can_not_answer_get_nothing_until_none_can",
        "an_app_without_a_stake_any_more_gets_nothing",
    ],
    test_router_lines: [
        "a_line_tells_all_about_a_request",
        "the_longest_request_makes_a_line_of_ten_thousand_bytes_at_most",
    ],
    test_router_faults: [
        "h13_closed_without_an_answer_is_not_tried_again",
        "h13_also_on_a_connection_that_served_before",
        "a_kept_connection_that_the_backend_closed_is_not_used",
        "h15_an_answer_that_stops_moving",
        "h18_an_answer_that_breaks_off",
        "another_backend_answers_when_one_refuses",
    ],
    test_router_passing: ["a_certificate_authority_is_answered_for_the_app_that_it_asks_about"],
    test_router_routes: [
        "a_host_reaches_its_own_app_only",
        "a_put_replaces_all_that_was_known_of_an_app",
        "a_host_that_moved_to_another_app_stays_there",
        "what_is_in_flight_ends_on_the_old_dyno",
    ],
    test_router_sleep: [
        "a_request_waits_until_the_app_is_up_and_is_answered",
        "a_body_that_came_while_it_waited_arrives_as_a_whole",
        "what_does_not_come_up_is_said_in_time",
        "a_crash_at_the_start_is_said_at_once",
        "only_so_many_wait",
        "maintenance_wakes_nobody",
        "a_tunnel_is_no_quiet",
        "a_release_on_trial_gets_its_share",
        "a_trial_that_ends_ends_what_it_had_under_way",
    ],
}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(module, f"test_{name}", id=f"{module.__name__.rpartition('.')[2]}-{name}")
        for module, names in SHARED.items()
        for name in names
    ],
)
async def test_as_with_the_embedded_router(module, name, monkeypatch):
    monkeypatch.setattr(module, "Rig", ProxyRig)
    await getattr(module, name)()
