from engine.plan import Plan, plan
from engine.spec import DynoState, ProcessSpec


def spec(id, dyno="web.1"):
    return ProcessSpec(id=id, app="a", dyno=dyno, command="true", slug="sha256:0", env={}, slot=1)


def found(id, state):
    return DynoState(id=id, dyno="web.1", state=state)


def test_what_is_missing_is_started():
    wanted = [spec("1"), spec("2", "web.2")]
    assert plan(wanted, []) == Plan(start=tuple(wanted), stop=(), forget=())


def test_what_is_there_is_left_alone():
    assert plan([spec("1"), spec("2")], [found("1", "up"), found("2", "starting")]) == Plan((), (), ())


def test_what_is_not_wanted_is_stopped():
    states = [found("1", "up"), found("2", "starting"), found("3", "up")]
    assert plan([spec("3")], states) == Plan(start=(), stop=("1", "2"), forget=())


def test_what_has_ended_is_not_started_again_under_the_same_id():
    assert plan([spec("1")], [found("1", "crashed")]) == Plan((), (), ())


def test_what_has_ended_and_is_not_wanted_is_forgotten():
    states = [found("1", "crashed"), found("2", "down")]
    assert plan([spec("3")], states) == Plan(start=(spec("3"),), stop=(), forget=("1", "2"))


def test_a_new_start_of_the_same_dyno_replaces_the_old_one():
    assert plan([spec("new")], [found("old", "up")]) == Plan(start=(spec("new"),), stop=("old",), forget=())
