"""The figures have the right labels and numbers, at every size that occurs."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from hbt_ray.kit.figures import COLOURS, colour, figure_png, figure_svg, plain_axes
from hbt_ray.kit.matrix import matrix_figure, page_matrix
from hbt_ray.kit.prose import decimals, listed, number, p_text, percent, signed, some


@pytest.mark.parametrize("num", [1, 2, 11, 32, 128])
def test_matrix_of_any_size(num):
    values = np.random.default_rng(num).uniform(0.2, 0.9, (num, num))
    values[0, -1] = np.nan
    langs = [f"l{i}" for i in range(num)]
    figure = matrix_figure(langs, values, "mAP of trial 3 (alpha 0.5, seed 1) after 2,000 steps on dev")
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("query language", "passage language")
    assert [label.get_text() for label in axes.get_xticklabels()] == langs
    assert [label.get_text() for label in axes.get_yticklabels()] == langs
    numbers = [text.get_text() for text in axes.texts]
    expected = ["–" if np.isnan(v) else f"{v:.2f}" for v in values.ravel()]
    assert numbers == (expected if num <= 15 else [])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no queries"]
    assert figure_png(figure).startswith(b"\x89PNG")
    figure.draw_without_rendering()
    title, label = figure._suptitle.get_window_extent(), axes.yaxis.label.get_window_extent()
    assert min(title.x0, label.x0) >= 0
    assert title.x1 <= figure.bbox.x1
    assert axes.get_window_extent().y1 <= title.y0
    assert title.y1 <= figure.bbox.y1


def test_labels_do_not_overlap_at_128_languages():
    figure = matrix_figure([f"lang{i}" for i in range(128)], np.full((128, 128), 0.5), "mAP")
    figure_png(figure)
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_equal_values_do_not_become_contrast():
    figure = matrix_figure(["de", "hi"], np.array([[0.5, 0.501], [0.5, 0.5]]), "mAP")
    low, high = figure.axes[0].images[0].get_clim()
    assert (low, high) == (0.0, 0.501)
    assert not figure.legends


def test_the_shape_must_fit_the_languages():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) for 2 languages"):
        matrix_figure(["de", "hi"], np.zeros((2, 3)), "mAP")


def chart():
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    plain_axes(axes)
    axes.plot([0], [0.5], "o", color=colour("pool"), gid='alpha < 1 & "so": 0.5')
    axes.set_xlabel("share of <batches>")
    return figure


def test_a_drawing_for_a_page_is_the_same_each_time_and_has_the_page_s_colours():
    svg = figure_svg(chart(), 'what "it" shows')
    assert svg == figure_svg(chart(), 'what "it" shows')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == 'what "it" shows'
    assert root.attrib["viewBox"] == "0 0 216 144"
    texts = [element.text for element in root.iter() if element.tag.endswith(("title", "text"))]
    assert 'alpha < 1 & "so": 0.5' in texts
    assert "share of <batches>" in texts
    assert "var(--pool)" in svg
    assert "var(--dim)" in svg
    assert not any(light in svg for light, _ in COLOURS.values())
    assert not re.search(r"\d{4}-\d\d-\d\d|https?://", svg)


def test_a_matrix_of_few_languages_is_cells_and_of_many_a_drawing():
    values = np.array([[0.9, np.nan], [0.1, 0.5]])
    matrix = page_matrix(["de", "hi"], ["de", "hi"], values, (0.0, 0.9), str, lambda row, column: f"{row} {column}")
    assert [[cell.text for cell in row] for row in matrix.cells] == [["0.9", "nan"], ["0.1", "0.5"]]
    assert matrix.cells[1][0].title == "1 0"
    assert len({cell.background for row in matrix.cells for cell in row}) == 4
    assert matrix.heat == ""
    rng = np.random.default_rng(0)
    langs, values = [f"l{i}" for i in range(16)], rng.random((16, 3)) + np.arange(16)[:, None]
    matrix = page_matrix(langs, ["de", "hi", "l3"], values, (0.0, 17.0), str, lambda row, column: "")
    assert matrix.cells == []
    assert matrix.rows[:2] == ("l3", "l15")  # l3 is asked in and answered in, so its sum is of both
    assert matrix.columns[0] == "l3"
    shown = np.array(matrix.values.split(), int).reshape(16, 3)
    places = np.ix_([langs.index(lang) for lang in matrix.rows], [["de", "hi", "l3"].index(c) for c in matrix.columns])
    np.testing.assert_array_equal(shown, np.rint(1000 * values[places]))
    assert matrix.heat.count("<image") == 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number("pool_map", 0.12345), "0.1235"),
        (number("rank_distance", 1234.56), "1,234.6"),
        (number("pool_map", float("nan")), "–"),
        (signed("pool_map", 0.1), "+0.1000"),
        (signed("rank_distance", -3), "-3.0"),
        (signed("pool_map", float("nan")), "–"),
        (decimals(-0.0001), "0.000"),
        (p_text(0.00001), "< 0.0001"),
        (p_text(float("nan")), "–"),
        (percent(0.0123), "1.23%"),
        (percent(0.25), "25.0%"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (some(list("abcde")), "a, b, c, d and e"),
        (some(list("abcdefg")), "a, b, c, d and 3 others"),
    ],
)
def test_how_numbers_and_lists_are_written(written, expected):
    assert written == expected
