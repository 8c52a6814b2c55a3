"""Pictures that are well-formed and stand where their numbers are."""

import re
from itertools import pairwise
from xml.etree import ElementTree

from fiat_jax.study.charts import histogram, intervals, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_a_curve_goes_from_the_lower_left_to_the_upper_right_of_its_axes():
    picture = lines("F1 & more", {"a<b": [(0, 0.0), (50, 40.0), (100, 80.0)]}, "% asked")
    (path,) = ElementTree.fromstring(picture).iter(f"{SVG}polyline")
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in path.get("points").split())
    assert x1 - x0 == x2 - x1 > 0 and y0 - y1 == y1 - y2 > 0
    assert "a&lt;b 80" in picture and "F1 &amp; more" in picture


def test_labels_of_curves_that_end_together_do_not_stand_on_one_another():
    picture = lines("F1", {name: [(0, 0), (1, 50)] for name in "abc"}, "share")
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)">[abc] 50', picture))
    assert len(heights) == 3 and all(b - a >= 12 for a, b in pairwise(heights))


def test_labels_of_curves_that_end_at_the_foot_stay_in_the_picture():
    picture = lines("F1", {name: [(0, 50), (1, 0)] for name in "abcd"}, "share")
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)">[abcd] 0', picture))
    foot = float(ElementTree.fromstring(picture).find(f"{SVG}path").get("d").split("V")[1].split("H")[0])
    assert heights[-1] <= foot + 4 and all(b - a >= 12 for a, b in pairwise(heights))


def test_an_interval_holds_its_value_and_zero_is_drawn_where_it_lies_within():
    picture = intervals("gain", {"up": (2.0, -1.0, 5.0), "down": (-3.0, -4.0, -2.0)})
    root = ElementTree.fromstring(picture)
    assert len(list(root.iter(f"{SVG}circle"))) == 2
    bars = [one.get("d") for one in root.iter(f"{SVG}path") if one.get("stroke-width") == "3"]
    for bar, circle in zip(bars, root.iter(f"{SVG}circle"), strict=True):
        low, high = re.fullmatch(r"M([\d.]+),[\d.]+H([\d.]+)", bar).groups()
        assert float(low) <= float(circle.get("cx")) <= float(high)


def test_bars_beyond_the_limit_are_outlined_and_stand_right_of_its_line():
    picture = histogram("tokens <in>", {"train": [4, 8, 0, 2], "test": [1, 0, 0, 0]}, 10, 20)
    root = ElementTree.fromstring(picture)
    bars = [one for one in root.iter(f"{SVG}path") if one.get("d").endswith("z")]
    within = [one for one in bars if one.get("fill") != "none"]
    (beyond,) = [one for one in bars if one.get("fill") == "none"]
    (line,) = [one for one in root.iter(f"{SVG}path") if one.get("stroke-dasharray")]
    edge = float(re.match(r"M([\d.]+)", line.get("d"))[1])
    first, second = re.findall(r"M([\d.]+),(\d+)v-([\d.]+)h([\d.]+)", within[0].get("d"))
    assert len(within) == 2 and float(second[2]) == 2 * float(first[2])
    assert float(second[0]) + float(second[3]) <= edge <= float(re.match(r"M([\d.]+)", beyond.get("d"))[1])
    assert "up to 20" in picture and "longer" in picture and "tokens &lt;in&gt;" in picture
    assert "longer" not in histogram("tokens", {"train": [1]}, 1)
