"""From a preset's name, a settings file, a teacher and the command line to one configuration.

The networks' sizes stand in `models/families/NAME.py` (`PRESETS`), the settings that go with them in
`training/methods/NAME.py` (`RECIPES`).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from surgaug.datasets.dataset import usual_size
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import SurgaugError, UsageError
from surgaug.models import families
from surgaug.models.checkpoint import model_hash, read_header, stage_header
from surgaug.models.model_files import CONFIG, SHIPPED, STATE, model_file
from surgaug.runtime.options import parse_toml
from surgaug.training import methods
from surgaug.training.config import Cascade, TrainConfig, cascade_of, override
from surgaug.training.data import like_frames

PHANTOM = "phantom"
CASCADES = ("auto", "on", "off")
ONE_STAGE = 128  # pixels a side; above, "auto" makes two of them
# Shorter side of the small pictures of a cascade, by preset; of small frames less, `LEAST_BASE` at least.
BASE_SIDE = {"tiny": 96, "small": 96, "base": 128}
LEAST_BASE = 64
SPLIT_NAMES = {"train", "training", "images", "data"}

# What differs when a student is trained: it starts from good weights, and its targets are good at every noise level.
STUDENT: dict[str, Any] = {"lr": 3e-4, "muon_lr": None, "min_snr_gamma": None, "min_snr_floor": 0.0}


def preset(name: str, model: str = families.DIFFUSION, **given: Any) -> TrainConfig:
    """The configuration of a model's preset, with `given` (not None) on top."""
    networks = families.get(model).PRESETS
    if name not in networks:
        raise UsageError(f"--preset {name}: {model} has no such preset; choose one of {', '.join(networks)}")
    recipe = dict(methods.get(model).RECIPES[name])
    if given.get("minutes") is not None:
        recipe.pop("steps")  # the user's bound replaces the preset's
    recipe["schedule"] = Schedule(**recipe.get("schedule", {}))
    chosen = {k: v for k, v in given.items() if v is not None}
    return TrainConfig(**{**recipe, "model": model, "preset": name, "network": networks[name], **chosen})


def start_file(name: str) -> Path:
    """The model file that `--init` or `--distill` names; "phantom" is the one that ships. ModelError: there is none."""
    return SHIPPED if name == PHANTOM else model_file(Path(name))


def of_teacher(file: str) -> dict[str, Any]:
    """What a student takes over from its teacher's model file. ModelError when that is none of a diffusion model.

    Of a cascade the first stage is distilled, where nearly all network calls are; the second one stays as it is.
    """
    whole = read_header(Path(file))
    header = whole.get("stages", {}).get("first", whole)
    if (family := header.get("family", families.DIFFUSION)) == families.UPSAMPLER:
        raise UsageError(
            f"--distill {file}: a second stage alone; name the cascade or its first stage, which is distilled"
        )
    if family != families.DIFFUSION:
        raise UsageError(f"--distill {file}: a model of kind {family}, which samples in one step already")
    if header["defaults"].get("student"):
        raise UsageError(
            f"--distill {file}: a student itself, which knows few noise levels alone; name the model that it was "
            f"distilled from ({header['meta'].get('train', {}).get('distill')})"
        )
    return {
        "init": file,
        "network": families.read_config(family, header["config"]),
        "schedule": Schedule.from_dict(header["schedule"]),
        "prediction": header["prediction"],
        "size": (whole["size"][0], whole["size"][1]),
        "cascade": Cascade(base=(header["size"][0], header["size"][1]), second=file) if "stages" in whole else None,
        "preset": header["meta"].get("train", {}).get("preset", "tiny"),
        "teacher_guidance": float(header["defaults"].get("guidance", 1.0)),
        "teacher_guidance_below": header["defaults"].get("guidance_below"),
    }


def first_stage(config: TrainConfig) -> TrainConfig:
    """The run of a cascade's first stage."""
    cascade, base = cascade_of(config)
    return _stage(config, "first", 1.0 if cascade.second else cascade.share, size=base, cascade=None)


