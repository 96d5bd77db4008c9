"""What a conductor has in hand, when it loses a lease and gets the row again."""

import threading

import pytest
from django.utils import timezone

from conductor.hand import Hand
from conductor.work import Kind
from releases.models import Build
from tests.conftest import eventually
from tests.factories import make_app, make_source, make_user


@pytest.fixture
def hand(transactional_db):
    made = []

    def make(kind):
        hand = Hand([kind], freed=lambda: None)
        hand.start()
        made.append(hand)
        return hand

    yield make
    for hand in made:
        hand.stop()


def test_a_row_that_is_claimed_again_stays_in_hand_when_the_former_turn_ends(hand):
    app = make_app(owner=make_user())
    build = Build.objects.create(app=app, source=make_source(app))
    began, go_on, turns = threading.Event(), threading.Event(), []

    def advance(held):
        turns.append(held)
        if len(turns) == 1:
            began.set()
            go_on.wait(10)
            held.job.record(step=1)  # its lease is lost
        return 60.0

    kind = Kind("build", Build, 1, advance, lambda job, reason: None, turns="build")
    mine = hand(kind)
    first = kind.claim()
    mine.take(first)
    assert began.wait(10)
    Build.objects.filter(pk=build.pk).update(lease_until=timezone.now())
    second = kind.claim()
    mine.take(second)
    go_on.set()
    eventually(lambda: len(turns) == 2)
    assert turns == [first, second]
    assert mine.held() == [second]
