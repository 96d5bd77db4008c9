"""A load balancer and the conductor: it is made, and the router follows its weights."""

from addons import catalog
from addons.models import Addon
from apps.models import App
from pipelines import balancing, default_addons
from pipelines.models import Balancer
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, stage


def test_the_router_follows_what_the_balancer_s_page_says(platform, team, alice):
    shop = make_pipeline("shop", owner=team)
    app = make_app("shop-production", owner=team, stage=stage(shop, "production"))
    platform.deployed(app, alice)
    default_addons.share(shop, catalog.plan_called("loadbalancer"), stage=stage(shop, "production"), by=alice)
    route = platform.router.routes
    eventually(lambda: Addon.objects.get().state == "provisioned")
    (stake,) = eventually(lambda: route[str(app.pk)].stakes)
    assert (stake.host, stake.weight, stake.sticky) == (Balancer.objects.get().host, 100, False)
    addon = Addon.objects.whole().get()
    balancing.adjust(addon, {"shop-production": "30"}, sticky=True, by=alice)
    eventually(lambda: [(s.weight, s.sticky) for s in route[str(app.pk)].stakes] == [(30, True)])
    default_addons.stop_sharing(addon, by=alice)
    eventually(lambda: not route[str(app.pk)].stakes)
    assert App.objects.get(pk=app.pk).attachments.count() == 0
