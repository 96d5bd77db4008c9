from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apps", "0011_ephemeral_traffic_and_crashes"),
    ]

    operations = [
        migrations.AddField(
            model_name="app",
            name="asleep_since",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="app",
            name="sleep_minutes",
            field=models.PositiveIntegerField(
                default=0,
                help_text="Without a request for so long, its dynos sleep until the next; 0: never.",
            ),
        ),
        migrations.AddField(
            model_name="app",
            name="woken_at",
            field=models.DateTimeField(
                editable=False, help_text="Empty unless it has ever slept.", null=True
            ),
        ),
    ]
