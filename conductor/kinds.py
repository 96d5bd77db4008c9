"""The kinds of jobs that conductors move forward, in the order in which they are claimed."""

from django.conf import settings

from addons.models import Addon
from apps.models import CertificateOrder
from blueprints.models import Proposal
from ci.models import TestRun
from conductor import addons, blueprints, flow, hosts, orders, probing, promotions, reviews
from conductor.builds import Builds
from conductor.ci import Tests
from conductor.dynos import Keeper
from conductor.models import NodeRequest
from conductor.nodes import Nodes
from conductor.orders import Orders
from conductor.parts import Parts
from conductor.releases import Releases
from conductor.setups import AT_ONCE as SETUPS_AT_ONCE
from conductor.setups import Setups
from conductor.transfers import Transfers
from conductor.work import Kind
from flow.models import Watch
from forge.models import Report
from pipelines.models import PromotionTarget
from releases.models import Build, Release
from reviews.models import AppSetup, ReviewApp

RELEASES_AT_ONCE = 64
NODES_AT_ONCE = 4


def kinds(
    parts: Parts,
    keeper: Keeper,
    *,
    builds: Builds,
    tests: Tests,
    node_requests: Nodes,
    certificates: Orders,
    transfers: Transfers,
) -> list[Kind]:
    """All of them, with who moves them."""
    releases = Releases(parts, keeper)
    setups = Setups(parts)
    return [
        Kind("review", ReviewApp, reviews.AT_ONCE, reviews.advance, reviews.fail, turns="ask"),
        Kind("setup", AppSetup, SETUPS_AT_ONCE, setups.advance, setups.fail, turns="ask"),
        Kind(
            "promotion",
            PromotionTarget,
            RELEASES_AT_ONCE,
            promotions.advance,
            promotions.fail,
        ),
        probing.Probing(parts, keeper.poke).kind(),
        Kind("release", Release, RELEASES_AT_ONCE, releases.advance, releases.fail, led=True),
        Kind(
            "node",
            NodeRequest,
            NODES_AT_ONCE,
            node_requests.advance,
            node_requests.fail,
            led=True,
            turns="ask",
        ),
        Kind("report", Report, hosts.AT_ONCE, hosts.advance, hosts.fail, turns="ask"),
        Kind(
            "blueprint",
            Proposal,
            blueprints.AT_ONCE,
            blueprints.advance,
            blueprints.fail,
            turns="ask",
        ),
        Kind("addon", Addon, addons.AT_ONCE, addons.advance, addons.fail, led=True, turns="ask"),
        transfers.kind(),
        Kind(
            "test",
            TestRun,
            settings.CI_RUNS,
            tests.advance,
            tests.fail,
            led=True,
            turns="ask",
        ),
        Kind("watch", Watch, flow.WATCHES_AT_ONCE, flow.advance, flow.fail, led=True),
        Kind(
            "order",
            CertificateOrder,
            orders.AT_ONCE,
            certificates.advance,
            certificates.fail,
            led=True,
        ),
        Kind(
            "build",
            Build,
            settings.BUILD_SLOTS,
            builds.advance,
            builds.fail,
            turns="build",
        ),
    ]
