from contextlib import nullcontext

import pytest
import torch

from hbt_ray.model.compiled import compile_encoder
from hbt_ray.model.encoder import Encoder
from tests.model.models import TEXTS
from tests.model.test_packed import assert_same_gradients, chunks_of, gradients, vectors_of


@pytest.mark.parametrize("architecture", ["xlm-roberta"])
def test_a_compiled_encoder_computes_the_same(model_directory, architecture):
    """Traced and differentiated as with any backend; generating code for it takes minutes and is the backend's own."""
    encoder, compiled = (Encoder.load(model_directory(architecture)) for _ in range(2))
    told = compile_encoder(compiled, nullcontext, backend="aot_eager")
    assert told.used
    assert told.reason == "the encoder is compiled as one graph"
    assert all(p.grad is None for p in compiled.parameters())
    found, expected = (vectors_of(e, chunks_of(e, TEXTS, packed=False)) for e in (compiled, encoder))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert_same_gradients(gradients(compiled, found), gradients(encoder, expected))
    assert compiled.state_dict().keys() == encoder.state_dict().keys()


def test_a_failing_compiler_is_told_and_the_encoder_goes_on(model_directory):
    def broken(graph, inputs):
        raise RuntimeError("no such compiler")

    encoder = Encoder.load(model_directory("bert"))
    with pytest.warns(UserWarning, match=r"torch\.compile failed and is not used: .*no such compiler"):
        told = compile_encoder(encoder, nullcontext, backend=broken)
    assert not told.used
    assert encoder.encode(TEXTS, "query").shape == (len(TEXTS), encoder.dim)