def second_stage(config: TrainConfig, first: Path) -> TrainConfig:
    """The run of a cascade's second stage, behind the model file `first`."""
    cascade, _ = cascade_of(config)
    recipe = preset(config.preset, families.UPSAMPLER, steps=1)
    return _stage(
        config, "second", 1.0 if cascade.first else 1 - cascade.share, model=families.UPSAMPLER,
        init=config.init if config.init and read_header(start_file(config.init)).get("stages") else None,
        network=cascade.network or recipe.network,
        schedule=dataclasses.replace(recipe.schedule, hand_over=cascade.hand_over),
        prediction=recipe.prediction, min_snr_gamma=recipe.min_snr_gamma, min_snr_floor=recipe.min_snr_floor,
        muon_lr=config.muon_lr, validate_frames=recipe.validate_frames,
        cascade=dataclasses.replace(cascade, first=str(first)),
    )  # fmt: skip


def _stage(config: TrainConfig, name: str, share: float, **changes: Any) -> TrainConfig:
    return dataclasses.replace(
        config,
        out=str(Path(config.out) / name),
        minutes=config.minutes and config.minutes * share,
        steps=config.steps and max(1, round(config.steps * share)),
        **changes,
    )


def with_cascade(config: TrainConfig, asked: str) -> TrainConfig:
    """`config` as one of two stages where `asked` ("auto", "on" or "off") and the size say so.

    UsageError for "on" where there can be none.
    """
    if asked not in CASCADES:
        raise UsageError(f"--cascade {asked}: one of {', '.join(CASCADES)}")
    if config.distill and asked == "auto":
        return config
    fits = config.model == families.DIFFUSION and config.preset in BASE_SIDE and not config.distill
    if asked == "on" and not fits:
        raise UsageError(
            f"--cascade on: only diffusion has two stages, and its presets {', '.join(BASE_SIDE)}; a student has what "
            "its teacher has"
        )
    begun = _size_of_run(config.out) == config.size  # in one stage, as up to version 0.1
    alone = asked == "off" or not fits or (asked == "auto" and (max(config.size) <= ONE_STAGE or begun))
    if alone and config.model != families.UPSAMPLER:
        return dataclasses.replace(config, cascade=None)
    cascade = config.cascade or Cascade(network=families.get(families.UPSAMPLER).PRESETS[config.preset])
    base = cascade.base or _base_given(cascade) or _base_like(config)
    return dataclasses.replace(config, cascade=dataclasses.replace(cascade, base=base))


def _base_given(cascade: Cascade) -> tuple[int, int] | None:
    """The size (h, w) of the small pictures of a stage that is there already; None where none is."""
    for given, family, key in (
        (cascade.first, families.DIFFUSION, "size"),
        (cascade.second, families.UPSAMPLER, "base"),
    ):
        if given:
            height, width = stage_header(start_file(given), family)[key]
            return height, width
    return None


