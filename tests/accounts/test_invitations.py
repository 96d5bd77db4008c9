"""Invitations: single use, bound to an address, never above who made them."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import actions, invitations
from accounts.models import Invitation, Membership, User
from core.errors import Forbidden, NotFound, Refusal
from tests.factories import make_user
from tests.races import at_once


def role(team, user):
    return Membership.objects.filter(team=team, user=user).values_list("role", flat=True).first()


def expire():
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.promise("I-35")
def test_it_is_good_once(team, alice, charlie):
    _, secret = invitations.invite(team, "Charlie@Example.com ", "viewer", by=alice)
    assert invitations.find(secret).email == "charlie@example.com"
    assert secret not in str(Invitation.objects.values())
    invitations.accept(secret, by=charlie)
    assert role(team, charlie) == "viewer"
    assert invitations.find(secret) is None
    actions.remove_member(team, charlie, by=alice)
    with pytest.raises(NotFound):
        invitations.accept(secret, by=charlie)
    assert role(team, charlie) is None


@pytest.mark.promise("I-35")
def test_it_is_for_one_address(team, alice, charlie):
    _, secret = invitations.invite(team, "dana@example.com", "member", by=alice)
    with pytest.raises(Forbidden, match="for dana@"):
        invitations.accept(secret, by=charlie)
    assert role(team, charlie) is None
    assert invitations.find(secret) is not None


@pytest.mark.promise("I-35")
def test_nobody_gives_what_they_have_not(team, alice, bob, vera, charlie):
    for by in (bob, vera, charlie):
        with pytest.raises(Forbidden):
            invitations.invite(team, "dana@example.com", "viewer", by=by)
    with pytest.raises(Refusal):
        invitations.invite(team, "dana@example.com", "owner", by=alice)


@pytest.mark.promise("I-35")
@pytest.mark.parametrize("loss", ["role", "membership", "account"])
def test_it_holds_no_longer_than_the_right_to_make_it(team, alice, bob, charlie, loss):
    actions.set_role(team, bob, "admin", by=alice)
    made, secret = invitations.invite(team, charlie.email, "member", by=bob)
    if loss == "role":
        actions.set_role(team, bob, "member", by=alice)
    elif loss == "membership":
        actions.remove_member(team, bob, by=alice)
    else:
        actions.suspend(bob, by=alice)
    assert invitations.find(secret) is None
    with pytest.raises(NotFound):
        invitations.accept(secret, by=charlie)
    assert role(team, charlie) is None
    made.refresh_from_db()
    assert made.accepted_at is None
    invitations.accept(invitations.renew(made, by=alice), by=charlie)
    assert role(team, charlie) == "member"


def test_one_offer_an_address_until_it_runs_out(team, alice, bob):
    _, first = invitations.invite(team, "dana@example.com", "member", by=alice)
    with pytest.raises(Refusal, match="invitation already"):
        invitations.invite(team, "DANA@example.com", "viewer", by=alice)
    with pytest.raises(Refusal, match="already"):
        invitations.invite(team, bob.email, "viewer", by=alice)
    expire()
    assert invitations.find(first) is None
    _, second = invitations.invite(team, "dana@example.com", "viewer", by=alice)
    assert invitations.find(second).role == "viewer"


def test_a_new_link_voids_the_old(team, alice):
    made, first = invitations.invite(team, "dana@example.com", "member", by=alice)
    expire()
    second = invitations.renew(made, by=alice)
    assert (invitations.find(first), invitations.find(second)) == (None, made)
    invitations.withdraw(made, by=alice)
    assert invitations.find(second) is None
    for verb in (invitations.renew, invitations.withdraw):
        with pytest.raises(Refusal, match="meanwhile"):
            verb(made, by=alice)
    invitations.invite(team, "dana@example.com", "member", by=alice)


def test_it_never_lowers_a_role(team, alice, charlie):
    _, secret = invitations.invite(team, charlie.email, "viewer", by=alice)
    actions.set_role(team, charlie, "member", by=alice)
    invitations.accept(secret, by=charlie)
    assert role(team, charlie) == "member"


def test_it_makes_an_account_in_the_team(team, alice):
    _, secret = invitations.invite(team, "dana@example.com", "member", by=alice)
    with pytest.raises(Refusal, match="too short"):
        invitations.sign_up(secret, name="Dana", password="short")
    dana = invitations.sign_up(secret, name="Dana", password="a fine long password")
    assert (dana.email, role(team, dana), dana.is_staff) == ("dana@example.com", "member", False)
    assert Invitation.objects.get().accepted_by == dana


def test_mails_have_an_end(team, alice, monkeypatch):
    monkeypatch.setattr(invitations, "MOST", 2)
    for name in ("a", "b"):
        invitations.invite(team, f"{name}@example.com", "viewer", by=alice)
    with pytest.raises(Refusal, match="2 invitations wait"):
        invitations.invite(team, "c@example.com", "viewer", by=alice)


def test_a_mail_goes_out_where_mail_is_set_up(team, alice, settings, mailoutbox):
    made, secret = invitations.invite(team, "dana@example.com", "member", by=alice)
    settings.MAIL = False
    assert invitations.send(made, secret) is False
    settings.MAIL = True
    User.objects.filter(pk=alice.pk).update(name="Alice\nBcc: all@example.com")
    assert invitations.send(Invitation.objects.get(), secret) is True
    [mail] = mailoutbox
    assert (mail.to, "\n" in mail.subject) == (["dana@example.com"], False)
    assert f"{settings.URL}/invitations/{secret}/" in mail.body
    settings.EMAIL_BACKEND = "tests.accounts.test_invitations.Broken"
    assert invitations.send(made, secret) is False


def Broken(*args, **kwargs):
    raise ConnectionRefusedError


# --- races ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("I-35")
@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(team, alice, charlie):
    _, secret = invitations.invite(team, charlie.email, "member", by=alice)
    done = at_once(*[lambda: invitations.accept(secret, by=charlie)] * 4)
    assert sorted(type(one).__name__ for one in done) == ["Membership"] + ["NotFound"] * 3
    assert Membership.objects.filter(user=charlie).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_sign_up_at_once_one_does(team, alice):
    _, secret = invitations.invite(team, "dana@example.com", "member", by=alice)
    join = lambda: invitations.sign_up(secret, name="Dana", password="a fine long password")  # noqa: E731
    done = at_once(join, join, join)
    assert sorted(type(one).__name__ for one in done) == ["NotFound", "NotFound", "User"]
    assert User.objects.filter(email="dana@example.com").count() == 1


@pytest.mark.django_db(transaction=True)
def test_accepting_and_withdrawing_at_once_agree(team, alice, charlie):
    for _ in range(4):
        made, secret = invitations.invite(team, charlie.email, "member", by=alice)
        joined, taken_back = at_once(
            lambda: invitations.accept(secret, by=charlie),
            lambda: invitations.withdraw(made, by=alice),
        )
        assert isinstance(joined, Membership) == isinstance(taken_back, Refusal)
        assert role(team, charlie) == ("member" if isinstance(joined, Membership) else None)
        Membership.objects.filter(user=charlie).delete()


@pytest.mark.promise("I-35")
@pytest.mark.django_db(transaction=True)
def test_two_admins_who_leave_at_once_do_not_both(team, alice, bob):
    actions.set_role(team, bob, "admin", by=alice)
    done = at_once(
        lambda: actions.remove_member(team, alice, by=alice),
        lambda: actions.remove_member(team, bob, by=bob),
    )
    assert sum(isinstance(one, Refusal) for one in done) == 1
    assert Membership.objects.filter(team=team, role="admin").count() == 1


# --- the end of accounts ----------------------------------------------------------------------------------------------


def test_an_account_goes_once_nothing_hangs_on_it(shop, team, alice, bob):
    with pytest.raises(Refusal, match="acme has no other admin"):
        actions.delete_user(alice, confirm=alice.email, by=alice)
    actions.set_role(team, bob, "admin", by=alice)
    actions.delete_user(alice, confirm=alice.email, by=alice)
    assert not User.objects.filter(email="alice@example.com").exists()
    assert shop.team == team


def test_an_account_that_owns_something_stays(charlie):
    from tests.factories import make_pipeline

    make_pipeline("mine", owner=charlie)
    with transaction.atomic(), pytest.raises(Refusal, match="You own mine"):
        actions.delete_user(charlie, confirm=charlie.email, by=charlie)
    assert User.objects.filter(pk=charlie.pk).exists()


def test_the_only_operator_stays(alice):
    operator = make_user("root@example.com", is_staff=True, is_superuser=True)
    with pytest.raises(Refusal, match="only operator"):
        actions.delete_user(operator, confirm=operator.email, by=operator)
    make_user("root2@example.com", is_staff=True, is_superuser=True)
    actions.delete_user(operator, confirm=operator.email, by=operator)
