"""The names a config may use, each with the code behind it as "module:function" and the keys that it takes.

To add a data set, a model, a way of teaching, an augmentation, a schedule, an optimiser, a metric or a figure: its
file, and a line here (docs/extending.md). A job's fingerprint follows only the entries that its run names, so a new
line touches no finished result. No torch: planning reads this.
"""

from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from lskd.study.keys import (
    CLASSES,
    CORPUS_OPTIONS,
    DECAY,
    DECODING,
    DROPOUT,
    ENCODED,
    GLYPH_OPTIONS,
    LEAKS,
    MARGIN,
    MILESTONES,
    MOMENTUM,
    NESTEROV,
    REFERENCE,
    SIMILAR,
    SMALL_IMAGES,
    STEP_EPOCHS,
    T1,
    T2,
    TARGETS,
    TEMPERATURES,
    TEST_FRACTION,
    WIDTH,
)
from lskd.study.options import (
    AreasAndRatios,
    Ascending,
    OperationsAndMagnitude,
    Option,
    Weight,
)

IMAGES, TRANSLATION = "images", "translation"  # tasks: what a batch, a network and a metric are about
BOTH = (IMAGES, TRANSLATION)


class DataSet(NamedTuple):
    """A data set: its loader and keys, whether it is a user's own, named after its place, whether it has files, and
    its task. A corpus' module tells, by `files`, what its content is made of.

    Of one that is published: `folder`, its root below data/ unless given; `parts`, the files and folders that it needs
    there (of () the root itself), without which it can be planned and not made; `also`, those that count where they
    are there; `splits`, which it brings along beside train and test. None: nothing of it is known.
    """

    entry: str
    options: tuple[Option, ...] = ()
    is_own: bool = False
    has_files: bool = True
    task: str = IMAGES
    folder: str = ""
    parts: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


DATASETS = {
    "digits": DataSet("lskd.data.digits:load", (TEST_FRACTION,)),
    "glyphs": DataSet("lskd.data.glyphs:load", GLYPH_OPTIONS, has_files=False),
    "mnist": DataSet("lskd.data.torchvision_sets:load_mnist"),
    "fashion_mnist": DataSet("lskd.data.torchvision_sets:load_fashion_mnist"),
    "cifar10": DataSet("lskd.data.torchvision_sets:load_cifar10"),
    "cifar100": DataSet("lskd.data.torchvision_sets:load_cifar100"),
    "imagenet": DataSet(
        *("lskd.data.imagenet:load", ENCODED),
        folder="imagenet",
        parts=("train", "val"),
        also=("ILSVRC2012_devkit_t12",),
    ),
    "imagenet_lt": DataSet(
        *("lskd.data.imagenet_lt:load", ENCODED),
        folder="imagenet",
        parts=("ImageNet_LT_train.txt", "ImageNet_LT_val.txt", "ImageNet_LT_test.txt", "train", "val"),
        splits=("val",),
    ),
    "places365_lt": DataSet(
        *("lskd.data.places365_lt:load", ENCODED),
        folder="places365",
        parts=("Places_LT_train.txt", "Places_LT_val.txt", "Places_LT_test.txt", "train", "val"),
        splits=("val",),
    ),
    "inat2019": DataSet(
        *("lskd.data.inat2019:load", ENCODED),
        folder="inat2019",
        parts=("train2019.json", "val2019.json", "train_val2019"),
        also=("categories.json",),
    ),
    "imaterialist2019": DataSet(
        *("lskd.data.imaterialist2019:load", ENCODED),
        folder="imaterialist2019",
        parts=("train.json", "val.json", "train", "val"),
        also=("product_tree.json",),
    ),
    "cub200": DataSet(
        *("lskd.data.cub200:load", ENCODED),
        folder="CUB_200_2011",
        parts=("images.txt", "image_class_labels.txt", "train_test_split.txt", "images"),
    ),
    "tiny_imagenet": DataSet(
        *("lskd.data.tiny_imagenet:load", ENCODED),
        folder="tiny-imagenet-200",
        parts=("wnids.txt", "words.txt", "train", "val"),
    ),
    "imagefolder": DataSet("lskd.data.imagefolder:load", (TEST_FRACTION, *ENCODED), is_own=True),
    "npz": DataSet("lskd.data.npz:load", (TEST_FRACTION,), is_own=True),
    "hf_dataset": DataSet("lskd.data.hf_dataset:load", (TEST_FRACTION, *ENCODED), is_own=True),
    "help_extract": DataSet("lskd.translation.help_extract:load", CORPUS_OPTIONS, task=TRANSLATION),
    "libreoffice_help": DataSet("lskd.translation.libreoffice:load", CORPUS_OPTIONS, task=TRANSLATION),
    "gettext": DataSet("lskd.translation.gettext_catalogues:load", CORPUS_OPTIONS, task=TRANSLATION),
    "iwslt14": DataSet(
        *("lskd.translation.iwslt:load", CORPUS_OPTIONS), task=TRANSLATION, parts=(), splits=("val", "test")
    ),
    "wmt14": DataSet(
        *("lskd.translation.wmt14:load", CORPUS_OPTIONS), task=TRANSLATION, parts=(), splits=("val", "test")
    ),
    "aligned": DataSet("lskd.translation.aligned:load", (*CORPUS_OPTIONS, LEAKS), task=TRANSLATION),
}
IMAGE_SETS = [name for name, dataset in DATASETS.items() if dataset.task == IMAGES]
EMBEDDED = ("digits", "glyphs", "help_extract")  # which come with a package, and lie in no place of the user's


