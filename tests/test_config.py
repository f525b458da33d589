"""The config's sections: what a spec names, and the defaults that must never change."""

import torchvision

from lskd import config, tables


def test_a_figures_temperatures_are_part_of_what_it_is_whatever_they_are():
    assert config.spec(config.Figure(kind="diffusion", t1=1.0, t2=3.0)) == {"kind": "diffusion", "t1": 1.0, "t2": 3.0}
    assert config.spec(config.Figure(kind="diffusion")) == {"kind": "diffusion"}


def test_spec_names_essential_fields_and_what_differs_from_a_default():
    recipe = config.Recipe(epochs=3, flip=True)
    assert config.spec(recipe) == {
        "epochs": 3,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "flip": True,
    }
    assert "root" not in config.spec(config.Data(root="elsewhere"))


def test_defaults_that_mean_off_stay_off():
    """Specs leave these out, so another default would silently change what old results mean."""
    off = {
        name: field.default
        for section in (config.Data, config.Model, config.Recipe, config.Labels, config.Distill)
        for name, field in section.model_fields.items()
        if field.json_schema_extra is None
    }
    assert off == {
        "test_fraction": 0.2,
        "image_size": 64,
        "width": None,
        "dropout": 0.0,
        "nesterov": False,
        "warmup_epochs": 0,
        "step_epochs": 30,
        "milestones": [],
        "decay": 0.1,
        "grad_clip": 0.0,
        "loss_scale": 1.0,
        "crop_padding": 0,
        "flip": False,
        "select": "last",
        "snapshot_epochs": [],
        "smoothing": "uniform",
        "loss": "kd",
        "soft_weight": 1.0,
        "t_squared": True,
        "soften_student": True,
        "reduction": "batchmean",
        "views": "epochs",
        "dtype": "float32",
    }


def test_torchvision_names_are_torchvisions():
    assert list(tables.TORCHVISION_NAMES) == torchvision.models.list_models(module=torchvision.models)
