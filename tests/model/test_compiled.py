from contextlib import nullcontext

import pytest
import torch
import torch._dynamo

from hbt_ray.model.compiled import compile_encoder
from hbt_ray.model.encoder import Encoder
from tests.model.models import TEXTS
from tests.model.test_packed import assert_same_gradients, chunks_of, gradients, vectors_of


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["xlm-roberta"])
def test_a_compiled_encoder_computes_the_same(model_directory, architecture):
    """Traced and differentiated as with any backend; generating code for it takes minutes and is the backend's own."""
    torch._dynamo.utils.counters.clear()
    encoder, compiled = (Encoder.load(model_directory(architecture)) for _ in range(2))
    assert compile_encoder(compiled, nullcontext, backend="aot_eager")
    assert sum(torch._dynamo.utils.counters["graph_break"].values()) == 0
    assert all(p.grad is None for p in compiled.parameters())
    vectors, expected = (vectors_of(e, chunks_of(e, TEXTS, packed=False)) for e in (compiled, encoder))
    torch.testing.assert_close(vectors, expected, rtol=0, atol=1e-6)
    assert_same_gradients(gradients(compiled, vectors), gradients(encoder, expected))
    assert compiled.state_dict().keys() == encoder.state_dict().keys()


@pytest.mark.slow
def test_a_failing_compiler_is_told_and_the_encoder_goes_on(model_directory):
    def broken(graph, inputs):
        raise RuntimeError("no such compiler")

    encoder = Encoder.load(model_directory("bert"))
    with pytest.warns(UserWarning, match=r"torch\.compile failed and is not used: .*no such compiler"):
        assert not compile_encoder(encoder, nullcontext, backend=broken)
    assert encoder.encode(TEXTS, "query").shape == (len(TEXTS), encoder.dim)
