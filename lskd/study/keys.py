"""Keys that entries of the registry share: each of these means the same wherever it is."""

from typing import Annotated, Literal

from pydantic import Field

from lskd.study.options import REQUIRED, Ascending, Language, Option, Temperature

TEST_FRACTION = Option(
    "test_fraction",
    Annotated[float, Field(gt=0, lt=0.5)],
    0.2,
    "part of the data that becomes test, where the data come without",
)
IMAGE_SIZE = Option("image_size", Annotated[int, Field(ge=8, le=1024)], 64, "pixels of the square crop")
GLYPH_OPTIONS = (
    Option("classes", Annotated[int, Field(ge=10, le=1000)], 64, "letters, those with the most relatives first"),
    Option("images", Annotated[int, Field(ge=4, le=10000)], 60, "of each class, for training and val"),
    Option("test_images", Annotated[int, Field(ge=1, le=10000)], 60, "of each class, for test"),
    Option("pixels", Literal[16, 28], 16, "a side"),
    Option(
        "distortion", Annotated[float, Field(ge=0, le=2)], 1.0, "how far each is turned, sheared, blurred and so on"
    ),
    Option(
        "test_faces", Annotated[int, Field(ge=0, le=8)], 0, "typefaces of 16 that test alone shows; 0: all show all"
    ),
    Option("data_seed", Annotated[int, Field(ge=0, lt=2**31)], 0, "of all that is drawn at random"),
)
STREAM = Option(
    "stream", bool, False, "images stay encoded on disk and are decoded while they are used: for large sets", off=False
)


LANGUAGES = (
    Option("source", Language, REQUIRED, "language that is translated, such as en"),
    Option("target", Language, REQUIRED, "language into which it is translated, such as de"),
)
CORPUS_OPTIONS = (
    *LANGUAGES,
    TEST_FRACTION,
    Option(
        "pieces", Annotated[int, Field(ge=200, le=64_000)], 4000, "subwords of both languages together, learnt on train"
    ),
    Option("longest", Annotated[int, Field(ge=1, le=1000)], 100, "words of a sentence; train keeps none above"),
)
LEAKS = Option(
    "leaks",
    Literal["refuse", "drop"],
    "refuse",
    "what becomes of a corpus with sentences of test or val in train: told, or left out of train",
)

SHORT_SIDE = Option(
    "short_side",
    Annotated[int, Field(ge=8, le=4096)] | None,
    None,
    "larger images become JPEGs of quality 95 with so many pixels on the shorter side, which stream faster",
    off=None,
)
ENCODED = (IMAGE_SIZE, STREAM, SHORT_SIDE)

WIDTH = Option(
    "width",
    Annotated[int, Field(ge=1, le=4096)] | None,
    None,
    "channels of the first layer, or hidden units",
    None,
    "w",
)
DROPOUT = Option("dropout", Annotated[float, Field(ge=0, lt=1)], 0.0, "probability that a unit is left out", 0.0, "d")

Epoch = Annotated[int, Field(ge=1)]
STEP_EPOCHS = Option("step_epochs", Epoch, 30, "epochs between two decays")
MILESTONES = Option(
    "milestones", Annotated[Ascending[Epoch], Field(min_length=1)], REQUIRED, "epochs at whose start lr decays"
)
DECAY = Option("decay", Annotated[float, Field(gt=0, lt=1)], 0.1, "what lr is multiplied by at a decay")

MOMENTUM = Option("momentum", Annotated[float, Field(ge=0, lt=1)], 0.9, "of SGD; Adam's beta 1")
NESTEROV = Option("nesterov", bool, False, "Nesterov's form of the momentum", False)

CLASSES = Option("classes", list[str], [], "names of the classes that the figure is about", [])
TARGETS = Option("targets", list[str], [], "target classes of the diffusion index; all unless given", [])
SIMILAR = Option("similar", dict[str, list[str]], {}, "each target's similar classes; measured unless given", {})
TEMPERATURES = Option(
    "temperatures", list[Temperature], [], "of the students, or of the softened teachers, shown; all unless given", []
)
T1 = Option("t1", Temperature | None, None, "of the diffusion index; the T nearest to 1 unless given", None)
T2 = Option("t2", Temperature | None, None, "of the diffusion index; the T nearest to 3 unless given", None)
DECODING = Option(
    "decoding", Ascending[Temperature], [], "temperatures of the softmax in translating; 1 unless given", []
)
MARGIN = Option(
    "margin",
    Annotated[float, Field(gt=0, le=100)] | None,
    None,
    "points within which there is no difference; unless given, 0.5 or a fifth of what distillation gains, if more",
    None,
)
REFERENCE = Option(
    "reference_temperature",
    Temperature | None,
    None,
    "T at which interventions are compared; unless given, that above 1 which is best on val for the hard teacher",
    None,
)
SMALL_IMAGES = Option(
    "small_images",
    list[str],
    [],
    "groups whose networks are for small images: counted at 3x32x32, with 100 classes",
    [],
)
