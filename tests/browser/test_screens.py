"""Every page as people get it: 1440 and 390 pixels wide, light and dark.

Each is drawn into var/screens/ for looking at, and must fit its window, load all it asks for, say nothing to the
console (a breach of the Content-Security-Policy does), squeeze no words into a column of letters, and pass axe-core in
both themes.
"""

import json
import re

import pytest
from axe_playwright_python.base import AXE_FILE_PATH

from tests.browser.conftest import PATIENCE, ROOT, serve
from tests.pages import Page, to_look_at

SCREENS = ROOT / "var" / "screens"
WIDTHS = {1440: 900, 390: 844}
GRAVE = ("serious", "critical")
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"  # of the machine: a container came or went
AXE = AXE_FILE_PATH.read_text()
SQUEEZED = """() => [...document.querySelectorAll("main *")].filter(one => {
  const words = [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join("");
  const { width, height } = one.getBoundingClientRect();
  return words.length > 6 && width > 0 && width < 30 && height > 80 && getComputedStyle(one).position !== "absolute";
}).map(one => one.textContent.trim().slice(0, 60))"""


class Window:
    """A window of one width in which somebody looks at page after page."""

    def __init__(self, chromium, world, who, width):
        context = chromium.new_context(
            viewport={"width": width, "height": WIDTHS[width]}, color_scheme="light"
        )
        if who:
            context.add_cookies(
                [{"name": world["cookie"], "value": world["sessions"][who], "url": world["url"]}]
            )
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints = []
        self.page.on("console", lambda line: self.hear(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.hear(str(error)))
        self.page.on("requestfailed", lambda request: self.hear(f"{request.url}: {request.failure}"))

    def hear(self, complaint):
        if "net::ERR_ABORTED" not in complaint:  # what the page before still waited for
            self.complaints.append(complaint)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    data = tmp_path_factory.mktemp("world")
    with serve(data, "tests.browser.seed_world") as url:
        yield {"url": url, **json.loads((data / "world.json").read_text())}


@pytest.fixture(scope="module")
def window(chromium, world):
    """`window(who, width)`: the same one each time, since a new one takes long."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    windows = {}

    def find(who, width):
        if (who, width) not in windows:
            windows[who, width] = Window(chromium, world, who, width)
        return windows[who, width]

    yield find
    for one in windows.values():
        one.page.context.close()


@pytest.mark.parametrize("shown", to_look_at(), ids=lambda shown: f"{shown.who}{shown.path}")
def test_it_fits_loads_and_can_be_read(shown, window, world):
    problems = []
    for width in WIDTHS:
        problems += look(shown, window(shown.who, width), world, width)
    assert not problems, "\n".join([shown.path, *problems])


def look(shown: Page, window, world, width):
    """What is wrong with a page at this width; its screens are drawn. Once more where Chromium gave up its requests
    since the machine's network changed meanwhile."""
    for _ in range(3):
        problems = look_once(shown, window, world, width)
        if not any(NETWORK_CHANGED in problem for problem in problems):
            break
    return problems


def look_once(shown: Page, window, world, width):
    page, complaints = window.page, window.complaints
    complaints.clear()
    page.emulate_media(color_scheme="light")
    url = world["url"] + shown.path.format(**world["names"])
    answer = page.goto(url)
    problems = [] if answer.status == shown.status else [f"answers {answer.status}"]
    if page.url != url:
        problems.append(f"leads to {page.url}")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.screenshot(
            path=SCREENS / f"{name_of(shown)}-{width}-{scheme}.jpg", type="jpeg", quality=80, full_page=True
        )
        if width == max(WIDTHS):
            problems += [f"{scheme}: {fault}" for fault in faults(page)]
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        problems.append(f"is {wide} px wide in a window of {width}")
    problems += [f"squeezes “{words}”" for words in page.evaluate(SQUEEZED)]
    expected = f"status of {shown.status}"  # Chromium itself complains of an answer that is an error
    return [*problems, *(one for one in complaints if shown.status == 200 or expected not in one)]


def faults(page):
    """What axe-core takes for serious, each with the first element that it is about."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    grave = [fault for fault in found if fault["impact"] in GRAVE]
    return [
        f"{fault['id']}: {fault['help']}, {len(fault['nodes'])}×, {fault['nodes'][0]['html'][:200]}"
        for fault in grave
    ]


def name_of(shown):
    """A file's name; what stands for a name of the world ends in `_`."""
    path = re.sub(r"{(\w+)}", r"\1_", shown.path.lower())
    words = re.sub(r"[^a-z0-9_]+", "-", path).strip("-") or "home"
    return f"{shown.who or 'door'}-{words}"
