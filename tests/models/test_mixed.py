"""``mixed``: scores by hand, weights on documents that no member saw, the folder, refusals, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from command import Command
from hierarchies import write_tiny_data
from models.harness import all_scores, check_scores
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import fingerprints
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.models.registry import find
from tiny import tiny_corpus, tiny_settings

RUNTIME = tiny_settings("kim_cnn")["runtime"]
FEW = {"epochs": 6}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return tiny_corpus(120)


@pytest.fixture(scope="module")
def members(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A network and a sequence model, both with the same tenth of the documents held out."""
    folder = tmp_path_factory.mktemp("members")
    Classifier("kim_cnn", **tiny_settings("kim_cnn", training=FEW)).fit(corpus).save(folder / "cnn")
    Classifier("encdec", **tiny_settings("sgm", training=FEW)).fit(corpus).save(folder / "encdec")
    return str(folder / "cnn"), str(folder / "encdec")


def mixed(corpus: Corpus, members: tuple[str, ...], validation: Corpus | None = None, **settings: Any) -> Classifier:
    return Classifier("mixed", members=members, runtime=RUNTIME, **settings).fit(corpus, validation=validation)


def test_scores_are_the_weighted_mean_and_the_weights_the_best_on_what_no_member_saw(
    corpus: Corpus, members: tuple[str, str], tmp_path: Path
) -> None:
    model = mixed(corpus, members)
    check_scores(model, corpus.texts)
    first, second = (taxotext.load(folder) for folder in members)
    curve = model.system._mixture["curve"]  # type: ignore[attr-defined]
    best = max(point["value"] for point in curve)
    weights = model.system._mixture["weights"]  # type: ignore[attr-defined]
    assert {"weights": weights, "value": best} in curve
    assert len(curve) == 101
    expected = weights[0] * all_scores(first, corpus.texts) + weights[1] * all_scores(second, corpus.texts)
    np.testing.assert_allclose(all_scores(model, corpus.texts), expected, atol=1e-6)
    held = model.manifest.held_out
    assert held is not None
    assert held.gold.shape[0] == first.manifest.trained_on["validation_documents"] == 12
    model.save(tmp_path / "mixed")
    loaded = taxotext.load(tmp_path / "mixed")
    assert np.array_equal(all_scores(loaded, corpus.texts), all_scores(model, corpus.texts))
    assert loaded.predict(corpus.texts) == model.predict(corpus.texts)
    assert loaded.system.facts() == model.system.facts()
    assert [member.name for member in loaded.system.members] == ["kim_cnn", "encdec"]


def test_the_maximum_has_no_weights(corpus: Corpus, members: tuple[str, str]) -> None:
    model = mixed(corpus, members, combine="max")
    found = np.maximum(*(all_scores(taxotext.load(folder), corpus.texts) for folder in members))
    assert np.array_equal(all_scores(model, corpus.texts), found)


def test_a_learned_fusion_is_saved_loaded_and_tuned_on_scores_of_folds(
    corpus: Corpus, members: tuple[str, str], tmp_path: Path
) -> None:
    model = mixed(corpus, members, combine="learned")
    check_scores(model, corpus.texts)
    system: Any = model.system
    blocks = [ScoreBlock(all_scores(taxotext.load(folder), corpus.texts)) for folder in members]
    counts = np.asarray(corpus.targets.sum(axis=0)).ravel()
    assert system._counts.tolist() == counts.tolist()
    expected = system._fusion.mix(blocks, counts).dense
    np.testing.assert_allclose(all_scores(model, corpus.texts), expected, atol=1e-6)
    held = model.manifest.held_out
    assert held is not None
    assert held.fingerprints is not None
    own = {int(one): row for row, one in enumerate(fingerprints(corpus.texts, held.salt))}
    rows = [own[int(one)] for one in held.fingerprints]
    assert not np.allclose(held.scores.toarray(), expected[rows], atol=1e-3), "of folds, not of the whole fit"
    model.tune()
    alone = [taxotext.load(folder).evaluate(corpus)["micro_f1"] for folder in members]
    assert model.evaluate(corpus)["micro_f1"] > max(alone) - 0.05
    model.save(tmp_path / "mixed")
    loaded = taxotext.load(tmp_path / "mixed")
    assert np.array_equal(all_scores(loaded, corpus.texts), all_scores(model, corpus.texts))
    assert loaded.predict(corpus.texts) == model.predict(corpus.texts)
    assert loaded.system.facts() == model.system.facts()
    assert model.system.facts()["mixture"] == "learned from kim_cnn, encdec"
    for content, error in (('{"coefficients": [1.0]}', "3K"), ('{"coefficients": [null]}', "3K"), ("{}", "3K")):
        (tmp_path / "mixed" / "mixture.json").write_text(content)
        with pytest.raises(ModelFolderError, match=error):
            taxotext.load(tmp_path / "mixed")


