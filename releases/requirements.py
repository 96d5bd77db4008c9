"""What the code of a release says in its app.json that it can't do without."""

from apps.models import App, ConfigVar
from releases import app_json
from releases.models import Manifest, Release


def missing_required(release: Release, target: App) -> list[str]:
    """The config vars that the app.json of `release` requires and `target` lacks, by name: the values that it
    suggests are given to new apps only. Two queries."""
    found = Manifest.objects.filter(slug=release.slug_id).first() if release.slug_id else None
    if found is None:
        return []
    have = set(ConfigVar.objects.filter(app=target).values_list("key", flat=True))
    return [key for key in app_json.read(found.app_json).required if key not in have]