class Entry(NamedTuple):
    """A function, the keys that it takes, each passed by its name, and its task."""

    entry: str
    options: tuple[Option, ...] = ()
    task: str = IMAGES


Updates = Annotated[int, Field(ge=1, le=10**7)]
TASKS = {  # each with the keys that its recipes take beside the common ones; lskd/study/config.py has those of images
    IMAGES: Entry(""),
    TRANSLATION: Entry(
        "",
        (
            Option("updates", Updates, 500, "steps of the optimiser, Adam (0.9, 0.98)"),
            Option("tokens", Annotated[int, Field(ge=64, le=2**20)], 4096, "target tokens of a batch, at most"),
            Option(
                "warmup_updates",
                Updates,
                400,
                "updates in which lr rises linearly; then it falls with 1/sqrt(update) (Vaswani 2017)",
            ),
            Option("dropout", Annotated[float, Field(ge=0, lt=1)], 0.1, "probability that a unit is left out"),
            Option("validate_updates", Updates, 100, "updates between two looks at val"),
            Option(
                "snapshot_updates", Ascending[Updates], [], "updates after which weights are kept, for curves", off=[]
            ),
        ),
        TRANSLATION,
    ),
}


MODELS = {
    "mlp": Entry("lskd.models.mlp:mlp", (WIDTH, DROPOUT)),
    "plain_cnn": Entry("lskd.models.plain_cnn:plain_cnn", (WIDTH,)),
    "resnet8": Entry("lskd.models.resnet_cifar:resnet8", (WIDTH,)),
    "resnet20": Entry("lskd.models.resnet_cifar:resnet20", (WIDTH,)),
    "resnet56": Entry("lskd.models.resnet_cifar:resnet56", (WIDTH,)),
    "alexnet_cifar": Entry("lskd.models.alexnet_cifar:alexnet_cifar", (WIDTH, DROPOUT)),
    "cifar_resnet18": Entry("lskd.models.cifar_forms:cifar_resnet18"),
    "cifar_resnet50": Entry("lskd.models.cifar_forms:cifar_resnet50"),
    "cifar_densenet121": Entry("lskd.models.cifar_forms:cifar_densenet121"),
    "cifar_mobilenet_v2": Entry("lskd.models.compact_cifar:cifar_mobilenet_v2", (WIDTH,)),
    "cifar_shufflenet_v2": Entry("lskd.models.compact_cifar:cifar_shufflenet_v2", (WIDTH,)),
    "cifar_googlenet": Entry("lskd.models.googlenet_cifar:cifar_googlenet"),
    "resnext29_8x64d": Entry("lskd.models.resnext_cifar:resnext29_8x64d"),
    "reactnet18": Entry("lskd.models.reactnet:reactnet18", (WIDTH,)),
    "transformer_small": Entry("lskd.translation.model:transformer_small", task=TRANSLATION),
    "transformer_papers": Entry("lskd.translation.model:transformer_papers", task=TRANSLATION),
    "transformer_wmt_en_de": Entry("lskd.translation.model:transformer_wmt_en_de", task=TRANSLATION),
    "transformer_iwslt_de_en": Entry("lskd.translation.model:transformer_iwslt_de_en", task=TRANSLATION),
}
TORCHVISION = Entry("lskd.models.torchvision_models:torchvision_model")  # every other name is one of torchvision's
TIMM = Entry("lskd.models.timm_models:timm_model")  # but those that begin with this:
TIMM_PREFIX = "timm/"

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

