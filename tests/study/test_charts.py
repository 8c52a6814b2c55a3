"""Pictures that are well-formed and stand where their numbers are."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from fiat_jax.study.charts import NARROW, Step, groups, histogram, intervals, lines, looks_of, points, steps

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


def marks(picture):
    """Where marks stand, of the key of a legend too: (x, y, colour, whether it is filled)."""
    found = []
    for one in ElementTree.fromstring(picture).iter(f"{SVG}path"):
        if place := re.match(r"M([\d.]+),([\d.]+)m", one.get("d")):
            found.append((float(place[1]), float(place[2]), one.get("stroke"), one.get("class") != "hollow"))
    return found


def test_with_a_log_axis_equal_factors_are_equally_far_apart_and_bars_stand_at_their_points():
    bars = {"a": [(100, 40, 60), (200, 45, 65), (400, 50, 80)]}
    curve = [(100, 50.0), (200, 55.0), (400, 70.0)]
    picture = lines("F1", {"a": curve}, "examples", None, bars=bars, log=True)
    xs = [x for x, _, _, _ in marks(picture)[:3]]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2) and xs[0] < xs[1]
    uprights = re.findall(r'"M([\d.]+),[\d.]+V[\d.]+" stroke=', picture)
    assert [float(x) for x in uprights] == xs


def test_what_goes_all_the_way_across_is_named_with_its_value_and_has_its_interval():
    picture = lines("F1", {"a": [(1, 50.0), (2, 60.0)]}, "examples", levels={"prompt": (40.0, 35.0, 45.0)})
    assert "prompt 40.0" in picture and 'opacity=".12"' in picture


def test_names_stand_below_where_it_is_narrow_and_within_the_picture():
    curves = {f"a rather long name {at}": [(0, 10.0 * at), (1, 9.0 * at)] for at in range(6)}
    root = ElementTree.fromstring(lines("F1", curves, "share", width=NARROW))
    names = [one for one in root.iter(f"{SVG}text") if "rather" in one.text]
    axis = float(next(root.iter(f"{SVG}path")).get("d").split("V")[1].split("H")[0])
    heights = [float(one.get("y")) for one in names]
    assert root.get("width") == "360" and len(names) == 6
    assert axis < min(heights) and max(heights) < float(root.get("height"))


def test_thirty_lines_differ_in_more_than_colour():
    looks = looks_of(map(str, range(30)))
    assert len({(one.dash, one.mark) for one in looks.values()}) == 30


def test_dots_of_a_group_stand_where_their_values_are_and_what_is_missing_is_left_out():
    picture = groups("F1", {"hau": {"a": (50, 40, 60), "b": (60, 50, 70)}, "yor": {"a": (70, 60, 80)}})
    dots = marks(picture)[:3]
    assert [one[2] for one in dots] == [dots[0][2], dots[1][2], dots[0][2]] and dots[0][2] != dots[1][2]
    assert dots[1][0] - dots[0][0] == pytest.approx(dots[2][0] - dots[1][0], abs=0.2)
    assert dots[0][1] < dots[1][1] < dots[2][1]


def test_a_step_that_gains_is_outlined_and_one_that_loses_is_filled():
    taken = [
        Step("whole", None, 70.0, 65, 75, "70"),
        Step("less", 70.0, 60.0, 55, 65, "-10"),
        Step("more", 60.0, 65.0, 60, 70, "+5"),
    ]
    for width in (740, NARROW):
        bars = [
            one
            for one in ElementTree.fromstring(steps("F1", taken, width)).iter(f"{SVG}rect")
            if one.get("y")
        ]
        bars = [one for one in bars if one.get("fill") or one.get("class") == "hollow"]
        loses, gains = bars
        assert loses.get("fill") and gains.get("class") == "hollow"
        assert float(loses.get("width")) == pytest.approx(2 * float(gains.get("width")), abs=0.2)
        assert float(loses.get("x")) == pytest.approx(float(gains.get("x")), abs=0.2)


def test_points_are_hollow_where_asked_and_named_from_the_top_down():
    places = {"low": (0.0, (10, 5, 15)), "high": (100.0, (20, 15, 25))}
    picture = points("F1", places, "seconds", hollow=frozenset({"low"}))
    low, high, *keys = marks(picture)
    assert low[0] < high[0] and low[1] > high[1] and not low[3] and high[3]
    assert [one[2] for one in keys] == [high[2], low[2]]
