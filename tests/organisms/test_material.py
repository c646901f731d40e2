"""The concepts of organisms: what their texts tell to n-grams, and how they are dealt to splits."""

import numpy as np
import pytest

import probes
from probes.concepts.surface import text_scores
from probes.organisms.language import VOCABULARIES, Language
from probes.organisms.material import cue_concept, latent_concept
from probes.organisms.tuning import SIZES, fresh_model
from probes.stats.estimates import auroc

LANGUAGE = Language.make(0)


@pytest.mark.parametrize("cues", ["balanced", "with_label"])
def test_the_concept_tells_nothing_to_ngrams_but_the_cue(cues):
    concept = latent_concept(LANGUAGE, 0, cues)
    splits, labels, groups = concept.splits, concept.labels, concept.groups
    texts = concept.texts()
    scores = text_scores(texts, labels, groups, np.flatnonzero(splits == "train"))
    test = splits == "test"
    wording = np.array([e.shift == "wording" for e in concept.examples])
    for name, values in scores.items():
        area = auroc(values[test], labels[test])
        if cues == "with_label" and name != "length":
            assert area > 0.99, name
        else:
            assert abs(area - 0.5) < 0.12, name
        assert abs(auroc(values[wording], labels[wording]) - 0.5) < 0.12, name
    words_of = {
        use: {w for v in vs for side in LANGUAGE.words[v] for w in side} for use, vs in VOCABULARIES.items()
    }
    for example, split, shifted in zip(concept.examples, splits, wording, strict=True):
        use = "wording" if shifted else split
        named = {example.text[a:b] for a, b in example.evidence}
        assert len(named & words_of[use]) == 2
        words_of_others = set().union(*(words_of[other] for other in words_of if other != use))
        assert not set(example.text.split()) & words_of_others


def test_choice_items_render_and_templates_stay_in_their_split():
    concept = latent_concept(LANGUAGE, 0)
    for any_concept in (concept, cue_concept(LANGUAGE, 0)):
        homes = {}
        for example in any_concept.examples:
            homes.setdefault(example.template, set()).add((example.split, example.shift))
        assert all(len(home) == 1 for home in homes.values())
    untrained = probes.LoadedStage.from_model(
        fresh_model(SIZES["small"], LANGUAGE.tokenizer, 0), LANGUAGE.tokenizer
    )
    scores = probes.score_choices(untrained, concept.choices)
    assert np.isfinite(scores.summed).all()
    np.testing.assert_allclose(scores.summed, scores.per_token)  # options of one token


def test_the_text_of_an_item_turned_round_differs_in_what_the_concept_is_about():
    for concept, n_words in ((latent_concept(LANGUAGE, 0), 2), (cue_concept(LANGUAGE, 0, asked=True), 1)):
        assert {item.split for item in concept.choices} == {"train", "select", "test"}
        for item in concept.choices:
            words = zip(item.prompt.split(), item.reversed.split(), strict=True)
            assert sum(a != b for a, b in words) == n_words, item.id
    cue = cue_concept(LANGUAGE, 0, asked=True)
    assert {example.shift for example in cue.examples} == {None, "wording"}
    assert all("fes" in item.prompt for item in cue.choices)
    assert not cue_concept(LANGUAGE, 0).choices
