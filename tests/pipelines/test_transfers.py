"""Handing over: at once among one's own, by two people otherwise; and the last word counts."""

import threading

import pytest
from django.db import connection

from accounts import actions as account_actions
from accounts.models import Transfer
from apps import actions as app_actions
from apps import transfers as app_transfers
from apps.models import App, AppTransfer
from core.errors import Conflict, Forbidden, NotFound, Refusal
from core.models import Event
from pipelines import transfers
from pipelines.models import Pipeline, PipelineTransfer
from tests.conftest import eventually
from tests.factories import couple, make_app, make_pipeline

State = Transfer.State


@pytest.fixture
def offered(shop, alice, bob):
    return transfers.hand_over(shop, bob, by=alice)


def test_nothing_changes_hands_before_it_is_accepted(shop, team, offered, bob):
    assert (offered.state, offered.recipient) == ("pending", bob)
    assert Pipeline.objects.get().team == team
    assert transfers.waiting_for(bob) == [offered]
    transfers.accept(offered, by=bob)
    assert Pipeline.objects.get().user == bob
    assert set(App.objects.values_list("user", flat=True)) == {bob.pk}
    assert PipelineTransfer.objects.get().state == "accepted"
    assert transfers.waiting_for(bob) == []


def test_between_ones_own_it_is_at_once(shop, alice):
    others = account_actions.create_team("others", by=alice)
    for owner in (alice, others):
        assert transfers.hand_over(shop, owner, by=alice) is None
        assert Pipeline.objects.get().owner == owner
    assert not PipelineTransfer.objects.exists()


def test_declined_and_withdrawn_offers_leave_all_as_it_was(shop, team, alice, bob):
    for end, by, state in ((transfers.decline, bob, "declined"), (transfers.withdraw, alice, "withdrawn")):
        transfer = transfers.hand_over(shop, bob, by=alice)
        end(transfer, by=by)
        transfer.refresh_from_db()
        assert (transfer.state, Pipeline.objects.get().team) == (state, team)
        with pytest.raises(Conflict, match=f"has been {state} already"):
            transfers.accept(transfer, by=bob)
        assert Pipeline.objects.get().team == team


def test_only_who_it_is_offered_to_takes_it_and_only_managers_take_it_back(shop, offered, alice, vera, bob):
    for user in (alice, vera):
        for act in (transfers.accept, transfers.decline):
            with pytest.raises(NotFound):
                act(offered, by=user)
    with pytest.raises(Forbidden):
        transfers.withdraw(offered, by=bob)
    assert transfers.transfer_for(bob, offered.pk) == offered
    with pytest.raises(NotFound):
        transfers.transfer_for(vera, offered.pk)


def test_one_offer_at_a_time(shop, offered, alice, charlie):
    with pytest.raises(Conflict, match="shop is offered to somebody already"):
        transfers.hand_over(shop, charlie, by=alice)
    assert PipelineTransfer.objects.count() == 1


def test_an_offer_of_who_lost_the_right_is_void(shop, team, offered, alice, bob, vera):
    account_actions.set_role(team, vera, "admin", by=alice)
    account_actions.set_role(team, alice, "member", by=vera)
    with pytest.raises(Conflict, match="Alice Liddell does not manage shop any more"):
        transfers.accept(offered, by=bob)
    assert Pipeline.objects.get().team == team
    transfers.decline(offered, by=bob)


def test_an_app_of_others_that_came_in_later_stops_it(shop, team, offered, alice, bob, charlie):
    app = make_app("charlies", owner=charlie)
    couple(app, shop, "staging", by=alice)
    with pytest.raises(Refusal, match="does not manage charlies"):
        transfers.accept(offered, by=bob)
    assert App.objects.get(name="charlies").user == charlie
    assert Pipeline.objects.get().team == team
    with pytest.raises(Refusal, match="does not manage charlies"):
        transfers.hand_over(shop, charlie, by=alice)


