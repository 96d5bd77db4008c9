from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apps", "0012_sleep"),
    ]

    operations = [
        migrations.AddField(
            model_name="app",
            name="build_command",
            field=models.CharField(blank=True, help_text="Run after the buildpacks.", max_length=500),
        ),
        migrations.AddField(
            model_name="configvar",
            name="layer",
            field=models.CharField(
                blank=True,
                choices=[("", "the app"), ("stage", "its stage"), ("pipeline", "its pipeline")],
                editable=False,
                help_text="What the value is inherited from; a value of the app's own replaces it.",
                max_length=8,
            ),
        ),
    ]
