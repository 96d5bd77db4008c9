"""Lines between stages: gates, what passes them, holds and freezes."""

from django.urls import path

from dashboard.views import freezes, holds, lines, passages

PIPELINE, STAGE = "pipelines/<slug:name>/", "pipelines/<slug:name>/stages/<slug:stage_name>/"
PASSAGE = PIPELINE + "passages/<uuid:passage_id>/"

urlpatterns = [
    path(STAGE + "line/", lines.line, name="line"),
    path(STAGE + "passages/", lines.history, name="line-passages"),
    path(STAGE + "gates/new/<slug:kind>/", lines.new_gate, name="gate-new"),
    path(STAGE + "gates/", lines.add_gate, name="gates"),
    path(STAGE + "gates/<uuid:gate_id>/", lines.gate, name="gate"),
    path(STAGE + "gates/<uuid:gate_id>/removal/", lines.remove_gate, name="gate-removal"),
    path(PASSAGE, passages.show, name="passage"),
    path(PASSAGE + "changes/", passages.changes, name="passage-changes"),
    path(PASSAGE + "approval/", passages.approve, name="passage-approval"),
    path(PASSAGE + "refusal/", passages.refuse, name="passage-refusal"),
    path(PASSAGE + "verdict/removal/", passages.take_back, name="passage-verdict-removal"),
    path(PASSAGE + "promotion/", passages.let_pass, name="passage-promotion"),
    path(PASSAGE + "reopening/", passages.reopen, name="passage-reopening"),
    path(PASSAGE + "gates/<uuid:gate_id>/probes/", passages.probe, name="passage-probes"),
    path(PIPELINE + "holds/new/", holds.new, name="hold-new"),
    path(PIPELINE + "holds/", holds.hold, name="holds"),
    path(PIPELINE + "holds/<uuid:hold_id>/lifting/", holds.lift, name="hold-lifting"),
    path(PIPELINE + "freezes/", freezes.index, name="freezes"),
    path(PIPELINE + "freezes/<uuid:freeze_id>/removal/", freezes.remove, name="freeze-removal"),
]
