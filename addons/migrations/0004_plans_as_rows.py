import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("addons", "0003_named_plans")]

    operations = [
        migrations.RemoveField("addon", "old_service"),
        migrations.RemoveField("addon", "old_plan"),
        migrations.AlterField(
            "addon",
            "plan",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="addons", to="addons.plan"
            ),
        ),
    ]