def test_a_learned_fusion_takes_sparse_members(corpus: Corpus, members: tuple[str, str], tmp_path: Path) -> None:
    for number in (1, 2):  # the seed of the other members: it holds out what the other members do
        settings: dict[str, Any] = {"seed": 3, "features": {"min_documents": 1}, "classifier": {"c": float(number)}}
        Classifier("label_tree_linear", **settings).fit(corpus).save(tmp_path / str(number))
    trees = (str(tmp_path / "1"), str(tmp_path / "2"))
    for folders, sparse in (((members[0], trees[0]), False), (trees, True)):
        model = mixed(corpus, folders, combine="learned")
        assert next(model.system.scores(corpus.texts)).is_sparse == sparse
        assert model.evaluate(corpus)["micro_f1"] > 0.7
    model.save(tmp_path / "both")
    assert taxotext.load(tmp_path / "both").predict(corpus.texts) == model.predict(corpus.texts)
    damaged = tmp_path / "both" / "label_counts.safetensors"
    damaged.unlink()
    with pytest.raises(ModelFolderError, match=r"label_counts\.safetensors: is missing"):
        taxotext.load(tmp_path / "both")


def test_given_weights_and_tuned_thresholds(corpus: Corpus, members: tuple[str, str]) -> None:
    model = mixed(corpus, members, weights=(0.5, 0.5))
    model.tune()
    first, second = (all_scores(taxotext.load(folder), corpus.texts) for folder in members)
    np.testing.assert_allclose(all_scores(model, corpus.texts), (first + second) / 2, atol=1e-6)


def test_labels_are_matched_by_id(corpus: Corpus, members: tuple[str, str]) -> None:
    parents, children = corpus.taxonomy.edge_index
    ids, reverse = corpus.taxonomy.ids, list(corpus.taxonomy.ids[::-1])
    above: dict[str, list[str]] = {label: [] for label in reverse}
    for parent, child in zip(parents.tolist(), children.tolist(), strict=True):
        above[ids[child]].append(ids[parent])
    taxonomy = Taxonomy.from_edges([(parent, label) for label in reverse for parent in above[label] or [None]])
    assert taxonomy.ids != ids
    rows = np.split(corpus.targets.indices, corpus.targets.indptr[1:-1])
    other = Corpus.from_lists(list(corpus.texts), [[ids[label] for label in row] for row in rows], taxonomy)
    turned, straight = (mixed(data, members, weights=(0.5, 0.5)) for data in (other, corpus))
    columns = [taxonomy.index(label) for label in ids]
    assert np.array_equal(all_scores(turned, corpus.texts)[:, columns], all_scores(straight, corpus.texts))


def test_documents_that_a_member_was_fitted_on_choose_no_weights(corpus: Corpus, members: tuple[str, str]) -> None:
    held = taxotext.load(members[0]).manifest.held_out
    assert held is not None
    used = [row for row in range(40) if _trained(members[0], corpus.texts[row])][:20]
    with pytest.raises(ConfigError, match=r"members\.0: .*cnn was fitted on 20 of the 20 documents of"):
        mixed(corpus, members, corpus.subset(used))
    fresh = tiny_corpus(30, seed=77)
    fresh = fresh.subset([row for row in range(30) if not _trained(members[0], fresh.texts[row])])
    both = Corpus.from_lists(
        [*corpus.texts[:20], *fresh.texts], [*_labels(corpus)[:20], *_labels(fresh)], corpus.taxonomy, source="both"
    )
    model = mixed(corpus, members, both)
    seen = sum(_trained(members[0], text) for text in both.texts)
    assert model.system._mixture["left_out"] == seen > 0  # type: ignore[attr-defined]
    assert model.system._mixture["documents"] == len(both) - seen  # type: ignore[attr-defined]


