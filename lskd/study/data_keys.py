"""The keys of `data`: a data set, where it lies, and how it is split."""

import os.path
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lskd.data.kinds import kind_of
from lskd.study import registry
from lskd.study.keys import LANGUAGES
from lskd.study.options import Name, Section, off, one_of, outside

Folder = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]
OF_IMAGES = {"dataset": registry.IMAGE_SETS}  # beside which keys of data are used


def data_keys(value: Any) -> Any:
    """A data set's name, or the path of a user's own, as the keys that it is short for."""
    if not isinstance(value, str):
        return value
    return {"dataset": value} if value in registry.DATASETS else {"dataset": kind_of(Path(value)), "root": value}


def with_root(value: Any) -> Any:
    """The keys of a published data set with where it lies, unless they say so."""
    known = registry.DATASETS.get(str(value.get("dataset"))) if isinstance(value, dict) else None
    return {"root": f"data/{known.folder}"} | value if known and known.folder else value


def folder_name(root: str) -> str:
    """The name under results/ of a user's own data set."""
    path = Path(root)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", path.stem if path.suffix == ".npz" else path.name).strip("-.") or "images"


class DataFields(Section):
    """A data set and how it is split; `val` is a fixed part of train, unless the data come with one: of images
    stratified, of a corpus whole documents.
    """

    dataset: one_of("data set", registry.DATASETS) = Field(  # type: ignore[valid-type]
        "digits", description="its name; imagefolder, npz and hf_dataset are your own"
    )
    name: Name | Literal[""] = outside("", description="folder under results/; the dataset's name unless given")
    root: Folder = outside(
        "data",
        description="where the files lie: of a user's own data the folder or file itself, of published image files "
        "the folder that docs/data.md names, below data/ unless given",
    )
    val_fraction: float = Field(0.15, gt=0, lt=0.5, description="part of train that becomes val")
    mean: list[Annotated[float, Field(ge=0, le=1)]] = off(
        [], [], OF_IMAGES, description="of each channel, subtracted, of pixels in 0..1; that of train unless given"
    )
    std: list[Annotated[float, Field(gt=0, le=1)]] = off(
        [], [], OF_IMAGES, description="of each channel, divided by; that of train unless given"
    )
    class_subset: Annotated[int, Field(ge=2)] | Annotated[list[str], Field(min_length=2)] | None = off(
        None, None, OF_IMAGES, description="the classes used: so many, spread over all in their order, or their names"
    )
    train_images: int | None = off(
        None, None, OF_IMAGES, ge=1, description="at most so many training images of each class"
    )
    long_tail: float = off(
        0.0,
        0.0,
        OF_IMAGES,
        ge=0,
        le=1e4,
        allow_inf_nan=False,
        description="largest over smallest class of train; 0 is off",
    )
    pareto: list[float] = off(
        [],
        [],
        OF_IMAGES,
        description="power, least and most: images of each class of train by a Pareto law (Liu 2019: 6, 5, 1280)",
    )
    split_file: str | None = off(
        None,
        None,
        OF_IMAGES,
        min_length=1,
        description="a list below root of the training images used, one a line, such as ImageNet_LT_train.txt",
    )
    label_noise: float = off(
        0.0, 0.0, OF_IMAGES, ge=0, le=0.9, description="share of train's labels that are wrong, uniformly"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        keys = data_keys(value)
        if isinstance(value, str) and keys["dataset"] == "aligned":  # no path tells which language is the source
            raise ValueError(f"a corpus; say data: {{dataset: aligned, root: {value}, source: en, target: de}} or so")
        return with_root(keys)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.is_own and self.folder in registry.DATASETS:
            raise ValueError(
                f"a folder called {self.folder} would share its results with {self.folder}; give a name: too"
            )
        _check_pareto(self.pareto, self.long_tail)
        if self.split_file is not None and not registry.DATASETS[self.dataset].has_files:
            raise ValueError(f"split_file: {self.dataset} has no files to list; leave it out")
        _check_short_side(self.used)
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, 1, 3):
            raise ValueError(f"mean and std are given together, 1 or 3 of each; found {self.mean} and {self.std}")
        return self

    @property
    def is_own(self) -> bool:
        """Whether the data are a user's own."""
        return registry.DATASETS[self.dataset].is_own

    @property
    def task(self) -> str:
        """What its samples are for."""
        return registry.DATASETS[self.dataset].task

    @property
    def folder(self) -> str:
        """The data set's folder under results/."""
        if self.task == registry.TRANSLATION:
            return self.name or "-".join([self.dataset, *(self.used[option.name] for option in LANGUAGES)])
        return self.name or (folder_name(self.root) if self.is_own else self.dataset)


def _check_pareto(pareto: list[float], long_tail: float) -> None:
    """Refuse what is no Pareto law, and one beside another tail."""
    if not pareto:
        return
    is_law = len(pareto) == 3 and all(value.is_integer() for value in pareto[1:])
    if not is_law or not (0 < pareto[0] <= 100 and 1 <= pareto[1] < pareto[2] <= 1e6):
        raise ValueError(f"pareto: found {pareto}; [power, least, most] are needed, such as [6, 5, 1280]")
    if long_tail:
        raise ValueError("long_tail and pareto are both tails; leave one out")


def _check_short_side(data: dict[str, Any]) -> None:
    """Refuse a smaller form of images of which a crop would be larger."""
    short_side = data.get("short_side")
    if short_side is not None and short_side < data["image_size"]:
        raise ValueError(
            f"short_side: found {short_side}, less than image_size {data['image_size']}; give as much or more"
        )
