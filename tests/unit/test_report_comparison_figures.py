"""Pictures of a comparison."""

from hyperfitting.records import Arm
from hyperfitting.report.comparison.figures import position_figure


def test_the_legend_of_one_domain_is_whole():
    names = ("original", "early-stopped", "hyperfitted", "reference")
    figure = position_figure({("pictures", Arm(name, "greedy")): {96: 0.5} for name in names})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
