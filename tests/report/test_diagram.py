"""The network on a comparison's page."""

from types import SimpleNamespace

from ascribe import report

from .stand_in import make_comparison


def with_network(structure):
    comparison = make_comparison(rules=("perturbation", "backpropagation"), epochs=3, seeds=range(2))
    comparison.reference = "backpropagation"
    comparison.runs["backpropagation"].network = SimpleNamespace(config=lambda: structure)
    return report.page(comparison, {})


def test_the_page_shows_what_the_reference_trained_beside_how_it_was_trained():
    dense = [{"layer": "Linear", "fan_in": 2, "fan_out": 3, "bias": True}]
    page = with_network(dense)
    section = page[page.index("How the rules were compared") :].partition("</section>")[0]
    assert section.count("<circle") == 5 and "Diagram of the network: input; linear1 2 → 3" in section
    assert page.count('<div class="diagram">') == 1
    assert '<div class="diagram">' not in report.page(make_comparison(epochs=3, seeds=range(2)), {})


def test_the_name_of_a_layer_in_a_record_is_no_markup():
    page = with_network([{"layer": "own.<script>alert(1)</script>"}])
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;1" in page
