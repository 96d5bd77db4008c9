"""What people did, as lines in the log of their app."""

from conductor.notes import Notes
from conductor.parts import Parts
from core.models import Event
from engine.logstore import LogStore
from tests.factories import make_app, make_user


def test_each_of_many_events_at_once_is_told_of_once(db, tmp_path):
    logs = LogStore(tmp_path)
    app = make_app(owner=make_user())
    notes = Notes(Parts(None, None, logs, None, tmp_path))
    Event.objects.bulk_create(
        Event(
            actor="slipway",
            through="web",
            verb="woke",
            kind="app",
            object_id=str(number),
            label=app.name,
            app_id=app.pk,
        )
        for number in range(1100)
    )
    for _ in range(3):
        notes.write()
    said = [entry.line.text for entry in logs.read(app.log_stream, limit=5000)]
    assert said.count(b"Unidling by the platform") == 1100
