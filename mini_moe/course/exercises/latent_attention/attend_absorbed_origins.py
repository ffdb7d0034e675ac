"""Lesson 02, `attend_absorbed`: whether keys and values of the heads are made, found by following every tensor."""

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mini_moe.course.checking.exercise import Wrong
from mini_moe.course.checking.observe import flatten


class _Origins(TorchDispatchMode):
    """Follows every operation on tensors, and tells ``watch`` the names of the inputs that its results come from.

    Args:
        inputs: pairs of a name and a tensor.
        watch: is called with a set of names.
    """

    def __init__(self, inputs, watch):
        super().__init__()
        self.watch = watch
        self.names, self.alive = {}, []  # by storage, which views share; alive, or its address could come again
        for name, tensor in inputs:
            self._note(tensor, {name})

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        if not str(operation).startswith(_ONLY_SHAPES):
            names = set().union(*map(self._of, _tensors((args, *kwargs.values()))))
            self.watch(names)
            for tensor in _tensors(result):
                self._note(tensor, names)
        return result

    def _of(self, tensor):
        return self.names.get(tensor.untyped_storage().data_ptr(), frozenset())

    def _note(self, tensor, names):
        self.alive.append(tensor)
        self.names[tensor.untyped_storage().data_ptr()] = self._of(tensor) | names


# Operations that take no more than shape and type from the tensors they are given.
_ONLY_SHAPES = ("aten.new_", "aten.empty_like", "aten.zeros_like", "aten.ones_like", "aten.full_like")


def _tensors(value):
    return [leaf for _, leaf in flatten(value) if isinstance(leaf, Tensor)]


_CURES = (
    ("keys", "w_uk_HPC", "Fold it into the query; then the query meets the memory as it is."),
    ("values", "w_uv_HWC", "Take the weighted mean of the latents first, and apply it to that, once."),
)


def never_expands(function, q_nope, q_rope, memory, w_uk, w_uv):
    def watch(names):
        for what, matrix, cure in _CURES:
            if names >= {"memory", matrix} and "query" not in names:
                raise Wrong(
                    f"It makes {what} of the heads, for every position: `{matrix}` meets the memory before any query "
                    f"does. {cure}",
                    mistake="expands the memory",
                )

    # One query against a longer memory, as in writing: there an einsum of three, too, chooses the cheaper way.
    arguments = q_nope[:, :, -1:].clone(), q_rope[:, :, -1:].clone(), memory.repeat(1, 8, 1), w_uk, w_uv
    names = "query", "query", "memory", "w_uk_HPC", "w_uv_HWC"
    with _Origins(zip(names, arguments, strict=True), watch):
        function(*arguments)