def _base_like(config: TrainConfig) -> tuple[int, int]:
    """The preset's size (h, w) of small pictures in the frames' proportions: two thirds of the frames' at most."""
    most = max(LEAST_BASE, min(config.size) * 2 // 3 // 8 * 8)
    return like_frames((min(BASE_SIDE[config.preset], most),) * 2, config.size)


def given_models(config: TrainConfig) -> dict[str, dict[str, str]]:
    """By setting, the "file" of the model that it names and the "hash" of what the training uses of that: of a cascade,
    one stage. ModelError when there is no such model."""
    cascade = config.cascade or Cascade()
    named = (
        ("--distill", config.distill, families.DIFFUSION),
        ("cascade.first", cascade.first, families.DIFFUSION),
        ("cascade.second", cascade.second, families.UPSAMPLER),
    )
    files = [(name, start_file(given), family) for name, given, family in named if given]
    return {
        name: {"file": str(file), "hash": stage_header(file, family).get("hash") or model_hash(file)}
        for name, file, family in files
    }


def check_student(config: TrainConfig) -> None:
    """UsageError where a student's settings are not its teacher's; nothing for a model that is no student."""
    if not config.distill:
        return
    for name, value in of_teacher(config.distill).items():
        if name in ("init", "network", "schedule", "prediction") and getattr(config, name) != value:
            raise UsageError(f"{name}: a student has its teacher's, here {value}")


def from_command_line(
    preset_name: str, given: dict[str, Any], file: Path | None, assignments: list[str]
) -> TrainConfig:
    """The preset, then the TOML `file`, then what was `given` on the line, then `KEY=VALUE` assignments.

    UsageError names the key, the value and where it stood.
    """
    table: dict[str, Any] = {}
    if file is not None:
        try:
            table = parse_toml(file.read_bytes())
        except (OSError, ValueError) as e:
            raise UsageError(f"--config {file}: {e}") from None
    preset_name = table.pop("preset", preset_name)
    given = {k: v for k, v in given.items() if v is not None}
    model = given.pop("model", table.pop("model", families.DIFFUSION))
    asked = given.pop("cascade", None)
    if isinstance(table.get("cascade"), str):  # the flag, not the table of settings
        asked = table.pop("cascade") if asked in (None, "auto") else asked
    settings = dict(a.partition("=")[::2] for a in assignments)
    if bad := [a for a in assignments if "=" not in a]:
        raise UsageError(f"--set {bad[0]}: must be KEY=VALUE")
    if taken := {"model", "preset"} & settings.keys():
        raise UsageError(f"--set {min(taken)}: other settings hang on it; give --{min(taken)}")
    timed = any(x.get("minutes") is not None for x in (given, table, settings))
    taken_over: dict[str, Any] = {}
    if teacher := next((x["distill"] for x in (settings, given, table) if x.get("distill")), None):
        teacher = str(start_file(teacher))
        taken_over = {**STUDENT, **of_teacher(teacher)}
        preset_name = taken_over["preset"]
    elif given.get("student_steps") is not None:
        raise UsageError(f"--student-steps {given['student_steps']}: of a student; name its teacher with --distill")
    config = preset(preset_name, model, minutes=1.0 if timed else None)
    if model in families.STAGES and preset_name in BASE_SIDE:
        second = families.get(families.UPSAMPLER).PRESETS[preset_name]
        config = dataclasses.replace(config, cascade=Cascade(network=second))
    config = dataclasses.replace(config, **taken_over)
    for source in (table, given, settings):
        for key, value in source.items():
            config = override(config, key, value)
    if config.distill:
        config = dataclasses.replace(config, distill=teacher)
        if config.student == "consistency" and not any("loss" in source for source in (settings, given, table)):
            config = dataclasses.replace(config, loss="huber")
    sized = bool(taken_over) or any("size" in source for source in (table, given, settings))
    fitted = config if sized else dataclasses.replace(config, size=size_like_frames(config))
    plain, fitted = _with_out(config, preset_name), _with_out(fitted, preset_name)
    # Up to version 0.1 the default was the preset's own size: a run that began so goes on so.
    begun = _size_of_run(plain.out) == plain.size and _size_of_run(fitted.out) != fitted.size
    found = with_cascade(plain if begun else fitted, asked or "auto")
    if found.cascade is None and asked != "off" and (unheeded := _of_cascade(table, settings)):
        raise UsageError(
            f"{unheeded}: of two stages, and this is one network of {found.size[0]}x{found.size[1]}; add --cascade on, "
            "or off to do without"
        )
    return found


def _of_cascade(table: dict[str, Any], settings: dict[str, str]) -> str | None:
    """The first setting of two stages that a settings file or `--set` has."""
    given = [f"cascade.{key}" for key in table.get("cascade", {})] + list(settings)
    return next((key for key in given if key.startswith("cascade.")), None)


def size_like_frames(config: TrainConfig) -> tuple[int, int]:
    """The size (H, W) of `config`, its shorter side kept, in the proportions of the frames of `config.data`.

    As it is where no frame can be read: that is refused, with its reason, when the data is opened.
    """
    try:
        return like_frames(config.size, usual_size(Path(config.data), _path(config.images), _path(config.labels)))
    except SurgaugError:
        return config.size


def _size_of_run(out: str) -> tuple[int, int] | None:
    """The size of the run in the folder `out`; None where there is none."""
    try:
        if not (Path(out) / STATE).is_file():
            return None
        height, width = json.loads((Path(out) / CONFIG).read_text(encoding="utf-8"))["size"]
        return int(height), int(width)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _with_out(config: TrainConfig, preset_name: str) -> TrainConfig:
    """`config` with the default run folder, if it names none."""
    if not config.out:
        height, width = config.size
        folder = Path(config.data).resolve()
        name = folder.name if folder.name not in SPLIT_NAMES else f"{folder.parent.name}-{folder.name}"
        name += "" if config.model == families.DIFFUSION else f"-{config.model}"
        name += f"-{config.student_steps}steps" if config.distill else ""
        config = dataclasses.replace(config, out=str(Path("runs") / f"{name}-{preset_name}-{height}x{width}"))
    return config


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
