"""Ordering add-ons, changing and giving them up: what apps get of them, and what is refused."""

import pytest

from addons import actions, attachments, catalog
from addons.models import Addon, AddonService, Attachment, Plan
from apps.actions import destroy_app
from apps.models import ConfigVar
from conductor import addons as job
from conductor import audit_addons
from conductor.work import Held, Kind, run
from core.errors import Conflict, EngineError, Refusal
from core.models import Event
from releases.actions import replace_config, rollback, set_config
from releases.models import Release
from tests.factories import make_app, make_release

KIND = Kind("addon", Addon, 1, job.advance, job.fail)
PG = "heroku-postgresql"


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


@pytest.fixture
def other(alice):
    return make_app("shop-other", owner=alice)


def work():
    """Do what the conductor would, until nothing is due."""
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def order(app, by, plan=PG, **asked):
    addon = actions.provision(app, catalog.plan_called(plan), by=by, **asked)
    work()
    return Addon.objects.whole().filter(pk=addon.pk).first()


def newest(app):
    return Release.objects.filter(app=app).order_by("-version").first()


def test_the_config_var_comes_with_one_release_once_it_is_there(app, alice, shelf):
    addon = actions.provision(app, catalog.plan_called(PG), by=alice)
    assert addon.state == "provisioning" and app.attachments.get().name == "DATABASE"
    assert not ConfigVar.objects.filter(app=app).exists() and newest(app).version == 1
    work()
    addon.refresh_from_db()
    release = newest(app)
    assert (addon.state, addon.status, addon.message) == ("provisioned", "succeeded", "It is on the shelf.")
    assert release.version == 2 and release.description == f"Attach DATABASE (@ref:{addon.name})"
    assert release.kind == "addon" and release.addon_plans == ["heroku-postgresql:essential-0"]
    assert release.config == {"DATABASE_URL": f"shelf://{addon.secret}@{addon.pk}"}
    assert release.attached_keys == ["DATABASE_URL"]


def test_a_second_one_has_a_colour(app, alice, shelf):
    order(app, alice)
    order(app, alice)
    first, second = app.attachments.order_by("created_at")
    assert first.name == "DATABASE" and second.name.startswith("HEROKU_POSTGRESQL_")
    assert newest(app).config.keys() == {"DATABASE_URL", f"{second.name}_URL"}


def test_a_provider_that_is_not_ready_is_asked_again(app, alice, shelf):
    shelf.slow = 1
    addon = actions.provision(app, catalog.plan_called(PG), by=alice)
    held = Held(KIND, Addon.objects.all().claim())
    assert run(held) == job.NOT_READY
    assert Addon.objects.get(pk=addon.pk).state == "provisioning"
    assert run(held) is None
    assert Addon.objects.get(pk=addon.pk).state == "provisioned"


def test_what_fails_says_why_and_leaves_nothing_behind(app, alice, shelf):
    shelf.broken = EngineError("The shelf is full.", permanent=True)
    addon = order(app, alice)
    assert (addon.state, addon.message) == ("failed", "The shelf is full.")
    assert shelf.holds() == set() and newest(app).version == 1
    shelf.broken = None
    actions.try_again(addon, by=alice)
    work()
    assert Addon.objects.get(pk=addon.pk).state == "provisioned" and newest(app).version == 2


def test_a_passing_fault_is_tried_again(app, alice, shelf):
    shelf.broken = EngineError("Not now.")
    addon = order(app, alice)
    assert addon.state == "provisioning" and addon.status == "running" and addon.wake_at
    shelf.broken = None
    Addon.objects.update(wake_at=None)
    work()
    assert Addon.objects.get().state == "provisioned"


def test_what_is_unavailable_is_refused_with_the_reason(app, alice, shelf):
    shelf.absent = "There is no room on the shelf."
    with pytest.raises(Refusal, match="There is no room on the shelf"):
        order(app, alice)
    assert not Addon.objects.exists()


