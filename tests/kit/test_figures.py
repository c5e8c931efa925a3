"""The figures have the right labels and numbers, at every size that occurs."""

from itertools import pairwise

import numpy as np
import pytest

from hbt_ray.kit.figures import figure_png
from hbt_ray.kit.matrix import matrix_figure


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
