"""SGD and Adam: torch's fused steps, without torch.optim's classes, which import the compiler (a second or more)."""

from typing import Any

import torch
from torch.optim.adam import adam as adam_step
from torch.optim.sgd import sgd as sgd_step

ADAM_BETA2, ADAM_EPS = 0.999, 1e-8

Recipe = dict[str, Any]  # of a spec: what is off is left out
Parameters = list[torch.nn.Parameter]


class Optimizer:
    """What both have: parameters, `lr`, which is set before each step, and a state of tensors.

    The gradient scaler of float16 knows an optimizer by its `param_groups` and `step`.
    """

    def __init__(self, recipe: Recipe, parameters: Parameters, **state: list[torch.Tensor]) -> None:
        self.recipe, self.lr = recipe, recipe["lr"]
        self.parameters, self.state = parameters, state
        self.param_groups = [{"params": parameters}]

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def used(self) -> tuple[list[int], list[torch.Tensor], list[torch.Tensor]]:
        """The places of the parameters that have a gradient, these parameters, and their gradients."""
        places = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        gradients = [gradient for parameter in self.parameters if (gradient := parameter.grad) is not None]
        return places, [self.parameters[i] for i in places], gradients

    def state_dict(self) -> dict[str, list[torch.Tensor]]:
        """What a resumed training needs."""
        return self.state

    def load_state_dict(self, saved: dict[str, list[torch.Tensor]]) -> None:
        """Take up another optimizer's `state_dict`."""
        for name, tensors in self.state.items():
            for tensor, value in zip(tensors, saved[name], strict=True):
                tensor.copy_(value)


class _Sgd(Optimizer):
    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        places, parameters, gradients = self.used()
        momenta = self.state["momenta"]
        sgd_step(
            parameters,
            gradients,
            [momenta[i] for i in places] if momenta else [None] * len(places),
            fused=True,
            weight_decay=self.recipe["weight_decay"],
            momentum=self.recipe["momentum"],
            lr=self.lr,
            dampening=0.0,
            nesterov=self.recipe.get("nesterov", False),
            maximize=False,
        )


class _Adam(Optimizer):
    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        places, parameters, gradients = self.used()
        adam_step(
            parameters,
            gradients,
            [self.state["momenta"][i] for i in places],
            [self.state["squares"][i] for i in places],
            [],
            [self.state["steps"][i] for i in places],
            fused=True,
            amsgrad=False,
            beta1=self.recipe["momentum"],
            beta2=ADAM_BETA2,
            lr=self.lr,
            weight_decay=self.recipe["weight_decay"],
            eps=ADAM_EPS,
            maximize=False,
        )


def sgd(recipe: Recipe, parameters: Parameters) -> Optimizer:
    """As `torch.optim.SGD` of the recipe's momentum, nesterov and weight_decay (L2)."""
    return _Sgd(recipe, parameters, momenta=_zeros(parameters) if recipe["momentum"] else [])


def adam(recipe: Recipe, parameters: Parameters) -> Optimizer:
    """As `torch.optim.Adam` of the recipe's weight_decay (L2), its momentum as beta1."""
    steps = [torch.zeros((), device=parameter.device) for parameter in parameters]
    return _Adam(recipe, parameters, momenta=_zeros(parameters), squares=_zeros(parameters), steps=steps)


def _zeros(parameters: Parameters) -> list[torch.Tensor]:
    return [torch.zeros_like(parameter) for parameter in parameters]
