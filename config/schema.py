"""The schema of an empty database, in one go.

Migrations bring a database with data in it along. Played one after the other on an empty one they cost some 15 s of CPU, nearly
all of it for the states in between. So an empty database gets what they add up to at once, and they are noted as applied.
tests/config/test_schema.py plays them too, and compares.
"""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor


def lay_at_once(connection: BaseDatabaseWrapper) -> bool:
    """Give an empty database all that the migrations add up to; says whether it was empty.

    All or nothing: killed in the middle, it leaves the database as empty as it was.
    """
    executor = MigrationExecutor(connection)
    recorder = executor.recorder
    notes = recorder.Migration._meta.db_table
    if recorder.applied_migrations() or set(connection.introspection.table_names()) - {notes}:
        return False
    recorder.ensure_schema()
    models = executor.loader.project_state().apps.get_models()
    with connection.schema_editor() as editor:
        for model in models:
            if model._meta.can_migrate(connection):
                editor.create_model(model)
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
            recorder.record_applied(migration.app_label, migration.name)
    return True
