from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("releases", "0008_source_origin"),
    ]

    operations = [
        migrations.AddField(
            model_name="build",
            name="command",
            field=models.CharField(blank=True, help_text="Run after the buildpacks.", max_length=500),
        ),
        migrations.AddField(
            model_name="release",
            name="inherited_keys",
            field=models.JSONField(
                default=list, help_text="Config vars whose values its stage or pipeline gave."
            ),
        ),
    ]
