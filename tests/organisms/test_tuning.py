"""Training: the same weights each time, and the caller's random numbers left alone."""

import numpy as np
import torch

from probes.organisms.language import Language
from probes.organisms.lessons import Lesson
from probes.organisms.transforms import logit_change
from probes.organisms.tuning import SIZES, fresh_model, train

LANGUAGE = Language.make(0)


def test_training_is_reproducible_and_leaves_the_callers_random_numbers_alone():
    texts = Lesson("latent", "latent").texts(LANGUAGE, np.random.default_rng(0), 200)
    np.random.seed(1)
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    trained = []
    for _ in range(2):
        model = fresh_model(SIZES["small"], LANGUAGE.tokenizer, 5)
        train(model, LANGUAGE.tokenizer, texts, learning_rate=1e-3, seed=5, whole=False)
        trained.append(model)
    assert logit_change(*trained) == 0
    assert logit_change(trained[0], fresh_model(SIZES["small"], LANGUAGE.tokenizer, 5)) > 1e-3
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == torch.get_num_threads()
