from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ci", "0002_what_was_uploaded"),
    ]

    operations = [
        migrations.AddField(
            model_name="testrun",
            name="has_cache",
            field=models.BooleanField(
                default=False,
                help_text="While it builds with its pipeline's cache, which one run has at a time.",
            ),
        ),
        migrations.AddConstraint(
            model_name="testrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("has_cache", True)),
                fields=("pipeline",),
                name="one_test_run_has_the_cache",
            ),
        ),
    ]