SUPERVISIONS = {  # each file has OPTIONS, NEEDS_TEACHER and a loss
    "labels": "lskd.supervision.labels",
    "maxsup": "lskd.supervision.maxsup",
    "online_smoothing": "lskd.supervision.online_smoothing",
    "squared_error": "lskd.supervision.squared_error",
    "tf_kd_reg": "lskd.supervision.tf_kd_reg",
    "kd": "lskd.supervision.kd",
    "kd_top_k": "lskd.supervision.kd_top_k",
    "kd_sample": "lskd.supervision.kd_sample",
    "logit_mse": "lskd.supervision.logit_mse",
    "dkd": "lskd.supervision.dkd",
    "dist": "lskd.supervision.dist",
    "nkd": "lskd.supervision.nkd",
    "wsld": "lskd.supervision.wsld",
    "wttm": "lskd.supervision.wttm",
    "standardized_kd": "lskd.supervision.standardized_kd",
}


class Supervision(NamedTuple):
    """A way of teaching, as its file tells it; `end_epoch` is what changes the state of a loss that keeps one, `form`
    in which a translator's logits are stored for it.
    """

    entry: str
    options: tuple[Option, ...]
    needs_teacher: bool
    end_epoch: str = ""
    tasks: tuple[str, ...] = (IMAGES,)
    form: str = ""


def supervisions() -> dict[str, Supervision]:
    """Every way of teaching, by name."""
    ways = {}
    for name, module_name in SUPERVISIONS.items():
        module: Any = import_module(module_name)
        end_epoch = f"{module_name}:end_epoch" if hasattr(module, "end_epoch") else ""
        tasks, form = getattr(module, "TASKS", (IMAGES,)), getattr(module, "FORM", "")
        ways[name] = Supervision(f"{module_name}:loss", module.OPTIONS, module.NEEDS_TEACHER, end_epoch, tasks, form)
    return ways


TRANSFORMS = {  # each file has OPTIONS, a transform, and FITS where something is fitted on val
    "erase": "lskd.transforms.erase",
    "shuffle": "lskd.transforms.shuffle",
    "randomize": "lskd.transforms.randomize",
    "calibrate": "lskd.transforms.calibrate",
}


class Transform(NamedTuple):
    """What is done to a teacher's stored logits, as its file tells it; `fits` is what is fitted on val for it."""

    entry: str = ""
    options: tuple[Option, ...] = ()
    fits: str = ""


def transforms() -> dict[str, Transform]:
    """Every transform, by name; none is the logits as they are."""
    known = {"none": Transform()}
    for name, module_name in TRANSFORMS.items():
        module: Any = import_module(module_name)
        known[name] = Transform(f"{module_name}:transform", module.OPTIONS, getattr(module, "FITS", ""))
    return known


class Augmentation(NamedTuple):
    """How training images are changed: a key of the recipes. `mixes`: it blends each image with another. `frames`: it
    chooses the part of an image that is seen at all, before the others.
    """

    entry: str
    option: Option
    mixes: bool = False
    frames: bool = False


Degrees = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]

AUGMENTATIONS = {  # applied in this order
    augmentation.option.name: augmentation
    for augmentation in (
        Augmentation(
            "lskd.data.resized_crop:frames",
            Option(
                "resized_crop",
                AreasAndRatios,
                [],
                "[least, most share of the area, least, most width by height]: a random part, resized (Szegedy 2015)",
                off=[],
                short="rrc",
            ),
            frames=True,
        ),
        Augmentation(
            "lskd.data.augment:crop",
            Option(
                "crop_padding", Annotated[int, Field(ge=0, le=64)], 0, "random shift by up to so many pixels", 0, "crop"
            ),
        ),
        Augmentation("lskd.data.augment:flip", Option("flip", bool, False, "mirrored, half of the time", False)),
        Augmentation(
            "lskd.data.rotation:rotation",
            Option("rotation", Degrees, 0.0, "turned by an angle from ± so many degrees, to the nearest pixels", 0.0),
        ),
        Augmentation(
            "lskd.data.rotation:rotation_bilinear",
            Option("rotation_bilinear", Degrees, 0.0, "the same, bilinear between pixels", 0.0),
        ),
        Augmentation(
            "lskd.data.colour:grey", Option("grey", Weight, 0.0, "probability that colours are taken away", 0.0)
        ),
        Augmentation(
            "lskd.data.colour:jitter",
            Option("jitter", Weight, 0.0, "brightness and contrast times factors from 1 ± this, in either order", 0.0),
        ),
        Augmentation(
            "lskd.data.randaugment:randaugment",
            Option(
                "randaugment", OperationsAndMagnitude, [], "[operations, magnitude of 0 to 30] (Cubuk 2020)", off=[]
            ),
        ),
        Augmentation(
            "lskd.data.mixup:mixup",
            Option(
                "mixup",
                Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)],
                0.0,
                "blended with another image, by a share drawn from Beta(mixup, mixup) (Zhang 2018)",
                0.0,
            ),
            mixes=True,
        ),
        Augmentation(
            "lskd.data.cutmix:cutmix",
            Option(
                "cutmix",
                Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)],
                0.0,
                "with a box of another image in it, of a share drawn from Beta(cutmix, cutmix) (Yun 2019)",
                0.0,
            ),
            mixes=True,
        ),
    )
}

