"""What a fit of few documents says of the whole one."""

from __future__ import annotations

import pytest

from hierarchies import small_corpus, tiny_run
from releases import Notes
from taxotext.api.trials import try_fit
from taxotext.models.registry import find
from taxotext.settings import parse_settings


@pytest.mark.parametrize(
    ("weights", "planned"),
    [
        ({"candidates": [1.0, 5.0], "rungs": [1]}, 2 * 1 + 3),  # two weights for an epoch, one of them for three more
        ({"candidates": [1.0, 5.0, 7.0], "search": "grid"}, 3 * 4),
        ({"candidates": [2.0]}, 4),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_where_labels_are_fitted_one_by_one_all_their_epochs_count(
    weights: dict[str, object], planned: int, threads: int
) -> None:
    kind, corpus, notes = find("htrans"), small_corpus(), Notes()
    values = tiny_run({}, threads, weights=weights, training={"epochs": 4, "batch_size": 5})
    settings = parse_settings(kind.Settings, {key: values[key] for key in values.keys() - {"model", "data"}})
    trial = try_fit(kind, settings, corpus, corpus.subset(range(20)), batches=2, reporter=notes)
    labels = len(corpus.taxonomy)
    assert (trial.documents, trial.all_documents) == (10, len(corpus))
    assert trial.work == 10 * labels  # one class weight and one epoch each
    assert trial.whole_work == len(corpus) * labels * planned / threads
    assert trial.seconds > 0
    assert trial.estimate() > trial.seconds
    assert trial.system.settings == settings  # what memory is estimated by
    assert notes.sentences == []  # they would be about ten documents
