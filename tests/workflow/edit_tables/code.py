"""Edits of the code, each with the jobs that it makes anew."""

from tests.workflow.edit_tables.jobs import ALL, DRAWN, NOTHING, PREDICTED, STUDENTS, TRAINED
from tests.workflow.edits import appended, each, inserted, reformatted, renamed, reordered, replaced

KD, LABELS, MSE, SHARED = (f"lskd/supervision/{way}.py" for way in ("kd", "labels", "logit_mse", "shared"))
TRAIN = "lskd/training/loop.py"
OPTIONS, DATA_KEYS = "lskd/study/config.py", "lskd/study/data_keys.py"
REGISTRY, KEYS = "lskd/study/registry.py", "lskd/study/keys.py"
OWN_OPTION = 'Option("mine", int, 3, "of its own")'
CODE = {
    "a default argument": (
        replaced(
            KD,
            "    teacher_temperature: float | None = None,\n    soft_weight: float = 1.0,",
            "    teacher_temperature: float | None = None,\n    soft_weight: float = 0.9,",
        ),
        STUDENTS,
    ),
    "a default argument of a loss not used": (
        replaced(MSE, "    *,\n    soft_weight: float = 1.0,", "    *,\n    soft_weight: float = 0.9,"),
        NOTHING,
    ),
    "a constant of the loader": (replaced("lskd/data/digits.py", "_SPLIT_SEED = 20200", "_SPLIT_SEED = 20202"), ALL),
    "a constant of the augmentation": (replaced("lskd/data/augment.py", "_GAMMA = -0x61", "_GAMMA = -0x62"), TRAINED),
    "a constant of a network's passes": (replaced("lskd/models/network.py", '{"cpu": 128,', '{"cpu": 64,'), TRAINED),
    "a constant of an optimiser not used": (
        replaced("lskd/training/optimizers.py", "0.999, 1e-8", "0.99, 1e-8"),
        NOTHING,
    ),
    "a constant of the page": (
        replaced("lskd/figures/page.py", "h2 { font-size: 1.1rem;", "h2 { font-size: 1.2rem;"),
        DRAWN,
    ),
    "a constant of the look": (replaced("lskd/figures/style.py", '"font.size": 8', '"font.size": 9'), DRAWN),
    "a constant of the snapshots": (
        replaced("lskd/jobs/catalogue.py", "SNAPSHOT_DRAWS = 600, 5", "SNAPSHOT_DRAWS = 600, 6"),
        NOTHING,
    ),
    "a published digest": (replaced("lskd/data/content.py", 'DIGITS = "09', 'DIGITS = "19'), ALL),
    "a published digest of another set": (
        replaced("lskd/data/content.py", '"c99cafc152244af753f735de768cd75f"', '"d99cafc152244af753f735de768cd75f"'),
        NOTHING,
    ),
    "a decorator gone": (
        replaced("lskd/models/network.py", "@torch.no_grad()\ndef evaluation_sums", "def evaluation_sums"),
        TRAINED,
    ),
    "a decorator of an optimiser not used": (
        replaced(
            "lskd/training/optimizers.py", "class _Adam(Optimizer):\n    @torch.no_grad()", "class _Adam(Optimizer):"
        ),
        NOTHING,
    ),
    "a method beside the others": (appended("lskd/models/mlp.py", "\n\nMLP.extra = lambda self: 1\n"), TRAINED),
    "a base class": (replaced("lskd/training/optimizers.py", "class Optimizer:", "class Optimizer(dict):"), TRAINED),
    "a statement of a module": (appended("lskd/models/plain_cnn.py", "\ntorch.manual_seed(3)\n"), STUDENTS),
    "a statement of the package": (appended("lskd/__init__.py", "import random\n\nrandom.seed(3)\n"), ALL),
    "a statement of the models' package": (
        appended("lskd/models/__init__.py", "import torch\n\ntorch.seed()\n"),
        TRAINED,
    ),
    "what each file says of itself": (inserted("lskd/jobs/work.py", "Work.origin"), ALL),
    "a formula's sign": (replaced(KD, "soft = soft * temperature**2", "soft = soft / temperature**2"), STUDENTS),
    "an entry of the table": (
        replaced(
            REGISTRY,
            '"plain_cnn": Entry("lskd.models.plain_cnn:plain_cnn"',
            '"plain_cnn": Entry("lskd.models.resnet_cifar:resnet8"',
        ),
        STUDENTS,
    ),
    "an option of a way of teaching that does something": (
        each(
            replaced(KD, "    SOFT_WEIGHT,\n", f"    {OWN_OPTION},\n    SOFT_WEIGHT,\n"),
            replaced(KD, "    soft_weight: float = 1.0,", "    mine: int,\n    soft_weight: float = 1.0,"),
        ),
        STUDENTS,
    ),
    "another family shown by a figure": (
        replaced(
            REGISTRY,
            '"lskd.figures.grid", ("accuracy",)',
            '"lskd.figures.grid", ("accuracy", "calibration")',
        ),
        {"metrics grid calibration", "figure grid"},
    ),
    "a stage's name of its file": (
        replaced("lskd/inference/predict.py", '"head.safetensors"', '"heads.safetensors"'),
        PREDICTED,
    ),
    # nothing of these can change a result
    "a comment": (replaced(KD, "def loss(", "# a comment\ndef loss("), NOTHING),
    "a comment within": (replaced(KD, "    if t_squared:", "    # a comment\n    if t_squared:"), NOTHING),
    "a docstring": (replaced(LABELS, '"""-sum_k q_k log softmax(z)_k, with q', '"""Other words, with q'), NOTHING),
    "a module's docstring": (replaced(TRAIN, '"""The one training loop', '"""That training loop'), NOTHING),
    "a class's docstring": (replaced(TRAIN, '"""A run in training:', '"""That run in training:'), NOTHING),
    "all code reformatted": (reformatted("lskd/**/*.py"), NOTHING),
    "an annotation": (replaced(KD, "    temperature: float,", "    temperature: float | int,"), NOTHING),
    "a returned annotation": (
        replaced("lskd/models/network.py", "source: Source) -> tuple[float, float]:", "source: Source) -> object:"),
        NOTHING,
    ),
    "a local's annotation": (
        replaced("lskd/training/distill.py", "held: dict[int, torch.Tensor] = {}", "held: dict[int, object] = {}"),
        NOTHING,
    ),
    "an error's text": (replaced(TRAIN, "; lower its recipe's lr", "; please lower its recipe's lr"), NOTHING),
    "an error's text in the store": (
        replaced("lskd/io/store.py", "have changed since they were written", "are others now"),
        NOTHING,
    ),
    "an error's text in the seal": (
        replaced("lskd/io/seal.py", "damaged, its bytes are not those that were written", "damaged"),
        NOTHING,
    ),
    "a log line's text": (
        replaced("lskd/training/checkpoint.py", "the run starts afresh", "the run begins again"),
        NOTHING,
    ),
    "a local's name": (renamed(KD, "loss", "soft", "part"), NOTHING),
    "a local's name in a figure": (renamed("lskd/figures/grid.py", "_panel", "smoothings", "several"), NOTHING),
    "the order of functions": (reordered("lskd/training/distill.py"), NOTHING),
    "the order of functions with constants": (reordered("lskd/training/schedules.py"), NOTHING),
    "imports in another order": (
        replaced(
            "lskd/training/distill.py",
            "from lskd.io.shared import Shared\nfrom lskd.io.store import DrawsFile, Rows, open_logits\n",
            "from lskd.io.store import DrawsFile, Rows, open_logits\nfrom lskd.io.shared import Shared\n",
        ),
        NOTHING,
    ),
    "an unused import": (replaced(KD, "from typing import TYPE", "import math\nfrom typing import TYPE"), NOTHING),
    "a new unused function": (appended(KD, "\n\ndef unused(logits_nk):\n    return logits_nk\n"), NOTHING),
    "a new unused constant": (appended("lskd/models/network.py", "\n\nUNUSED = 3\n"), NOTHING),
    "a type's alias": (
        replaced("lskd/training/schedules.py", "Recipe = dict[str, Any]", "Recipe = dict[str, object]"),
        NOTHING,
    ),
    "a new way of teaching with an option of its own": (
        each(
            appended(
                "lskd/supervision/mine.py",
                "from lskd.study.options import Option\n\nNEEDS_TEACHER = True\n"
                f"OPTIONS = ({OWN_OPTION},)\n\n\ndef loss(logits, targets, teacher_logits, *, mine):\n    return 0\n",
            ),
            replaced(REGISTRY, '    "kd": ', '    "mine": "lskd.supervision.mine",\n    "kd": '),
        ),
        NOTHING,
    ),
    "a new augmentation with an option of its own": (
        each(
            appended("lskd/data/mine.py", "def mine(images_nchw, draw, value):\n    return images_nchw\n"),
            replaced(
                REGISTRY,
                "    for augmentation in (\n",
                "    for augmentation in (\n"
                '        Augmentation("lskd.data.mine:mine", Option("mine", int, 0, "of its own", 0)),\n',
            ),
        ),
        NOTHING,
    ),
    "a new metric": (
        each(
            appended("lskd/metrics/mine.py", "def measure(runs, options):\n    return []\n"),
            replaced(
                REGISTRY,
                '    "history": ',
                '    "mine": Metric("lskd.metrics.mine:measure"),\n    "history": ',
            ),
        ),
        NOTHING,
    ),
    "a new figure": (
        each(
            appended(
                "lskd/figures/mine.py", "def table(frames, options): ...\n\ndef draw(table, frames, options): ...\n"
            ),
            replaced(
                REGISTRY,
                '    "grid": Figure',
                '    "mine": Figure("lskd.figures.mine", ()),\n    "grid": Figure',
            ),
        ),
        NOTHING,
    ),
    "a new model with an option of its own": (
        each(
            appended("lskd/models/mine.py", "def mine(num_classes, image_shape, mine=3): ...\n"),
            replaced(
                REGISTRY,
                '    "mlp": ',
                f'    "mine": Entry("lskd.models.mine:mine", ({OWN_OPTION},)),\n    "mlp": ',
            ),
        ),
        NOTHING,
    ),
    "a new schedule with an option of its own": (
        each(
            appended("lskd/training/schedules.py", "\n\ndef mine(recipe, done, epoch):\n    return 1.0\n"),
            replaced(
                REGISTRY,
                '    "linear": ',
                f'    "mine": Entry("lskd.training.schedules:mine", ({OWN_OPTION},)),\n    "linear": ',
            ),
        ),
        NOTHING,
    ),
    "a new optimiser with an option of its own": (
        each(
            appended(
                "lskd/training/optimizers.py", "\n\ndef mine(recipe, parameters):\n    return sgd(recipe, parameters)\n"
            ),
            replaced(
                REGISTRY,
                '    "sgd": ',
                f'    "mine": Entry("lskd.training.optimizers:mine", ({OWN_OPTION},)),\n    "sgd": ',
            ),
        ),
        NOTHING,
    ),
    "a new data set with an option of its own": (
        each(
            appended("lskd/data/mine.py", "def load(root, **options): ...\n"),
            replaced(
                REGISTRY,
                '    "digits": ',
                f'    "mine": DataSet("lskd.data.mine:load", ({OWN_OPTION},)),\n    "digits": ',
            ),
        ),
        NOTHING,
    ),
    "a new option that is off": (
        replaced(
            OPTIONS,
            "    grad_clip: float = off(",
            "    clip_value: float = off(0.0, 0.0, ge=0)\n    grad_clip: float = off(",
        ),
        NOTHING,
    ),
    "a new option of a model that is off": (
        replaced(
            REGISTRY,
            '"lskd.models.mlp:mlp", (WIDTH, DROPOUT)',
            '"lskd.models.mlp:mlp", (WIDTH, DROPOUT, Option("depth", int, 0, "layers", 0))',
        ),
        NOTHING,
    ),
    "a new option of distillation that is off": (
        replaced(KD, "    T_SQUARED,\n", '    Option("margin", float, 0.0, "of logits", 0.0),\n    T_SQUARED,\n'),
        NOTHING,
    ),
    "a new option of an optimiser not used": (
        replaced(
            REGISTRY,
            '"lskd.training.optimizers:adam", (MOMENTUM,)',
            '"lskd.training.optimizers:adam", (MOMENTUM, Option("beta2", float, 0.999, "beta 2"))',
        ),
        NOTHING,
    ),
    "a new option of a figure": (
        replaced(
            REGISTRY,
            '"lskd.figures.grid", ("accuracy",), (TEMPERATURES,)',
            '"lskd.figures.grid", ("accuracy",), (TEMPERATURES, Option("mine", list[str], [], "of its own", []))',
        ),
        NOTHING,
    ),
    "a new field of the runtime": (
        replaced(
            "lskd/study/runtime.py", "    compile: bool = Field", "    pin: bool = False\n    compile: bool = Field"
        ),
        NOTHING,
    ),
    "another range of an option": (
        replaced(
            OPTIONS,
            "epochs: int = beside(IMAGES, 30, ge=1, le=10000",
            "epochs: int = beside(IMAGES, 30, ge=1, le=20000",
        ),
        NOTHING,
    ),
    "an option's meaning": (
        each(
            replaced(OPTIONS, 'description="L2, of every parameter;', 'description="L2 of every parameter;'),
            replaced(REGISTRY, '"mirrored, half of the time"', '"mirrored, every other time"'),
            replaced(KEYS, '"of SGD; Adam\'s beta 1"', '"of SGD"'),
            replaced(SHARED, '"T, by which logits are divided"', '"T, a divisor of logits"'),
            replaced(LABELS, '"alpha, the probability that is taken from the label"', '"alpha"'),
        ),
        NOTHING,
    ),
    "a message": (replaced("lskd/errors.py", "the user can mend this", "a user can mend this"), NOTHING),
    "a rule's spaces": (
        replaced(
            "workflow/rules/train.smk",
            '"python -m lskd.jobs.run {log:q}"',
            '"python  -m  lskd.jobs.run  {log:q}"',
        ),
        NOTHING,
    ),
    "a rule's comment": (
        replaced("workflow/rules/train.smk", "rule train:\n", "# a comment\nrule train:\n\n"),
        NOTHING,
    ),
    "a rule's threads": (
        replaced("workflow/rules/metrics.smk", "    shell:\n", "    threads: 2\n    shell:\n"),
        NOTHING,
    ),
    "how the rules are written": (
        replaced("workflow/rules/common.smk", "import sys\nimport thr", "import sys  # a comment\nimport thr"),
        NOTHING,
    ),
    "a caption": (appended("workflow/report/figure.rst", "\nOther words.\n"), NOTHING),
    "a locked environment": (appended("envs/train.yaml", "# a comment\n"), NOTHING),
    "the profile": (appended("workflow/profiles/default/profile.yaml", "# a comment\n"), NOTHING),
    "the readme and the tests": (
        each(appended("README.md", "# lskd\n"), appended("tests/test_x.py", "X = 1\n")),
        NOTHING,
    ),
    "a paper's study": (appended("workflow/studies/muller2019.yaml", "# a comment\n"), NOTHING),
}
