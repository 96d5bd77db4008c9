"""Everybody who is here already has the address they sign in with: note it where allauth looks."""

from django.db import migrations
from django.db.migrations.state import StateApps


def note(apps: StateApps, schema_editor: object) -> None:
    User = apps.get_model("accounts", "User")
    EmailAddress = apps.get_model("account", "EmailAddress")
    known = set(EmailAddress.objects.values_list("user_id", flat=True))
    people = User.objects.exclude(email="").values_list("pk", "email").iterator()
    EmailAddress.objects.bulk_create(
        (
            EmailAddress(user_id=pk, email=email, primary=True, verified=True)
            for pk, email in people
            if pk not in known
        ),
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_invitations_and_limits"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]
    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
