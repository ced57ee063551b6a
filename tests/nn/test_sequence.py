"""Label sequences: the decoder by hand, the beam by brute force, the order along a taxonomy on trees and DAGs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from taxotext import Taxonomy
from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.sequence.beam import beam_search, exact_search
from taxotext.nn.sequence.decoder import LabelDecoder
from taxotext.nn.sequence.head import SequenceHead, set_f1
from taxotext.nn.sequence.order import Direction, TaxonomyOrder

WIDTH, LABELS = 6, 4
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] < pair[1]), max_size=8)
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"cell": "gru", "layers": 2},
    {"global_embedding": True},
    {"attention": "dot", "query": "previous"},
    {"attention": "dot", "scale": True, "first_context": "attention", "cell": "gru"},
)


@pytest.fixture(autouse=True)
def _one_thread_and_no_gradients() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def decoder_of(labels: int = LABELS, seed: int = 0, **chosen: Any) -> LabelDecoder:
    torch.manual_seed(seed)
    decoder = LabelDecoder(labels, WIDTH, 5, units=WIDTH, label_width=3, **chosen)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(3.0)  # distributions that are far from uniform
    return decoder.eval()


def features_of(documents: int = 3, length: int = 5, seed: int = 1) -> TextFeatures:
    torch.manual_seed(seed)
    mask = torch.arange(length) < torch.arange(1, documents + 1).unsqueeze(1) + 1
    return TextFeatures(torch.randn(documents, length, WIDTH), mask, torch.randn(documents, 5))


def head_of(decoder: LabelDecoder, **chosen: Any) -> SequenceHead:
    labels = decoder.labels
    values = {"longest": labels, "beams": 5, **chosen}
    return SequenceHead(decoder, torch.arange(labels), torch.zeros(labels, dtype=torch.int64), **values).eval()


def every_sequence(labels: int) -> list[tuple[int, ...]]:
    return [chosen for size in range(labels + 1) for chosen in permutations(range(labels), size)]


def scored(head: SequenceHead, features: TextFeatures, sequence: tuple[int, ...]) -> Tensor:
    """ln p of one sequence for each document, (B,), by teacher forcing."""
    whole = torch.tensor([[*sequence, head.decoder.end]]).expand(features.documents, -1)
    return head.log_likelihood(features, whole).sum(1)


def pooled_of(decoder: LabelDecoder, features: TextFeatures, sequence: list[int], document: int) -> Tensor:
    """The largest probability of each label over the steps of a sequence, the one of EOS included."""
    memory, state = decoder.start(features)
    emitted = torch.zeros(features.documents, 1, decoder.end + 1, dtype=torch.bool)
    best = torch.zeros(decoder.labels)
    previous = torch.full((features.documents, 1), decoder.begin)
    for label in [*sequence, decoder.end]:
        found, state = decoder.step(memory, state, previous, emitted)
        best = torch.maximum(best, found[document, 0, : decoder.end].exp())
        previous = torch.full_like(previous, label)
        if label != decoder.end:
            emitted[..., label] = True
    return best


def listed(labels: Tensor) -> list[list[int]]:
    return [[label for label in row if label >= 0] for row in labels.tolist()]


# -- the decoder ---------------------------------------------------------------------------------------------------


def test_a_step_of_bert_sgm_follows_algorithm_1() -> None:
    decoder = decoder_of(attention="dot", query="previous")
    features = features_of(documents=2)
    memory, state = decoder.start(features)
    previous = torch.tensor([[decoder.begin], [decoder.begin]])
    emitted = torch.zeros(2, 1, LABELS + 1, dtype=torch.bool)
    emitted[:, 0, 2] = True
    found, new = decoder.step(memory, state, previous, emitted)
    cell: Any = decoder.cells[0]
    for document in range(2):
        length = int(features.mask[document].sum())
        h = features.tokens[document, :length]
        before = decoder.initial(features.pooled[document])
        alpha = torch.softmax(h @ before, 0)
        context = alpha @ h
        given_to_it = torch.cat([decoder.embedding.weight[decoder.begin], torch.zeros(WIDTH)])
        s, m = cell(given_to_it, (before, torch.zeros(WIDTH)))
        scores = decoder.output(torch.tanh(decoder.from_state(s) + decoder.from_context(context)))
        scores[2] = -torch.inf
        torch.testing.assert_close(found[document, 0].exp(), torch.softmax(scores, 0), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(new.hidden[document, 0, 0], s)
        torch.testing.assert_close(new.context[document, 0], context)
        assert new.cell is not None
        torch.testing.assert_close(new.cell[document, 0, 0], m)


def test_the_global_embedding_mixes_the_label_before_with_the_mean_of_the_distribution() -> None:
    decoder = decoder_of(global_embedding=True)
    read: list[Tensor] = []
    decoder.cells[0].register_forward_pre_hook(lambda module, inputs: read.append(inputs[0][0]))
    features = features_of(documents=1)
    memory, state = decoder.start(features)
    emitted = torch.zeros(1, 1, LABELS + 1, dtype=torch.bool)
    first, state = decoder.step(memory, state, torch.tensor([[decoder.begin]]), emitted)
    decoder.step(memory, state, torch.tensor([[1]]), emitted)
    table = decoder.embedding.weight
    torch.testing.assert_close(read[0][:3], table[decoder.begin])
    mean = first[0, 0].exp() @ table[: LABELS + 1]
    assert decoder.gate_label is not None
    assert decoder.gate_average is not None
    gate = torch.sigmoid(decoder.gate_label(table[1]) + decoder.gate_average(mean))
    torch.testing.assert_close(read[1][:3], (1 - gate) * table[1] + gate * mean)


def test_additive_attention_is_the_one_of_the_paper() -> None:
    decoder = decoder_of()
    assert decoder.attend_state is not None
    assert decoder.attend_tokens is not None
    assert decoder.attend_energy is not None
    features = features_of(documents=1, length=4)
    memory, _ = decoder.start(features)
    queries = torch.randn(1, 2, WIDTH)
    h = features.tokens[0, :2]
    for place in range(2):
        energy = torch.stack(
            [
                decoder.attend_energy(
                    torch.tanh(decoder.attend_state(queries[0, place]) + decoder.attend_tokens(token))
                ).squeeze()
                for token in h
            ]
        )
        torch.testing.assert_close(decoder.attend(memory, queries)[0, place], torch.softmax(energy, 0) @ h)


def test_dot_products_need_one_width() -> None:
    with pytest.raises(ValueError, match="4 units, 6 numbers"):
        LabelDecoder(3, 6, 6, units=4, label_width=4, attention="dot")


# -- the loss ------------------------------------------------------------------------------------------------------


def test_gold_labels_are_put_in_order_and_an_empty_set_is_the_end_alone() -> None:
    head = head_of(decoder_of())
    head.order = torch.tensor([2, 0, 3, 1])
    targets = Targets(torch.tensor([0, 1, 2, 1, 3]), torch.tensor([0, 3, 3, 5]), LABELS)
    assert head.sequences(targets).tolist() == [[2, 0, 1, 4], [4, -1, -1, -1], [3, 1, 4, -1]]


@pytest.mark.parametrize("chosen", VARIANTS)
def test_all_sequences_together_have_probability_one(chosen: dict[str, Any]) -> None:
    head, features = head_of(decoder_of(**chosen)), features_of()
    total = torch.stack([scored(head, features, sequence).exp() for sequence in every_sequence(LABELS)]).sum(0)
    torch.testing.assert_close(total, torch.ones(3), atol=1e-5, rtol=1e-5)


def test_the_loss_is_a_mean_over_documents_or_over_steps_and_knows_weights() -> None:
    decoder, features = decoder_of(), features_of()
    weights = torch.tensor([1.0, 0.0, 2.0])
    targets = Targets(torch.tensor([0, 1, 3]), torch.tensor([0, 2, 2, 3]), LABELS, weights)
    head = head_of(decoder)
    first, last = (float(-scored(head, features, s)[at]) for s, at in (((0, 1), 0), ((3,), 2)))
    assert float(head.loss(features, targets)) == pytest.approx((first + 2 * last) / 3, rel=1e-5)
    per_token = head_of(decoder, per="token")
    assert float(per_token.loss(features, targets)) == pytest.approx((first + 2 * last) / (3 + 2 * 2), rel=1e-5)


def test_scheduled_sampling_reads_the_label_of_the_model_and_only_in_training() -> None:
    decoder, features = decoder_of(dropout=0.0), features_of()
    targets = Targets(torch.tensor([0, 1, 2, 3]), torch.tensor([0, 4, 4, 4]), LABELS)
    plain, sampled = head_of(decoder), head_of(decoder, sampling=0.9)
    assert torch.equal(plain.loss(features, targets), sampled.loss(features, targets))
    plain.train(), sampled.train()
    assert not torch.equal(plain.loss(features, targets), sampled.loss(features, targets))


def test_a_large_weight_of_a_label_that_came_before_has_no_gradient() -> None:
    head, features = head_of(decoder_of()), features_of(documents=1)
    with torch.enable_grad():
        head.loss(features, Targets(torch.tensor([0, 1, 2, 3]), torch.tensor([0, 4]), LABELS)).backward()  # type: ignore[no-untyped-call]
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_the_order_free_loss_asks_for_all_gold_labels_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, features = decoder_of(), features_of()
    targets = Targets(torch.tensor([0, 1, 3]), torch.tensor([0, 2, 2, 3]), LABELS)  # {0, 1}, {}, {3}
    drawn = [[1, 2, 3], [0, 4, 2], [4, 0, 4]]  # step by step: {1, 0} end; 2, end; 3, 2, end
    for per in ("document", "token"):
        left = iter(drawn)
        monkeypatch.setattr(SequenceHead, "_draw", staticmethod(lambda given, left=left: torch.tensor([next(left)]).T))
        found = head_of(decoder, objective="order_free", per=per).loss(features, targets)
        total, steps = 0.0, 0
        for document, (gold, sequence) in enumerate([({0, 1}, [1, 0, 4]), (set(), [2, 4]), ({3}, [3, 2, 4])]):
            for place in range(len(sequence)):
                before = sequence[:place]
                right = sorted(gold - set(before)) or [decoder.end]
                memory, state = decoder.start(features)
                emitted = torch.zeros(3, 1, LABELS + 1, dtype=torch.bool)
                for previous in [decoder.begin, *before]:
                    if previous < LABELS:
                        emitted[..., previous] = True
                    scores, state = decoder.step(memory, state, torch.full((3, 1), previous), emitted)
                total -= float(scores[document, 0, right].mean())
                steps += 1
        assert float(found) == pytest.approx(total / (3 if per == "document" else steps), rel=1e-5)


def forced(sequence: tuple[int, ...], end: int) -> Any:
    """Draws that give one sequence, for every document."""
    steps = iter([*sequence, end])
    return staticmethod(lambda given: torch.full((len(given), 1), next(steps)))


def test_the_f1_of_label_sets_by_hand() -> None:
    found = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
    gold = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=torch.bool)
    assert set_f1(found, gold).tolist() == [0.5, 1.0, 0.0, 1.0]


def test_the_self_critical_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, features = decoder_of(), features_of(documents=2)
    targets = Targets(torch.tensor([0, 1, 3]), torch.tensor([0, 2, 3]), LABELS)  # {0, 1}, {3}
    likely = float(head_of(decoder).loss(features, targets))
    greedy = head_of(decoder, beams=1).search(features).labels
    gold = torch.tensor([[True, True, False, False], [False, False, False, True]])
    best = torch.zeros(2, LABELS + 1, dtype=torch.bool).scatter(1, greedy % (LABELS + 1), True)[:, :LABELS]
    monkeypatch.setattr(SequenceHead, "_draw", forced((1, 3), decoder.end))  # {1, 3}: F1 2/4 and 2/3
    head = head_of(decoder, reward=3.0)
    advantage = torch.tensor([1 / 2, 2 / 3]) - set_f1(best, gold)
    expected = likely - 3 * float((advantage * scored(head, features, (1, 3))).mean())
    assert float(head.loss(features, targets)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("longest", [2, 1])
def test_the_self_critical_gradient_is_that_of_the_expected_f1(monkeypatch: pytest.MonkeyPatch, longest: int) -> None:
    decoder, features = decoder_of(2), features_of(documents=1)
    targets = Targets(torch.tensor([1]), torch.tensor([0, 1]), 2)  # {1}
    head = head_of(decoder, longest=longest)
    total = torch.zeros_like(decoder.output.weight)
    with torch.enable_grad():
        reward = torch.zeros(1)
        for sequence in every_sequence(2):
            if len(sequence) > longest:
                continue
            monkeypatch.setattr(SequenceHead, "_draw", forced(sequence, decoder.end))
            steps = scored(head, features, sequence)
            if len(sequence) == longest:  # the end that must follow is no choice
                whole = torch.tensor([[*sequence, decoder.end]])
                steps = head.log_likelihood(features, whole)[:, :-1].sum(1)
            p = steps.exp()
            f1 = 2 * (1 in sequence) / (len(sequence) + 1)
            reward = reward + p * f1
            loss = head.self_critical(features, targets).sum()
            (gradient,) = torch.autograd.grad(loss, decoder.output.weight, allow_unused=True)
            total += 0 if gradient is None else p.detach() * gradient
        (expected,) = torch.autograd.grad(reward.sum(), decoder.output.weight)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(total, -expected, atol=1e-6, rtol=1e-4)


# -- the beam ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", VARIANTS)
def test_a_wide_beam_finds_the_best_of_every_ordered_subset(chosen: dict[str, Any]) -> None:
    for seed in range(4):
        decoder, features = decoder_of(seed=seed, **chosen), features_of(seed=seed + 1)
        head = head_of(decoder, beams=65)
        found = head.search(features)
        everything = every_sequence(LABELS)
        scores = torch.stack([scored(head, features, sequence) for sequence in everything])  # (M, B)
        best = scores.argmax(0).tolist()
        assert listed(found.labels) == [list(everything[place]) for place in best]
        torch.testing.assert_close(found.scores, scores.amax(0), atol=1e-5, rtol=1e-5)
        for document, place in enumerate(best):
            expected = pooled_of(decoder, features, list(everything[place]), document)
            torch.testing.assert_close(found.pooled[document], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("chosen", VARIANTS)
def test_one_beam_is_greedy(chosen: dict[str, Any]) -> None:
    for seed in range(4):
        decoder, features = decoder_of(labels=9, seed=seed, **chosen), features_of(documents=1, seed=seed)
        greedy: list[int] = []
        memory, state = decoder.start(features)
        emitted, previous = torch.zeros(1, 1, 10, dtype=torch.bool), torch.tensor([[decoder.begin]])
        while True:
            found, state = decoder.step(memory, state, previous, emitted)
            label = int(found.argmax())
            if label == decoder.end:
                break
            greedy.append(label)
            emitted[..., label] = True
            previous = torch.tensor([[label]])
        assert listed(head_of(decoder, beams=1).search(features).labels) == [greedy]


@pytest.mark.parametrize("beams", [1, 2, 5, 9, None])
def test_labels_come_once_and_the_score_is_that_of_the_sequence_scored_again(beams: int | None) -> None:
    for seed in range(5):
        decoder, features = decoder_of(labels=12, seed=seed), features_of(documents=4, seed=seed)
        head = head_of(decoder, beams=beams)
        found = head.search(features)
        for document, labels in enumerate(listed(found.labels)):
            assert len(set(labels)) == len(labels)
            again = scored(head, features, tuple(labels))[document]
            torch.testing.assert_close(found.scores[document], again, atol=1e-4, rtol=1e-5)
        assert ((found.pooled >= 0) & (found.pooled <= 1)).all()


def test_an_exact_search_is_as_good_as_every_ordered_subset() -> None:
    for seed in range(6):
        decoder, features = decoder_of(seed=seed), features_of(seed=seed)
        head = head_of(decoder, beams=None)
        found = head.search(features)
        scores = torch.stack([scored(head, features, sequence) for sequence in every_sequence(LABELS)])
        torch.testing.assert_close(found.scores, scores.amax(0), atol=1e-5, rtol=1e-5)
        assert (found.bound <= found.scores).all()
        memory, state = decoder.start(features)
        widths = [beam_search(decoder, memory, state, beams=beams, longest=LABELS).scores for beams in (1, 65)]
        assert (widths[0] <= found.scores + 1e-5).all()
        torch.testing.assert_close(
            exact_search(decoder, memory, state, longest=LABELS).scores, widths[1], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("chosen", VARIANTS)
@pytest.mark.parametrize("beams", [1, 5])
def test_a_document_alone_and_without_padding_has_the_same_sequence(chosen: dict[str, Any], beams: int) -> None:
    decoder, features = decoder_of(labels=8, **chosen), features_of(documents=6, length=9)
    head = head_of(decoder, beams=beams)
    together = head.search(features)
    for document in range(6):
        length = int(features.mask[document].sum())
        one = TextFeatures(
            features.tokens[document : document + 1, :length],
            features.mask[document : document + 1, :length],
            features.pooled[document : document + 1],
        )
        alone = head.search(one)
        assert listed(alone.labels)[0] == listed(together.labels)[document]
        torch.testing.assert_close(alone.scores[0], together.scores[document], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.pooled[0], together.pooled[document], atol=1e-6, rtol=1e-5)


def test_all_windows_of_a_document_are_attended_to_but_not_the_skipped_tokens() -> None:
    decoder = decoder_of(attention="dot")
    whole = features_of(documents=1, length=2)
    windows = TextFeatures(
        torch.cat([torch.randn(2, 1, WIDTH), whole.tokens.transpose(0, 1)], 1),
        torch.ones(2, 2, dtype=torch.bool),
        whole.pooled.expand(2, -1),
        owner=torch.tensor([0, 0]),
        count=1,
    )
    expected, found = head_of(decoder).search(whole), head_of(decoder, skip=1).search(windows)
    torch.testing.assert_close(found.pooled, expected.pooled)
    assert listed(found.labels) == listed(expected.labels)


def test_a_text_with_nothing_to_attend_to_has_a_sequence() -> None:
    features = TextFeatures(torch.zeros(1, 3, WIDTH), torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1, 5))
    assert torch.isfinite(head_of(decoder_of()).search(features).pooled).all()


def test_sequences_end_at_the_longest_length() -> None:
    decoder = decoder_of(labels=8)
    with torch.no_grad():
        decoder.output.bias[decoder.end] = -50.0
    for longest in (0, 1, 3, 8):
        found = head_of(decoder, longest=longest).search(features_of())
        assert [len(labels) for labels in listed(found.labels)] == [longest] * 3


# -- along a taxonomy ----------------------------------------------------------------------------------------------


def order_of(pairs: list[tuple[int, int]], direction: Direction, labels: int = 6) -> tuple[TaxonomyOrder, Taxonomy]:
    edges = sorted(set(pairs))
    names = [(None, str(label)) for label in range(labels)]
    below = {child for _, child in edges}
    taxonomy = Taxonomy.from_edges(
        [pair for pair in names if int(pair[1]) not in below] + [(str(a), str(b)) for a, b in edges]
    )
    return TaxonomyOrder(np.asarray(taxonomy.edge_index), taxonomy.closure, direction), taxonomy


def allowed_sequences(order: TaxonomyOrder, labels: int) -> set[tuple[int, ...]]:
    """Every sequence that the masks let through, by walking along them."""
    found: set[tuple[int, ...]] = set()
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        chosen = waiting.pop()
        emitted = torch.zeros(1, 1, labels + 1, dtype=torch.bool)
        emitted[..., list(chosen)] = True
        allowed = order(emitted)[0, 0].tolist()
        following = [label for label in range(labels) if allowed[label] and label not in chosen]
        assert allowed[labels] or following, "a dead end"
        if allowed[labels]:
            found.add(chosen)
        waiting += [(*chosen, label) for label in following]
    return found


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.sampled_from(["top_down", "bottom_up"]))
def test_the_masks_let_exactly_the_closed_sets_through_in_every_order_of_the_direction(
    pairs: list[tuple[int, int]], direction: Direction
) -> None:
    labels = 5
    pairs = [(a, b) for a, b in pairs if b < labels]
    order, taxonomy = order_of(pairs, direction, labels)
    above = [set(taxonomy.ancestors(label).tolist()) for label in range(labels)]

    def keeps(sequence: tuple[int, ...]) -> bool:
        steps = sequence if direction == "top_down" else sequence[::-1]
        return all(above[label] <= set(steps[:place]) for place, label in enumerate(steps))

    assert allowed_sequences(order, labels) == {one for one in every_sequence(labels) if keeps(one)}


@settings(deadline=None, max_examples=40)
@given(PAIRS, st.sampled_from(["top_down", "bottom_up"]), st.integers(0, 6), st.sampled_from([1, 3, None]))
def test_a_constrained_search_never_violates_the_taxonomy(
    pairs: list[tuple[int, int]], direction: Direction, longest: int, beams: int | None
) -> None:
    order, taxonomy = order_of(pairs, direction)
    head = head_of(decoder_of(labels=6), longest=longest, beams=beams, taxonomy=order)
    for labels in listed(head.search(features_of(seed=len(pairs))).labels):
        assert all(set(taxonomy.ancestors(label).tolist()) <= set(labels) for label in labels)


@pytest.mark.parametrize("direction", ["top_down", "bottom_up"])
def test_a_constrained_search_finds_the_best_closed_sequence(direction: Direction) -> None:
    order, _ = order_of([(0, 1), (0, 2), (1, 3), (2, 3)], direction, LABELS)
    closed = sorted(allowed_sequences(order, LABELS))
    assert closed != every_sequence(LABELS)
    for seed in range(4):
        decoder, features = decoder_of(seed=seed), features_of(seed=seed)
        head = head_of(decoder, beams=65, taxonomy=order)
        scores = torch.stack([scored(head, features, sequence) for sequence in closed])
        found = head.search(features)
        assert listed(found.labels) == [list(closed[place]) for place in scores.argmax(0).tolist()]
        torch.testing.assert_close(found.scores, scores.amax(0), atol=1e-5, rtol=1e-5)


def test_masks_move_with_the_head_and_are_not_saved() -> None:
    order, _ = order_of([(0, 1)], "bottom_up")
    assert isinstance(order, nn.Module)
    assert not order.state_dict()
