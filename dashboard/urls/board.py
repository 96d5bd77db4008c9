"""The board, its cards, and promotions."""

from django.urls import path

from dashboard.views import board, promotions

urlpatterns = [
    path("pipelines/<slug:name>/", board.board, name="board"),
    path("pipelines/<slug:name>/couplings/new/", board.new_coupling, name="coupling-new"),
    path("pipelines/<slug:name>/couplings/", board.couple, name="couplings"),
    path("pipelines/<slug:name>/couplings/<slug:app_name>/", board.coupling, name="coupling"),
    path("pipelines/<slug:name>/couplings/<slug:app_name>/stage/", board.move, name="coupling-stage"),
    path(
        "pipelines/<slug:name>/couplings/<slug:app_name>/removal/",
        board.uncouple,
        name="coupling-removal",
    ),
    path("pipelines/<slug:name>/promotions/new/", promotions.new, name="promotion-new"),
    path("pipelines/<slug:name>/promotions/", promotions.create, name="promotions"),
    path("pipelines/<slug:name>/promotions/<uuid:promotion_id>/", promotions.show, name="promotion"),
    path(
        "pipelines/<slug:name>/promotions/<uuid:promotion_id>/stop/", promotions.stop, name="promotion-stop"
    ),
    path("apps/<slug:name>/card/", board.card, name="card"),
    path("apps/<slug:name>/card/menu/", board.card_menu, name="card-menu"),
    path("apps/<slug:name>/card/targets/", board.card_targets, name="card-targets"),
]