def test_an_owned_config_var_cannot_be_set_by_hand(app, alice, shelf):
    addon = order(app, alice)
    for value in ("mine", None):
        with pytest.raises(Refusal, match=f"set by the add-on {addon.name}"):
            set_config(app, {"DATABASE_URL": value, "A": "1"}, by=alice)
    assert newest(app).version == 2


def test_replacing_all_config_keeps_what_add_ons_set(app, alice, shelf):
    from apps import config_vars

    order(app, alice)
    set_config(app, {"A": "1"}, by=alice)
    replace_config(app, {"B": "2"}, by=alice, seen=config_vars.stamp(app))
    assert newest(app).config.keys() == {"B", "DATABASE_URL"}


def test_a_rollback_leaves_the_database_of_today(app, alice, shelf):
    set_config(app, {"A": "1"}, by=alice)
    Release.objects.update(status="succeeded")
    old = newest(app)
    Release.objects.filter(pk=old.pk).update(slug=app.releases.get(version=1).slug)
    addon = order(app, alice)
    set_config(app, {"A": "2"}, by=alice)
    old.refresh_from_db()
    rollback(app, old, by=alice)
    assert newest(app).config == {"A": "1", "DATABASE_URL": f"shelf://{addon.secret}@{addon.pk}"}


def test_a_name_that_is_set_by_hand_is_kept_unless_it_is_confirmed(app, alice, shelf):
    set_config(app, {"DATABASE_URL": "mine"}, by=alice)
    addon = order(app, alice)
    assert addon.attachments.get().name.startswith("HEROKU_POSTGRESQL_")
    with pytest.raises(Refusal, match="is taken by DATABASE_URL") as refused:
        attachments.attach(addon, app, as_="database", by=alice)
    assert refused.value.id == "confirmation_required"
    attachments.attach(addon, app, as_="database", confirm="shop", by=alice)
    assert newest(app).config["DATABASE_URL"].startswith("shelf://")


def test_the_release_of_a_promotion_says_what_gave_way(app, alice, shelf):
    first, second = order(app, alice), order(app, alice)
    attachments.promote(second, app, by=alice)
    said = f"Attach DATABASE (@ref:{second.name}); Detach DATABASE (@ref:{first.name})"
    assert newest(app).description == said


def test_attach_and_detach_are_one_release_each(app, other, alice, shelf):
    addon = order(app, alice)
    attachment = attachments.attach(addon, other, as_="SHARED", by=alice)
    assert newest(other).description == f"Attach SHARED (@ref:{addon.name})"
    assert newest(other).config == {"SHARED_URL": newest(app).config["DATABASE_URL"]}
    attachments.detach(attachment, by=alice)
    assert newest(other).description == f"Detach SHARED (@ref:{addon.name})"
    assert newest(other).config == {} and newest(other).version == 2
    with pytest.raises(Refusal, match="last attachment"):
        attachments.detach(app.attachments.get(), by=alice)


def test_two_things_cannot_have_one_name(app, other, alice, shelf):
    addon = order(app, alice)
    own = order(other, alice)
    with pytest.raises(Refusal, match=f"DATABASE of shop-other is taken by {own.name}"):
        attachments.attach(addon, other, as_="DATABASE", by=alice)
    twin = Attachment(app=other, addon=addon, name="DATABASE")
    with pytest.raises(Conflict):
        attachments.save(twin)


def test_promote_moves_the_name_and_keeps_the_other(app, alice, shelf):
    first, second = order(app, alice), order(app, alice)
    spare = second.attachments.get().name
    attachments.promote(second, app, by=alice)
    config = newest(app).config
    assert str(second.pk) in config["DATABASE_URL"] and str(second.pk) in config[f"{spare}_URL"]
    assert first.attachments.get().name.startswith("HEROKU_POSTGRESQL_")
    assert str(first.pk) in config[f"{first.attachments.get().name}_URL"]
    with pytest.raises(Refusal, match="already"):
        attachments.promote(second, app, by=alice)