def test_another_owner_ends_what_is_offered(shop, offered, alice, bob, charlie):
    app = App.objects.get(name="shop-staging")
    app_offer = app_transfers.hand_over(app, charlie, by=alice)
    assert transfers.hand_over(shop, alice, by=alice) is None
    assert set(PipelineTransfer.objects.values_list("state", flat=True)) == {"withdrawn"}
    assert AppTransfer.objects.get(pk=app_offer.pk).state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn already"):
        transfers.accept(offered, by=bob)


def test_an_app_is_handed_over_the_same_way(team, alice, charlie):
    app = make_app("lonely", owner=team)
    transfer = app_transfers.hand_over(app, charlie, by=alice)
    assert transfers.waiting_for(charlie) == [transfer] == transfers.offered_by(alice)
    assert app_transfers.open_for(app) == transfer
    transfers.accept(transfer, by=charlie)
    assert App.objects.get().user == charlie
    assert app_transfers.hand_over(App.objects.get(), charlie, by=charlie) is None
    assert app_transfers.open_for(app) is None


def test_a_destroyed_app_is_no_gift(team, alice, charlie):
    app = make_app("lonely", owner=team)
    transfer = app_transfers.hand_over(app, charlie, by=alice)
    app_actions.destroy_app(app, confirm="lonely", by=alice)
    assert transfers.waiting_for(charlie) == []
    with pytest.raises(NotFound):
        transfers.accept(transfer, by=charlie)


def test_every_step_leaves_an_event(shop, offered, alice, bob):
    transfers.decline(offered, by=bob)
    transfers.accept(transfers.hand_over(shop, bob, by=alice), by=bob)
    rows = Event.objects.filter(object_id=str(shop.pk)).order_by("at").values_list("actor", "verb")
    assert list(rows)[1:] == [
        ("alice@example.com", "offered"),
        ("bob@example.com", "declined"),
        ("alice@example.com", "offered"),
        ("bob@example.com", "accepted"),
        ("bob@example.com", "transferred"),
    ]


@pytest.mark.django_db(transaction=True)
def test_the_recipient_is_told_by_mail_where_there_is_a_mail_server(alice, bob, settings, mailoutbox):
    alice.name = "Alice\r\nBcc: all@example.com"
    pipeline = make_pipeline("shop", owner=alice)
    settings.MAIL = False
    transfers.withdraw(transfers.hand_over(pipeline, bob, by=alice), by=alice)
    settings.MAIL = True
    transfers.hand_over(pipeline, bob, by=alice)
    eventually(lambda: mailoutbox)
    [mail] = mailoutbox
    assert (mail.to, mail.subject) == (["bob@example.com"], "Alice Bcc: all@example.com offers you shop")
    assert f"{settings.URL}/transfers/" in mail.body


@pytest.mark.django_db(transaction=True)
def test_of_accepting_and_withdrawing_at_once_one_counts(alice, bob):
    pipeline = make_pipeline("shop", owner=alice)
    for _ in range(5):
        transfer = transfers.hand_over(pipeline, bob, by=alice)
        start, said = threading.Barrier(2), []

        def do(act, by, transfer=transfer, start=start, said=said):
            mine = PipelineTransfer.objects.get(pk=transfer.pk)
            start.wait()
            try:
                act(mine, by=by)
                said.append(act.__name__)
            except Refusal:
                said.append("too late")
            finally:
                connection.close()

        threads = [
            threading.Thread(target=do, args=(transfers.accept, bob)),
            threading.Thread(target=do, args=(transfers.withdraw, alice)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipeline.refresh_from_db()
        state = PipelineTransfer.objects.get(pk=transfer.pk).state
        assert sorted(said) in (["accept", "too late"], ["too late", "withdraw"])
        assert (pipeline.user == bob) == (state == "accepted") == ("accept" in said)
        if pipeline.user == bob:
            transfers.accept(transfers.hand_over(pipeline, alice, by=bob), by=alice)
            pipeline.refresh_from_db()
