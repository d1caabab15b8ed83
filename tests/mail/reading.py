"""A mail's HTML as a reader sees it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"meta", "img", "br"})


@dataclass
class Page:
    """`text` is what is shown, with spaces where elements meet; `open` are tags that nothing closed."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list[tuple[str, dict[str, str | None]]])
    text: str = ""
    open: list[str] = field(default_factory=list[str])

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.page.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.page.open, f"</{tag}> closes nothing"
        assert self.page.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.page.open:
            self.page.text += data + " "


def read(html: str) -> Page:
    """AssertionError where the HTML is not well nested."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.page.text = " ".join(reader.page.text.split())
    return reader.page