def test_a_plan_goes_up_and_down(app, alice, shelf):
    addon = order(app, alice)
    for plan in ("standard-0", "mini"):
        actions.change_plan(addon, catalog.plan_called(plan, service=addon.service), by=alice)
        with pytest.raises(Conflict):
            actions.change_plan(addon, catalog.plan_called(f"{PG}:basic"), by=alice)
        work()
        addon.refresh_from_db()
        assert (addon.plan.name, addon.state, shelf.read(addon.pk)["plan"]) == (plan, "provisioned", plan)
    assert newest(app).version == 2


def test_a_plan_that_cannot_be_had_leaves_the_old_one(app, alice, shelf):
    addon = order(app, alice)
    shelf.broken = EngineError("No room.", permanent=True)
    actions.change_plan(addon, catalog.plan_called(f"{PG}:basic"), by=alice)
    work()
    addon.refresh_from_db()
    assert (addon.plan.name, addon.state, addon.message) == ("essential-0", "provisioned", "No room.")


@pytest.mark.parametrize("plan", ["heroku-redis:mini", f"{PG}:essential-0"])
def test_other_plans_are_refused(app, alice, shelf, plan):
    addon = order(app, alice)
    with pytest.raises(Refusal):
        actions.change_plan(addon, catalog.plan_called(plan), by=alice)


def test_destroy_takes_the_var_at_once_and_then_the_thing(app, alice, shelf):
    addon = order(app, alice)
    with pytest.raises(Refusal, match="type its name"):
        actions.destroy(addon, confirm="shop", by=alice)
    actions.destroy(addon, confirm=addon.name, by=alice)
    assert newest(app).config == {} and newest(app).description == f"Detach DATABASE (@ref:{addon.name})"
    assert shelf.holds() == {str(addon.pk)}
    work()
    assert shelf.holds() == set() and not Addon.objects.exists()
    assert "destroyed" in Event.objects.filter(kind="addon").values_list("verb", flat=True)


def test_destroy_while_attached_elsewhere_needs_force(app, other, alice, shelf):
    addon = order(app, alice)
    attachments.attach(addon, other, by=alice)
    with pytest.raises(Refusal, match="shop-other"):
        actions.destroy(addon, confirm=addon.name, by=alice)
    actions.destroy(addon, confirm=addon.name, force=True, by=alice)
    assert newest(other).config == {} and newest(app).config == {}


def test_destroy_while_it_is_made_leaves_nothing(app, alice, shelf):
    addon = actions.provision(app, catalog.plan_called(PG), by=alice)
    held = Held(KIND, Addon.objects.all().claim())
    made, provision = [], shelf.provision

    def interrupted(order):
        made.append(provision(order))
        actions.destroy(addon, confirm=addon.name, by=alice)
        return made[-1]

    shelf.provision = interrupted
    run(held)
    work()
    assert made and shelf.holds() == set() and not Addon.objects.exists()
    assert newest(app).config == {}


def test_a_worker_without_the_lease_writes_nothing(app, alice, shelf):
    addon = actions.provision(app, catalog.plan_called(PG), by=alice)
    late = Held(KIND, Addon.objects.all().claim())
    Addon.objects.update(lease_until=None)
    run(Held(KIND, Addon.objects.all().claim()))
    assert newest(app).version == 2
    run(late)
    assert newest(app).version == 2 and Addon.objects.get(pk=addon.pk).state == "provisioned"


def test_a_rename_goes_along_to_the_config_vars(app, alice, shelf):
    addon = order(app, alice)
    actions.rename(addon, "orders-db", by=alice)
    assert ConfigVar.objects.get(app=app, key="DATABASE_URL").origin == "orders-db"
    for bad in ("9lives", "a b", "orders-db"):
        with pytest.raises(Refusal):
            actions.rename(order(app, alice), bad, by=alice)


def test_credentials_are_made_attached_rotated_and_dropped(app, other, alice, shelf):
    addon = order(app, alice)
    actions.create_credential(addon, "reader", by=alice)
    work()
    addon.refresh_from_db()
    attachments.attach(addon, other, credential="reader", by=alice)
    assert newest(other).config["DATABASE_URL"] == f"shelf://reader:0@{addon.pk}"
    actions.create_credential(addon, "reader", by=alice)
    work()
    assert newest(other).config["DATABASE_URL"] == f"shelf://reader:1@{addon.pk}"
    assert newest(other).skips_phase and newest(app).version == 2
    with pytest.raises(Refusal, match="shop-other uses"):
        actions.drop_credential(addon, "reader", by=alice)
    with pytest.raises(Refusal, match="no credential"):
        attachments.attach(addon, other, credential="writer", by=alice)


