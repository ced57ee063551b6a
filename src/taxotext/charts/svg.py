"""Matplotlib's SVG made small and fit for a page: CSS variables for colours, notes under the pointer, few ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HEX, _DIGITS = re.compile(r"#[0-9a-f]{6}"), re.compile(r"(\.\d\d)\d+")
_DEFAULTS = re.compile(r"(font-family:[^;]*|text-anchor: start);? ?")


def embedded(text: bytes, title: str, tips: Mapping[str, str], colours: Mapping[str, str]) -> str:
    """Return the element ``<svg>`` of a file that matplotlib wrote, with texts as texts.

    Args:
        text: content of the file.
        title: what the chart is called, for who cannot see it.
        tips: id of a group to what the pointer over it shows.
        colours: ``#rrggbb`` to what takes its place.
    """
    root = fromstring(text)
    outlines: dict[str, str] = {}
    marks = {
        path.attrib["id"]: outlines.setdefault(path.attrib["d"], path.attrib["id"])
        for path in root.iter(f"{{{SVG}}}path")
        if "id" in path.attrib
    }
    element = _Sanitizer(tips, colours, marks).copy(root)
    element.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title, "xmlns": SVG}
    return tostring(element, encoding="unicode")


@dataclass(frozen=True)
class _Sanitizer:
    """Copies what is seen."""

    # tips, colours: see `embedded`
    tips: Mapping[str, str]
    colours: Mapping[str, str]
    marks: Mapping[str, str]  # id of a mark to the id of the first one with the same outline

    def copy(self, element: Element) -> Element:
        tidy, name = Element(element.tag.rpartition("}")[2]), element.attrib.get("id", "")
        if tidy.tag == "text":
            tidy.text = element.text
        if name in self.tips:
            SubElement(tidy, "title").text = self.tips[name]
        for key, value in element.attrib.items():
            if key == f"{{{LINK}}}href":
                tidy.set("href", f"#{self.marks[value[1:]]}")  # without its prefix, which would have to be declared
            elif key == "style" and name not in self.marks:  # a mark has its style where it is used
                tidy.set(key, _HEX.sub(lambda found: self.colours.get(found[0], found[0]), _DEFAULTS.sub("", value)))
            elif key in {"x", "y", "d", "transform"} and not value.startswith("rotate(-0 "):
                tidy.set(key, " ".join(_DIGITS.sub(r"\1", value).split()))
            elif key == "id" and name in self.marks:
                tidy.set(key, value)
        for child in element:
            inner = self.copy(child)
            if not self._is_seen(inner):
                continue
            if inner.tag == "g" and not inner.attrib and inner[0].tag != "title":
                tidy.extend(inner)
            else:
                tidy.append(inner)
        return tidy

    def _is_seen(self, element: Element) -> bool:
        """Whether it draws something, or defines a mark for the first time."""
        name = element.get("id", "")
        # All lies within the axes: nothing has to be clipped.
        if element.tag in {"metadata", "style", "clipPath"} or element.get("style") == "fill: none":
            return False
        if element.tag in {"g", "defs"} and not len(element):
            return False
        return self.marks.get(name, name) == name
