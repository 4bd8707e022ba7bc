"""The built pages as a reader meets them: in a browser, with no network, on a phone, in the dark, read aloud.

`make test` sets SPEECHLIB_BOOK_HTML to the folder of the built book. One visit of each page collects what the
tests below look at.
"""

import asyncio
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

if "SPEECHLIB_BOOK_HTML" not in os.environ:
    pytest.skip("SPEECHLIB_BOOK_HTML names no built book (make test sets it)", allow_module_level=True)

BOOK = Path(os.environ["SPEECHLIB_BOOK_HTML"]).resolve()
PAGES = sorted(path for path in BOOK.rglob("*.html") if "_static" not in path.relative_to(BOOK).parts)
AXE = Path(__file__).resolve().parent.parent / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
AT_ONCE = 2
SETTLE_MS = 500  # the theme looks again at what scrolls 300 ms after the window changed
PATIENCE_MS = 60_000

# What a browser loads by itself, and the attribute that says from where.
LOADED = {"script": "src", "img": "src", "audio": "src", "video": "src", "source": "src", "iframe": "src"}
LOADED |= {"link": "href", "embed": "src", "object": "data", "use": "href"}
NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author", "license", "alternate"}

STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
UNFOLD = """() => {
    for (const e of document.querySelectorAll(".toggle-hidden > .admonition-title")) e.click();
    for (const e of document.querySelectorAll("details:not([open]) > summary")) e.click();
}"""
FORMULAS = """async () => {
    if (window.MathJax) await MathJax.startup.promise;
    const drawn = e => e.querySelectorAll("mjx-container").length === 1 && !e.querySelector("mjx-merror");
    const elements = [...document.querySelectorAll(".math")];
    return elements.filter(e => !drawn(e)).map(e => e.textContent.trim().slice(0, 60));
}"""
PLAYERS = """async () => {
    const loaded = audio => new Promise(resolve => {
        const done = () => resolve(audio.duration > 0 && Number.isFinite(audio.duration));
        if (audio.readyState >= 1) return done();
        audio.onloadedmetadata = done;
        audio.onerror = () => resolve(false);
        setTimeout(() => resolve(false), 10000);
        audio.preload = "metadata";
        audio.load();
    });
    const faults = [];
    for (const audio of document.querySelectorAll("audio")) {
        const name = audio.getAttribute("aria-label") || audio.outerHTML.slice(0, 60);
        const caption = audio.closest("figure")?.querySelector("figcaption")?.textContent.trim();
        if (!audio.controls) faults.push(`${name}: no controls`);
        if (!caption) faults.push(`${name}: no transcript beside it`);
        if (!await loaded(audio)) faults.push(`${name}: cannot be decoded`);
    }
    return faults;
}"""
BROKEN_IMAGES = """() => {
    return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src.slice(-80));
}"""
# Whatever reaches beyond the screen must lie in something that scrolls, or is not there for the eye.
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth, whole = document.scrollingElement.scrollWidth;
    const faults = whole > width ? [`the page is ${whole} pixels wide on a screen of ${width}`] : [];
    const apart = element => {
        for (let e = element; !e.matches(".bd-article"); e = e.parentElement) {
            const style = getComputedStyle(e);
            if (["auto", "scroll"].includes(style.overflowX) && e !== element) return true;
            if (style.visibility === "hidden" || style.clip !== "auto") return true;
        }
        return false;
    };
    for (const e of document.querySelectorAll(".bd-article *")) {
        const box = e.getBoundingClientRect();
        const what = `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}">`;
        if (box.width && box.height && box.right > width + 1 && !apart(e))
            faults.push(`${what} ends at ${box.right | 0} pixels on a screen of ${width}`);
    }
    return faults.slice(0, 3);
}"""
THEME = """theme => Object.assign(document.documentElement.dataset, {theme: theme, mode: theme})"""
CHECK = """async only => (await axe.run(document, {
    runOnly: only, resultTypes: ["violations"], iframes: false, preload: false,
})).violations.map(v => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n =>
    n.target.join(" ") + " " + (n.any[0]?.message || n.html)).join(" | ").slice(0, 600)}`)"""


def browser_path():
    """Return the browser's executable, or fail with what to install."""
    given = os.environ.get("CHROMIUM")
    found = given if given and Path(given).exists() else next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.fail("no Chromium found: apt install chromium, or set CHROMIUM=/path/to/it", pytrace=False)
    return found


def name(path):
    """Return a page's name as its address in the book."""
    return path.relative_to(BOOK).as_posix()


async def visit(browser, path):
    """Open one page and return what was found, a list of faults for each kind."""
    found = {"console": [], "request": []}
    context = await browser.new_context(viewport=DESKTOP, offline=True)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)

    async def guard(route):
        url = urlsplit(route.request.url)
        target = Path(unquote(url.path))
        if url.scheme in ("data", "blob"):
            await route.continue_()
        elif url.scheme == "file" and target.is_relative_to(BOOK) and target.is_file():
            await route.continue_()
        else:
            missing = url.scheme == "file" and target.is_relative_to(BOOK)
            found["request"].append(f"{'misses' if missing else 'asks for'} {route.request.url[:200]}")
            await route.abort()

    await context.route("**/*", guard)
    page.on("console", lambda said: said.type == "error" and found["console"].append(said.text[:300]))
    page.on("pageerror", lambda error: found["console"].append(str(error)[:300]))
    page.on("websocket", lambda socket: found["request"].append(f"asks for {socket.url}"))
    await page.goto(path.as_uri(), wait_until="load")
    await page.add_style_tag(content=STILL)
    await page.evaluate(UNFOLD)
    await page.wait_for_timeout(SETTLE_MS)
    found["formula"] = await page.evaluate(FORMULAS)
    found["player"] = await page.evaluate(PLAYERS)
    found["image"] = await page.evaluate(BROKEN_IMAGES)
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    await page.evaluate(THEME, "light")
    found["light"] = await page.evaluate(CHECK, RULES)
    await page.evaluate(THEME, "dark")
    found["dark"] = await page.evaluate(CHECK, CONTRAST)
    await page.set_viewport_size(PHONE)
    await page.wait_for_timeout(SETTLE_MS)
    found["overflow"] = await page.evaluate(OVERFLOW)
    found["phone"] = await page.evaluate(CHECK, RULES)
    await context.close()
    return found


async def search(browser, word):
    """Search the book for a word and return what the reader sees: errors, and addresses of results."""
    context = await browser.new_context(viewport=DESKTOP, offline=True)
    page = await context.new_page()
    errors = []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text[:300]))
    await page.goto(f"{(BOOK / 'search.html').as_uri()}?q={quote(word)}")
    await page.wait_for_selector("#search-results .search-summary:not(:empty)", timeout=PATIENCE_MS)
    await page.wait_for_timeout(SETTLE_MS)
    links = await page.eval_on_selector_all("#search-results a", "links => links.map(a => a.href)")
    await context.close()
    return errors, links


async def visit_all(executable, word):
    """Visit every page in one browser, two at a time, and search for a word."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(path):
            async with turn:
                return name(path), await visit(browser, path)

        found = dict(await asyncio.gather(*map(one, PAGES)))
        searched = await search(browser, word)
        await browser.close()
    return found, searched


@pytest.fixture(scope="module")
def soups():
    """Every page, parsed."""
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in PAGES}


@pytest.fixture(scope="module")
def visits(soups):
    """What was found on each page, and when searching for a word of the first page's title."""
    if not AXE.exists():
        pytest.fail("axe-core is missing: npm ci", pytrace=False)
    title = soups[BOOK / "index.html"].find("h1").get_text()
    return asyncio.run(visit_all(browser_path(), max(re.findall(r"\w+", title), key=len)))


def report(faults):
    """Fail with one line a fault."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def test_there_are_pages():
    assert (BOOK / "index.html").is_file(), f"there is no book in {BOOK}: make book"
    assert len(PAGES) > 1


@pytest.mark.parametrize(
    "kind",
    {
        "console": "no error in the console",
        "request": "nothing is asked for outside the folder, and nothing is missing in it",
        "formula": "every formula is drawn",
        "player": "every sound has controls and a transcript, and can be decoded",
        "image": "every image can be decoded",
        "light": "light, on a desk: readable by the rules of WCAG 2.1 A and AA",
        "dark": "dark, on a desk: enough contrast",
        "phone": "dark, on a phone: readable by the rules of WCAG 2.1 A and AA",
        "overflow": "on a phone nothing sticks out",
    },
)
def test_visited(visits, kind):
    report([f"{page}: {fault}" for page, found in visits[0].items() for fault in found[kind]])


def test_search_works_from_the_folder(visits):
    errors, links = visits[1]
    assert errors == []
    assert links and all(link.startswith(BOOK.as_uri()) for link in links)


def test_nothing_is_loaded_from_elsewhere(soups):
    faults = []
    for path, soup in soups.items():
        for element in soup.find_all(list(LOADED)):
            target = element.get(LOADED[element.name]) or ""
            if element.name == "link" and set(element.get("rel", [])) & NOT_LOADED:
                continue
            if re.match(r"(?:https?:|wss?:)?//", target):
                faults.append(f"{name(path)}: <{element.name}> loads {target}")
    report(faults)


def test_images_have_a_description(soups):
    faults = []
    for path, soup in soups.items():
        for image in soup.find_all("img"):
            alt, source = image.get("alt"), image.get("src", "")
            decorative = alt == "" and image.get("role") == "presentation"
            if not decorative and (not alt or re.search(r"\.(?:png|svg|jpe?g|gif)$", alt) or alt in source):
                faults.append(f"{name(path)}: {source} is described as {alt!r}")
    report(faults)


def test_links_inside_the_book_lead_somewhere(soups):
    anchors = {
        path.as_uri(): {element.get("id") or element.get("name") for element in soup.find_all(id=True)}
        | {element["name"] for element in soup.find_all("a", attrs={"name": True})}
        for path, soup in soups.items()
    }
    faults = []
    for path, soup in soups.items():
        for link in soup.find_all("a", href=True):
            address, _, fragment = urljoin(path.as_uri(), link["href"]).partition("#")
            url = urlsplit(address)
            if url.scheme != "file":
                continue
            target = Path(unquote(url.path))
            known = anchors.get(target.as_uri())
            if not target.is_file() or not target.is_relative_to(BOOK):
                faults.append(f"{name(path)}: {link['href']} leads nowhere")
            elif fragment and known is not None and unquote(fragment) not in known:
                faults.append(f"{name(path)}: {link['href']}: the page has no such anchor")
    report(faults)