def test_no_secret_is_in_the_activity_or_in_the_clear_in_rows(app, alice, shelf):
    addon = order(app, alice)
    rows = [list(model.objects.values()) for model in (Addon, Event, ConfigVar, Release)]
    assert addon.secret not in str(rows) and addon.secret not in repr(job.order_of(addon))


def test_operators_edits_of_the_catalog_stay(alice, db):
    plan = Plan.objects.get(service__name=PG, name="basic")
    plan.price_cents = 100
    actions.edit_catalog(plan, changed=["price_cents"], by=alice)
    other = Plan.objects.get(service__name=PG, name="mini")
    Plan.objects.filter(pk=other.pk).update(price_cents=1)
    catalog.load()
    plan.refresh_from_db()
    other.refresh_from_db()
    assert (plan.price_cents, other.price_cents) == (100, 500)


def test_a_service_s_bare_name_means_its_default_plan(db):
    assert catalog.plan_called("heroku-redis").name == "mini"
    for service in AddonService.objects.all():
        assert service.plans.filter(default=True).count() == 1, service
    with pytest.raises(Refusal, match=r"^Couldn't find either the add-on"):
        catalog.plan_called("heroku-redis:none")


def test_an_app_that_uses_it_as_release_says_so(app, alice, shelf):
    order(app, alice)
    assert make_release(app, by=alice).addon_plans == ["heroku-postgresql:essential-0"]


def test_a_destroyed_app_takes_its_add_ons_with_it(app, other, alice, shelf):
    addon = order(app, alice)
    attachments.attach(addon, other, as_="SHARED", by=alice)
    destroy_app(app, confirm="shop", by=alice)
    assert not actions.give_up(app) and newest(other).config == {}
    work()
    assert actions.give_up(app) and shelf.holds() == set()


def test_the_auditor_finds_what_is_not_as_add_ons_say(app, alice, shelf):
    addon = order(app, alice)
    checks = (*audit_addons.ROWS, *audit_addons.WORLD)
    assert [found for check in checks for found in check()] == []
    ConfigVar.objects.filter(app=app).update(attachment_id=None)
    (shelf.folder / str(addon.pk)).rename(shelf.folder / "nobody")
    Addon.objects.update(state="changing")
    found = sorted((found.promise, found.message) for check in checks for found in check())
    assert [promise for promise, _ in found] == ["I-09", "I-15", "I-19", "I-19"], found


@pytest.mark.parametrize("point", ["addon.provisioned", "config.snapshot", "release.row"])
def test_an_interruption_while_it_is_made_leaves_one_thing_and_one_release(
    app, alice, shelf, monkeypatch, point
):
    addon = actions.provision(app, catalog.plan_called(PG), by=alice)
    monkeypatch.setenv("FAILPOINTS", f"{point}=error")
    work()
    assert shelf.holds() == {str(addon.pk)} and newest(app).version == 1
    monkeypatch.delenv("FAILPOINTS")
    Addon.objects.update(wake_at=None)
    work()
    assert shelf.holds() == {str(addon.pk)} and newest(app).version == 2
    assert newest(app).config == {"DATABASE_URL": f"shelf://{addon.secret}@{addon.pk}"}


def test_an_interruption_while_it_is_removed_is_made_up_for(app, alice, shelf, monkeypatch):
    addon = order(app, alice)
    actions.destroy(addon, confirm=addon.name, by=alice)
    monkeypatch.setenv("FAILPOINTS", "addon.deprovisioned=error")
    work()
    assert Addon.objects.get().state == "deprovisioning" and newest(app).config == {}
    monkeypatch.delenv("FAILPOINTS")
    Addon.objects.update(wake_at=None)
    work()
    assert not Addon.objects.exists() and shelf.holds() == set()