SCHEDULES = {
    "constant": Entry("lskd.training.schedules:constant"),
    "step": Entry("lskd.training.schedules:step", (STEP_EPOCHS, DECAY)),
    "multistep": Entry("lskd.training.schedules:multistep", (MILESTONES, DECAY)),
    "cosine": Entry("lskd.training.schedules:cosine"),
    "linear": Entry("lskd.training.schedules:linear"),
}

OPTIMIZERS = {
    "sgd": Entry("lskd.training.optimizers:sgd", (MOMENTUM, NESTEROV)),
    "adam": Entry("lskd.training.optimizers:adam", (MOMENTUM,)),
}


class Metric(NamedTuple):
    """A metric family: its entry point, its keys, the stage of each run (and of its teacher) that it reads."""

    entry: str
    options: tuple[Option, ...] = ()
    reads: str = "predict"
    teacher_reads: str = ""


METRICS = {
    "accuracy": Metric("lskd.metrics.accuracy:measure"),
    "correct": Metric("lskd.metrics.accuracy:correct"),
    "teacher_accuracy": Metric("lskd.metrics.accuracy:of_teachers", teacher_reads="predict"),
    "calibration": Metric("lskd.metrics.calibration:measure"),
    "reliability": Metric("lskd.metrics.reliability:measure"),
    "stability": Metric("lskd.metrics.stability:measure"),
    "diffusion": Metric("lskd.metrics.diffusion:measure", (TARGETS, SIMILAR, T1, T2), teacher_reads="predict"),
    "class_sizes": Metric("lskd.metrics.class_sizes:measure"),
    "clusters": Metric("lskd.metrics.clusters:measure", (CLASSES,)),
    "projection": Metric("lskd.metrics.projection:measure", (CLASSES,)),
    "smoothness": Metric("lskd.metrics.smoothness:measure", (TEMPERATURES,)),
    "probabilities": Metric("lskd.metrics.probabilities:measure", (TEMPERATURES,)),
    "information": Metric("lskd.metrics.information:measure", (CLASSES,), reads="snapshots"),
    "agreement": Metric("lskd.metrics.agreement:measure", teacher_reads="predict"),
    "history": Metric("lskd.metrics.history:measure", reads="train", teacher_reads="predict"),
    "taught": Metric("lskd.metrics.taught:measure", reads="train", teacher_reads="predict"),
    "bleu": Metric("lskd.metrics.bleu:measure", reads="translate"),
    "bleu_history": Metric("lskd.metrics.bleu:along_training", reads="translate_snapshots"),
    "bleu_bootstrap": Metric("lskd.metrics.bleu:bootstrap", reads="translate"),
    "next_token": Metric("lskd.metrics.next_token:measure", reads="translate"),
    "next_token_reliability": Metric("lskd.metrics.next_token:reliability", reads="translate"),
    "token_targets": Metric("lskd.metrics.token_targets:measure", reads="train"),
}
OF_TRANSLATION = {  # families of images, and what stands for them where a figure shows both tasks
    "accuracy": "bleu",
    "correct": "bleu_bootstrap",
}
COMPLEXITY = "complexity"  # the family that reads networks and no run
DATA_CARD = "data_card"  # the family that reads data and no run


