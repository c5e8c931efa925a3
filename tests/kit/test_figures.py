"""The figures have the right labels and numbers, at every size that occurs."""

from itertools import pairwise

import numpy as np
import pytest

from hbt_ray.kit.figures import AlphaPoint, alpha_figure, figure_png, matrix_figure


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
    assert high - low == pytest.approx(0.101)
    assert not figure.legends


def test_the_shape_must_fit_the_languages():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) for 2 languages"):
        matrix_figure(["de", "hi"], np.zeros((2, 3)), "mAP")


def test_alpha_figure_draws_every_seed_and_the_means():
    points = [
        AlphaPoint(alpha=a, seed=s, mono=0.7 + a / 10, cross=0.6, pool=0.5 + s / 100, rank_distance=200 + 10 * s)
        for a in (1.0, 0.0, 0.5)
        for s in (1, 2)
    ]
    figure = alpha_figure(points)
    scores, bias = figure.axes
    assert [line.get_label() for line in scores.lines] == ["monolingual", "cross-lingual", "multilingual"]
    assert list(scores.lines[0].get_xdata()) == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(scores.lines[2].get_ydata(), [0.515, 0.515, 0.515])
    np.testing.assert_allclose(bias.lines[0].get_ydata(), [215, 215, 215])
    assert len(bias.collections[0].get_offsets()) == 6
    assert figure_png(figure).startswith(b"\x89PNG")


def test_alpha_figure_needs_a_point():
    with pytest.raises(ValueError, match="no trial has finished"):
        alpha_figure([])
