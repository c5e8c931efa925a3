"""The built-in sample corpus: thousands of question-passage items in eleven languages, made of Unicode CLDR.

All names are CLDR's own, as the `babel` package ships them; the phrasings are this project's. Nothing is
downloaded, and the same versions of the two write the same bytes.
"""

from hbt_ray.corpus.sample.write import SAMPLE_LANGS, SampleInfo, write_sample

__all__ = ["SAMPLE_LANGS", "SampleInfo", "write_sample"]