def _labels(corpus: Corpus) -> list[list[str]]:
    rows = np.split(corpus.targets.indices, corpus.targets.indptr[1:-1])
    return [[corpus.taxonomy.ids[label] for label in row] for row in rows]


def _trained(folder: str, text: str) -> bool:
    held = taxotext.load(folder).manifest.held_out
    assert held is not None
    assert held.trained is not None
    return bool(np.isin(fingerprints([text], held.salt), held.trained)[0])


def test_a_member_that_cross_fits_gives_the_scores_of_its_folds(corpus: Corpus, tmp_path: Path) -> None:
    for seed in (1, 2):
        Classifier("linear", seed=seed, features={"min_documents": 1}).fit(corpus).save(tmp_path / str(seed))
    folders = tuple(str(tmp_path / str(seed)) for seed in (1, 2))
    model = mixed(corpus, folders, weights=(1.0, 0.0))
    kept, own = taxotext.load(folders[0]).manifest.held_out, model.manifest.held_out
    assert kept is not None
    assert own is not None
    assert own.gold.shape[0] == len(corpus)
    np.testing.assert_allclose(own.scores.toarray(), kept.scores.toarray(), atol=1e-6)


def test_what_does_not_fit_is_refused(corpus: Corpus, members: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="members: 1 given; a mixture needs two or more"):
        mixed(corpus, members[:1])
    with pytest.raises(ConfigError, match="give 2 numbers with the sum 1"):
        mixed(corpus, members, weights=(0.5, 0.6))
    with pytest.raises(ConfigError, match="the maximum has none"):
        mixed(corpus, members, weights=(0.5, 0.5), combine="max")
    with pytest.raises(ConfigError, match="a learned fusion has none"):
        mixed(corpus, members, weights=(0.5, 0.5), combine="learned")
    with pytest.raises(ModelFolderError, match="there is no such model folder"):
        mixed(corpus, (members[0], str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match=r"has other labels \(0 missing, 6 more\)"):
        mixed(Corpus.from_lists(["cat"] * 9, [["cats"]] * 9, Taxonomy.from_edges([(None, "cats")])), members)
    mixed(corpus, members).save(tmp_path / "mixed")
    (tmp_path / "mixed" / "mixture.json").write_text('{"weights": [0.5, 0.9]}')
    with pytest.raises(ModelFolderError, match="weights must be numbers with the sum 1"):
        taxotext.load(tmp_path / "mixed")


def test_labels_without_documents_are_reached_by_what_members_saw_or_can_do(tmp_path: Path) -> None:
    def folder(name: str, model: str, seen: list[int], inside: str = "") -> str:
        config = {"format_version": 2, "model": model, "settings": {}, "seen": seen}
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        (tmp_path / name / "taxonomy.json").write_text(json.dumps(Taxonomy.flat(["a", "b", "c"]).to_dict()))
        if inside:
            (tmp_path / name / "members/0").mkdir(parents=True)
            inner = {"format_version": 2, "model": inside, "settings": {}}
            (tmp_path / name / "members/0/config.json").write_text(json.dumps(inner))
        return str(tmp_path / name)

    first, second = folder("first", "linear", [3, 0, 0]), folder("second", "linear", [1, 0, 2])
    nested, flat = folder("nested", "mixed", [0, 0, 0], "lexical"), folder("flat", "mixed", [0, 0, 0], "linear")
    lexical = folder("lexical", "lexical", [0, 0, 0])
    kind = find("mixed")
    for members, reached in (
        ((first, second), {"c"}),
        ((first, flat), set()),
        ((first, lexical), {"b", "c"}),
        ((first, nested), {"b", "c"}),
    ):
        assert kind.reached(kind.Settings(members=members), ["b", "c"]) == reached


def test_the_command_line_mixes_members_by_number(command: Command, tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    paths = [f"--train={data['train']}", f"--taxonomy={data['taxonomy']}"]
    for seed in (1, 2):
        command("train", "--model=linear", *paths, f"--output=m{seed}", f"seed={seed}", "features.min_documents=1").ok()
    command("train", "--model=mixed", *paths, "--output=both", "members.0=m1", "members.1=m2").ok()
    metrics = json.loads(command("evaluate", "both", data["validation"], "--json").ok().out)
    assert metrics["micro_f1"] > 0.5
    refused = command("train", "--model=mixed", *paths, "--output=other", "members.0=m1", "members.2=m2")
    refused.refused("members are numbered 0, 1, 2")
