"""What people did, as lines in the log of their app: "Scaled to web@2:Standard-1X by user …"."""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from conductor.models import Place
from conductor.parts import Parts
from core.models import Event

_NAME, KEPT = "notes", 200
OVERLAP = timedelta(seconds=30)  # an event's time is when it was made, not when it was committed


class Notes:
    """Follows the events of apps, from the start of this conductor on. One of several conductors writes down how far it
    has come, for whoever takes over: an event may then be told of twice, and none is left out."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._since = timezone.now()
        self.last = self._since  # the time of the newest event that was written
        self._written: dict[UUID, datetime] = {}  # {what was written and is looked at still: its time}

    def resume(self) -> None:
        """Go on where another conductor stopped."""
        place = Place.objects.filter(name=_NAME).first() if self._parts.crew.shared else None
        if place is not None:
            self._since = place.at
            self._written |= dict.fromkeys(map(UUID, place.done), timezone.now())

    def write(self) -> None:
        """Write the lines of events that came since the last call."""
        news = False
        for event in Event.objects.filter(at__gte=self._since, app_id__isnull=False).order_by("at"):
            if event.pk in self._written:
                continue
            self._written[event.pk] = event.at
            self.last, news = max(self.last, event.at), True
            if lines := lines_of(event):
                self._parts.say(f"app/{event.app_id}", *lines)
        self._since = max(self._since, timezone.now() - OVERLAP)
        self._written = {pk: at for pk, at in self._written.items() if at >= self._since}
        if self._parts.crew.shared and news:
            done = [str(pk) for pk in list(self._written)[-KEPT:]]
            Place.objects.update_or_create(name=_NAME, defaults={"at": self._since, "done": done})


def lines_of(event: Event) -> list[str]:
    """How the log tells of an event, in Heroku's words where it has some."""
    by = f"by user {event.actor}" if event.by_id else "by the platform"
    details = event.details
    match event.verb:
        case "started a build of":
            return [f"Build started {by}"]
        case "released":
            return [f"{details.get('what', 'Release')} {by}", f"Release {event.label} created {by}"]
        case "scaled":
            after = details.get("after", {})
            why = f": {details['what']}" if details.get("what") else ""
            return [f"Scaled to {' '.join(_size(text) for text in after.values())} {by}{why}"]
        case "restarted":
            return [f"Restart of {details.get('dyno', 'all')} asked {by}"]
        case "turned maintenance on for":
            return [f"Maintenance mode enabled {by}"]
        case "turned maintenance off for":
            return [f"Maintenance mode disabled {by}"]
        case "woke":
            return [f"Unidling {by}"]
    return []


def _size(text: str) -> str:
    """`web=2:standard-1x` as `web@2:Standard-1X`."""
    type, _, rest = text.partition("=")
    quantity, _, size = rest.partition(":")
    return f"{type}@{quantity}:{size.title()}"
