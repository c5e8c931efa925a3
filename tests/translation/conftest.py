import random
from pathlib import Path

import pytest

from hbt_ray.config import TranslateConfig
from hbt_ray.model.find import model_fingerprint
from hbt_ray.translation.codec import Codec
from hbt_ray.translation.convert import convert_model
from hbt_ray.translation.translator import Translator, TranslatorSpec
from tests.translation import toy
from tests.translation.reference import TransformersEngine


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory, sentences):
    """M2M-100 that translates English to the toy language under the code `de`, without a mistake.

    Rounding moves its logits by less than 0.01 in float32 and by about 1 in int8: no processor and no engine can make
    it write something else.
    """
    directory = toy.build_toy(tmp_path_factory.mktemp("toy") / "m2m")
    rng = random.Random(4)
    longest = [" ".join(rng.choices(toy.ENGLISH, k=60)) + "." for _ in range(4)]  # every position that there is
    assert toy.least_margin(directory, [*sentences, *longest]) > 10
    return directory


@pytest.fixture(scope="session")
def random_models(tmp_path_factory):
    """A model of each family with random weights."""
    root = tmp_path_factory.mktemp("random")
    return {
        "m2m_100": toy.build_m2m(root / "m2m", **toy.WIDE),
        "nllb": toy.build_nllb(root / "nllb"),
        "marian": toy.build_marian(root / "opus-mt-en-de"),
        "marian-mul": toy.build_marian(root / "opus-mt-en-mul", ("deu", "cmn_Hans", "fra"), target_lang="mul"),
    }


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """Where models are converted to."""
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="session")
def load(converted):
    """Makes a translator from English: load(directory, engine=..., **fields of the section)."""

    def load_it(directory, *, engine="ctranslate2", **fields):
        config, name = TranslateConfig(**{"precision": "float32", **fields}), str(directory)
        if engine == "transformers":
            codec = Codec(name, name, "en")
            return Translator(codec, TransformersEngine(codec, name, config), config, "en")
        fingerprint = model_fingerprint(directory)
        place = str(convert_model(name, Path(directory), fingerprint, config.precision, converted))
        spec = TranslatorSpec(name=name, directory=place, fingerprint=fingerprint, config=config, source_lang="en")
        return spec.load("cpu", 1)

    return load_it


@pytest.fixture(scope="session")
def sentences():
    rng = random.Random(5)
    return [toy.sentence(rng, rng.choice(".?!")) for _ in range(200)]
