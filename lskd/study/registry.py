"""The names a config may use, each with the code behind it as "module:function".

Nothing is imported here: a job's fingerprint follows only the entries that its run names, so adding a line to a table
touches no finished result.
"""

from typing import NamedTuple

DATASETS = {
    "digits": "lskd.data.digits:load",
    "mnist": "lskd.data.torchvision_sets:load_mnist",
    "fashion_mnist": "lskd.data.torchvision_sets:load_fashion_mnist",
    "cifar10": "lskd.data.torchvision_sets:load_cifar10",
    "cifar100": "lskd.data.torchvision_sets:load_cifar100",
    "imagefolder": "lskd.data.imagefolder:load",
}

MODELS = {
    "mlp": "lskd.models.mlp:mlp",
    "plain_cnn": "lskd.models.plain_cnn:plain_cnn",
    "resnet8": "lskd.models.resnet_cifar:resnet8",
    "resnet20": "lskd.models.resnet_cifar:resnet20",
    "resnet56": "lskd.models.resnet_cifar:resnet56",
    "alexnet_cifar": "lskd.models.alexnet_cifar:alexnet_cifar",
}
TORCHVISION = "lskd.models.torchvision_models:torchvision_model"  # every other name is one of torchvision's

# torchvision.models.list_models(module=torchvision.models), kept equal by a test
TORCHVISION_NAMES = tuple(
    """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf
    regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf
    regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152
    resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5
    shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t
    swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32
    vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
    """.split()
)

LOSSES = {
    "cross_entropy": "lskd.supervision.losses:cross_entropy",
    "smoothed_cross_entropy": "lskd.supervision.losses:smoothed_cross_entropy",
    "kd": "lskd.supervision.losses:kd",
    "logit_mse": "lskd.supervision.losses:logit_mse",
}


SCHEDULES = {name: f"lskd.training.schedules:{name}" for name in ("constant", "step", "multistep", "cosine", "linear")}

OPTIMIZERS = {"sgd": "lskd.training.optimizers:sgd", "adam": "lskd.training.optimizers:adam"}


class Metric(NamedTuple):
    """A metric family: its entry point, the stage of each run (and of its teacher) that it reads, its options."""

    entry: str
    reads: str = "predict"
    teacher_reads: str = ""
    options: tuple[str, ...] = ()


METRICS = {
    "accuracy": Metric("lskd.metrics.accuracy:measure"),
    "calibration": Metric("lskd.metrics.calibration:measure"),
    "reliability": Metric("lskd.metrics.reliability:measure"),
    "stability": Metric("lskd.metrics.stability:measure"),
    "diffusion": Metric("lskd.metrics.diffusion:measure", "predict", "predict", ("targets", "similar", "t1", "t2")),
    "clusters": Metric("lskd.metrics.clusters:measure", options=("classes",)),
    "projection": Metric("lskd.metrics.projection:measure", options=("classes",)),
    "smoothness": Metric("lskd.metrics.smoothness:measure", options=("temperatures",)),
    "probabilities": Metric("lskd.metrics.probabilities:measure", options=("temperatures",)),
    "information": Metric("lskd.metrics.information:measure", "snapshots", options=("classes",)),
    "agreement": Metric("lskd.metrics.agreement:measure", "predict", "predict"),
    "history": Metric("lskd.metrics.history:measure", "train"),
}


class Figure(NamedTuple):
    """A figure kind: its module (with `table` and `draw`), the metric families that it shows, the options of the config
    that it uses itself, and the papers whose numbers it shows in every study (those of a paper's own study are beside
    its figures anyway).
    """

    module: str
    families: tuple[str, ...]
    options: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()


FIGURES = {
    "accuracy_table": Figure("lskd.figures.accuracy_table", ("accuracy",), ("temperatures",)),
    "calibration_table": Figure("lskd.figures.calibration_table", ("calibration",)),
    "clusters": Figure("lskd.figures.clusters", ("projection", "clusters"), ("classes",)),
    "complexity": Figure("lskd.figures.complexity", ("complexity",)),
    "curves": Figure("lskd.figures.curves", ("history",), ("temperatures",)),
    "diffusion": Figure("lskd.figures.diffusion", ("diffusion",), ("targets",)),
    "error_table": Figure("lskd.figures.error_table", ("accuracy",), ("temperatures",)),
    "gamma_curve": Figure("lskd.figures.gamma_curve", ("accuracy", "smoothness")),
    "grid": Figure("lskd.figures.grid", ("accuracy",), ("temperatures",)),
    "information": Figure("lskd.figures.information", ("information",), ("classes",)),
    "inter_stability": Figure("lskd.figures.inter_stability", ("stability", "accuracy")),
    "probabilities": Figure("lskd.figures.probabilities", ("probabilities",)),
    "projection": Figure("lskd.figures.projection", ("projection",), ("classes", "temperatures")),
    "projection_muller": Figure("lskd.figures.projection_muller", ("projection",), ("classes",)),
    "reliability": Figure("lskd.figures.reliability", ("reliability", "calibration")),
    "smoothed_loss": Figure("lskd.figures.smoothed_loss", ()),
    "soft_targets": Figure("lskd.figures.soft_targets", ("probabilities",), ("classes", "temperatures")),
    "stability": Figure("lskd.figures.stability", ("stability", "accuracy")),
    "summary": Figure("lskd.figures.summary", ("accuracy", "diffusion"), papers=("chandrasegaran2022",)),
    "verdict": Figure("lskd.figures.verdict", ("accuracy", "diffusion", "stability")),
}
