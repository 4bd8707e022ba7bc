"""What of a Markdown page is prose, and what is markup: the rules for prose read no code and no formulas."""

import re

FORMULA = re.compile(r"\$\$(.*?)\$\$[ ]*(?:\(([^)\n]*)\))?", re.DOTALL)
FENCE = re.compile(r"[ ]*(`{3,}|~{3,}|:{3,})(?:\{([\w:-]+)\})?[ ]*(.*)")
OPTION = re.compile(r"[ ]*:([\w-]+):[ ]?(.*)")
NOT_PROSE = re.compile(r"code(?:-block|-cell)?|literalinclude|math|raw|bibliography|toctree|eval-rst|auto\w+")
NAMES = {"player", "figure", "image", "solution", "solution-start", "solution-end"}  # what follows is no text
READ = {"player": "label", "figure": "alt", "image": "alt"}  # the option that is text
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"(?<!`)(`{1,2})(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", re.DOTALL)
NO_TEXT = [
    FORMULA,
    re.compile(r"\{[\w:+-]+\}(`+).*?\1"),  # roles
    CODE,
    re.compile(r"(?<![\\$])\$(?!\s)(?:(?!\n\n)[^$])+?(?<!\s)\$"),  # formulas in a line
    re.compile(r"^\([\w:.-]+\)=[ ]*$", re.MULTILINE),  # anchors
    re.compile(r"\]\([^)\s]*(?:\s+\"[^\"]*\")?\)|\[\^[\w-]+\]"),  # targets of links, footnotes
    re.compile(r"<https?://[^>]*>|https?://\S+"),
    re.compile(r"</?[a-zA-Z][^>\n]*>"),
]


def blank(match):
    """Replace what was found by spaces, line by line, so that every line keeps its number."""
    return re.sub(r"[^\n]", " ", match[0])


def without_code(source, text_only=False):
    """Return Markdown with fenced code blanked; with `text_only`, also marks and options of directives."""
    lines, fences, directive = [], [], None
    for line in COMMENT.sub(blank, source).split("\n"):
        fence, option = FENCE.match(line), OPTION.match(line)
        if fence and fences and not fence[2] and not fence[3] and fence[1].startswith(fences[-1][0]):
            literal, directive = fences.pop()[1], None
            text, mark = "", "" if literal else line
        elif fences and fences[-1][1]:
            text, mark = "", ""
        elif fence and (fence[2] or fence[1][0] != ":"):
            directive = fence[2] or "code"
            literal = bool(NOT_PROSE.fullmatch(directive))
            fences.append((fence[1], literal))
            text, mark = "" if literal or directive in NAMES else fence[3], "" if literal else line
        elif directive and option:
            text, mark = option[2] if READ.get(directive) == option[1] else "", line
        else:
            text, mark, directive = line, line, None
        lines.append(text if text_only else mark)
    return "\n".join(lines)


def prose(source):
    """Return Markdown with everything blanked that is not prose; line numbers stay."""
    source = without_code(source, text_only=True)
    for pattern in NO_TEXT:
        source = pattern.sub(blank, source)
    return source


def markup(source):
    """Return Markdown with code and comments blanked; directives and formulas stay."""
    return CODE.sub(blank, without_code(source))