class Figure(NamedTuple):
    """A figure kind: its module (FORMULA, `table`, `draw`), the metric families that it shows, the keys that it uses
    itself, and the papers whose numbers it shows in every study (those of a paper's own study are beside its figures
    anyway). `judges`: of which networks it tests what a study claims, its students or all, so that making it is a look
    and its study can be registered; none: it claims nothing. `tasks`: of what it can show.
    """

    module: str
    families: tuple[str, ...]
    own_options: tuple[Option, ...] = ()
    papers: tuple[str, ...] = ()
    judges: Literal["none", "students", "all"] = "none"
    tasks: tuple[str, ...] = (IMAGES,)

    def families_of(self, task: str) -> tuple[str, ...]:
        """The metric families that it shows of a task: of translation those that stand for the images'."""
        if self.tasks != BOTH or task == IMAGES:
            return self.families
        return tuple(OF_TRANSLATION[name] for name in self.families if name in OF_TRANSLATION)

    @property
    def options(self) -> tuple[Option, ...]:
        """The keys of a figure of this kind: its own and those of its families."""
        families = [option for name in self.families if name in METRICS for option in METRICS[name].options]
        by_name = {option.name: option for option in (TEMPERATURES, *self.own_options, *families)}
        return tuple(by_name.values())


FIGURES = {
    "accuracy_table": Figure("lskd.figures.accuracy_table", ("accuracy",), (TEMPERATURES,)),
    "best_smoothing": Figure("lskd.figures.best_smoothing", ("accuracy",)),
    "calibration_table": Figure("lskd.figures.calibration_table", ("calibration",)),
    "causes": Figure(
        "lskd.figures.causes", ("accuracy", "taught", "calibration"), (MARGIN, REFERENCE), judges="students"
    ),
    "classes_gain": Figure("lskd.figures.classes_gain", ("accuracy", "class_sizes"), (MARGIN,), judges="all"),
    "clusters": Figure("lskd.figures.clusters", ("projection", "clusters"), (CLASSES,)),
    "complexity": Figure("lskd.figures.complexity", (COMPLEXITY,), (SMALL_IMAGES,)),
    "curves": Figure("lskd.figures.curves", ("history",), (TEMPERATURES,)),
    "data_card": Figure("lskd.figures.data_card", (DATA_CARD,)),
    "diffusion": Figure("lskd.figures.diffusion", ("diffusion",), (TARGETS,)),
    "error_table": Figure("lskd.figures.error_table", ("accuracy",), (TEMPERATURES,)),
    "gamma_curve": Figure("lskd.figures.gamma_curve", ("accuracy", "smoothness")),
    "grid": Figure("lskd.figures.grid", ("accuracy",), (TEMPERATURES,), tasks=BOTH),
    "information": Figure("lskd.figures.information", ("information",), (CLASSES,)),
    "inter_stability": Figure("lskd.figures.inter_stability", ("stability", "accuracy")),
    "probabilities": Figure("lskd.figures.probabilities", ("probabilities",)),
    "projection": Figure("lskd.figures.projection", ("projection",), (CLASSES, TEMPERATURES)),
    "projection_muller": Figure("lskd.figures.projection_muller", ("projection",), (CLASSES,)),
    "reliability": Figure("lskd.figures.reliability", ("reliability", "calibration")),
    "settings": Figure("lskd.figures.settings", ("accuracy", "teacher_accuracy")),
    "smoothed_loss": Figure("lskd.figures.smoothed_loss", ()),
    "soft_targets": Figure("lskd.figures.soft_targets", ("probabilities",), (CLASSES, TEMPERATURES)),
    "stability": Figure("lskd.figures.stability", ("stability", "accuracy")),
    "summary": Figure("lskd.figures.summary", ("accuracy", "diffusion"), (MARGIN,), papers=("chandrasegaran2022",)),
    "teacher_student": Figure("lskd.figures.teacher_student", ("accuracy",), (TEMPERATURES,)),
    "verdict": Figure(
        "lskd.figures.verdict",
        ("accuracy", "correct", "diffusion", "stability", "calibration"),
        (MARGIN,),
        judges="students",
        tasks=BOTH,
    ),
    "bleu_curves": Figure("lskd.figures.bleu_curves", ("bleu_history",), (TEMPERATURES,), tasks=(TRANSLATION,)),
    "decoding": Figure("lskd.figures.decoding", ("bleu", "next_token"), (DECODING,), tasks=(TRANSLATION,)),
    "token_calibration_table": Figure("lskd.figures.token_calibration_table", ("next_token",), tasks=(TRANSLATION,)),
    "token_reliability": Figure(
        "lskd.figures.token_reliability", ("next_token_reliability", "next_token"), tasks=(TRANSLATION,)
    ),
    "truncation": Figure(
        "lskd.figures.truncation", ("bleu", "token_targets"), (TEMPERATURES,), judges="students", tasks=(TRANSLATION,)
    ),
}
