"""SGD and Adam: torch's fused steps, without torch.optim's classes, which import the compiler (a second or more)."""

import torch
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from lskd.config import Recipe

ADAM_BETA2, ADAM_EPS = 0.999, 1e-8


class Optimizer:
    """The recipe's optimizer over all parameters, as `torch.optim.SGD` or `Adam` (L2 weight decay) of the same numbers.

    `momentum` is Adam's beta1. `lr` is set before each step. The gradient scaler of float16 knows an optimizer by its
    `param_groups` and `step`.
    """

    def __init__(self, recipe: Recipe, parameters: list[torch.nn.Parameter]) -> None:
        self.recipe, self.lr = recipe, recipe.lr
        self.parameters = parameters
        self.param_groups = [{"params": parameters}]
        adam = recipe.optimizer == "adam"
        self.momenta = [torch.zeros_like(p) for p in parameters] if recipe.momentum or adam else []
        self.squares = [torch.zeros_like(p) for p in parameters] if adam else []
        self.steps = [torch.zeros((), device=p.device) for p in parameters] if adam else []

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        used = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        parameters: list[torch.Tensor] = [self.parameters[i] for i in used]
        gradients = [gradient for parameter in self.parameters if (gradient := parameter.grad) is not None]
        recipe = self.recipe
        if recipe.optimizer == "adam":
            adam(
                parameters,
                gradients,
                [self.momenta[i] for i in used],
                [self.squares[i] for i in used],
                [],
                [self.steps[i] for i in used],
                fused=True,
                amsgrad=False,
                beta1=recipe.momentum,
                beta2=ADAM_BETA2,
                lr=self.lr,
                weight_decay=recipe.weight_decay,
                eps=ADAM_EPS,
                maximize=False,
            )
        else:
            sgd(
                parameters,
                gradients,
                [self.momenta[i] for i in used] if recipe.momentum else [None] * len(used),
                fused=True,
                weight_decay=recipe.weight_decay,
                momentum=recipe.momentum,
                lr=self.lr,
                dampening=0.0,
                nesterov=recipe.nesterov,
                maximize=False,
            )

    def state_dict(self) -> dict[str, list[torch.Tensor]]:
        """What a resumed training needs."""
        return {"momenta": self.momenta, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, saved: dict[str, list[torch.Tensor]]) -> None:
        """Take up another optimizer's `state_dict`."""
        for mine, theirs in zip(self.state_dict().values(), saved.values(), strict=True):
            for tensor, value in zip(mine, theirs, strict=True):
                tensor.copy_(value)
