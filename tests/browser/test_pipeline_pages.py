"""A pipeline's pages in a browser: stages dragged and unfolded, activity filtered without a reload."""


def titles(page):
    return page.eval_on_selector_all(
        ".stage-slot summary h2", "all => all.map(one => one.firstChild.textContent)"
    )


def test_a_stage_is_dragged_to_another_place(open_page):
    page = open_page("/pipelines/shop/settings/", height=1200)
    assert titles(page) == ["Review apps", "Development", "Staging", "Production"]
    grip, place = page.locator("#stage-staging [data-grip]"), page.locator("#stage-development summary")
    with page.expect_navigation():
        grip.drag_to(place, target_position={"x": 200, "y": 4})
    assert titles(page) == ["Review apps", "Staging", "Development", "Production"]
    with page.expect_navigation():
        page.locator("#stage-staging button[value=down]").click()
    assert titles(page) == ["Review apps", "Development", "Staging", "Production"]
    assert page.complaints == []


def test_a_stage_unfolds_into_its_form_and_takes_a_default(open_page):
    page = open_page("/pipelines/shop/settings/", width=390)
    page.locator("#stage-development summary").click()
    page.locator("#stage-development [name=health_path]").wait_for()
    assert not page.locator("#stage-development .named").is_visible()
    page.get_by_label("Named people").check()
    assert page.locator("#stage-development .named").is_visible()
    page.fill("#stage-development [name=key]", "GREETING")
    page.fill("#stage-development [name=value]", "hunter2")
    page.locator("#stage-development").get_by_role("button", name="Set", exact=True).click()
    page.get_by_role("button", name="Reveal GREETING").wait_for()
    assert "hunter2" not in page.content()
    page.get_by_role("button", name="Reveal GREETING").click()
    page.get_by_text("hunter2").wait_for()
    page.get_by_role("button", name="Remove GREETING").click()
    page.get_by_text("GREETING is gone from Development").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []


def test_the_activity_is_filtered_in_place_and_exported_as_it_is_shown(open_page):
    page = open_page("/pipelines/shop/activity/")
    page.get_by_text("created shop", exact=False).first.wait_for()
    page.get_by_text("Promotions", exact=True).click()
    page.wait_for_url("**/activity/?*about=promotions*")
    page.get_by_text("created shop", exact=False).first.wait_for(state="detached")
    page.locator("#found summary").first.click()
    assert page.locator("#found .audit__detail").first.is_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert download.value.suggested_filename.startswith("shop-activity-")
    assert len(lines) > 1 and all(",promoted," in line for line in lines[1:])
    assert page.complaints == []
