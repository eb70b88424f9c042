"""Generators: from label maps and noise to images.

`DiffusionGenerator` samples a diffusion model; what a label map contributes is computed once a map, not once a step.
`OnePassGenerator` is for the baselines (`models/families/`), which need one evaluation an image.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import groupby
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion import samplers
from surgaug.diffusion.guidance import conditional_denoiser
from surgaug.diffusion.parameterisation import clip_x0
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import ModelError, UsageError
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import LoadedModel
from surgaug.models.unet import Conditioning, conditioned
from surgaug.runtime.device import autocast, to_device, to_images
from surgaug.synthesis.sampling_settings import NOT_THE_SAMPLERS, SamplingSettings

CHANNELS = 3


class DiffusionGenerator:
    """Synthesizes batches of images, each from a label map, with one diffusion model and one way of sampling it.

    Raises UsageError for settings that the sampler or the model's schedule does not allow.
    """

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, device: torch.device, precision: torch.dtype | None
    ):
        self._model, self._settings, self._device, self._precision = model, settings, device, precision
        self._net = model.net.to(device)
        self._sample = samplers.get(settings.sampler)
        check_options(settings, self._sample)
        self._alpha_bars = Schedule.from_dict(model.schedule).sampling_levels(settings.steps, settings.spacing)
        self._encoded: dict[Hashable, Conditioning] = {}
        self._null: Conditioning | None = None

    @torch.inference_mode()
    def generate(
        self,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Callable[[int, tuple[int, ...]], np.ndarray],
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Images uint8 [B, H, W, 3] of B label maps of one size.

        index_maps: B maps of class indices uint8 [H, W] (255: no label). size: (H, W), where the maps are as much finer
        as the network takes them (`UNetConfig.label_detail`). keys: equal keys mean equal maps; those of
        the last batch are remembered. noise(i, shape): unit Gaussian noise float32 [B, *shape]; 0 is the start, the
        next ones are for the sampler's steps, if it asks. styles: codes float32 [B, 7] (`models/style.py`), NaN for
        any; None for any throughout. on_step: called before every evaluation of the network.

        Raises FloatingPointError when an image is not finite.
        """
        if size is None and (detail := self._net.config.label_detail) > 1:
            size = index_maps[0].shape
            index_maps = [index_map.repeat(detail, 0).repeat(detail, 1) for index_map in index_maps]
        shape = (CHANNELS, *(size or index_maps[0].shape))
        codes = None if styles is None else to_device(styles, self._device)
        cond = self._net.in_style(self._condition(index_maps, keys), codes)
        network = partial(conditioned, self._net, device=self._device, dtype=self._precision, on_step=on_step)
        denoise = conditional_denoiser(
            self._model.prediction,
            network,
            cond,
            lambda: self._net.in_style(self._without_labels(cond.size).expand(len(keys)), codes),
            self._settings.guidance,
            self._settings.guidance_below,
        )
        x_0 = self._sample(
            clip_x0(denoise),
            to_device(noise(0, shape), self._device),
            self._alpha_bars,
            lambda step: to_device(noise(step + 1, shape), self._device),
            **self._settings.sampler_options,
        )
        return finite_images(x_0)

    def forget(self) -> None:
        """Give back what is remembered of the last batch, and the memory that the device holds in reserve."""
        self._encoded, self._null = {}, None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _without_labels(self, size: tuple[int, int]) -> Conditioning:
        if self._null is None or self._null.size != size:
            fine = tuple(self._net.config.label_detail * side for side in size)
            self._null = self._encode([np.full(fine, IGNORE_INDEX, np.uint8)])
        return self._null

    def _condition(self, index_maps: Sequence[np.ndarray], keys: Sequence[Hashable]) -> Conditioning:
        """The batch's conditioning: a map is encoded once, and is not even copied if the whole batch shares it."""
        maps = dict(zip(keys, index_maps, strict=True))
        known = {key: cond for key, cond in self._encoded.items() if key in maps}
        if missing := [key for key in maps if key not in known]:
            cond = self._encode([maps[key] for key in missing])
            known |= {key: cond.select(slice(i, i + 1)) for i, key in enumerate(missing)}
        self._encoded = known
        parts = [known[key].expand(len(list(run))) for key, run in groupby(keys)]
        return parts[0] if len(parts) == 1 else Conditioning.cat(parts)

    def _encode(self, index_maps: Sequence[np.ndarray]) -> Conditioning:
        with autocast(self._device, self._precision):
            return self._net.encode(to_device(np.stack(index_maps), self._device))


class OnePassGenerator:
    """Synthesizes batches of images, each from a label map, with a model that needs one evaluation an image."""

    def __init__(self, model: LoadedModel, device: torch.device, precision: torch.dtype | None):
        self._net, self._device, self._precision = model.net.to(device), device, precision

    @torch.inference_mode()
    def generate(
        self,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Callable[[int, tuple[int, ...]], np.ndarray],
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Images uint8 [B, H, W, 3] of B label maps of one size.

        noise(i, shape): for the network's i-th random layer. The other arguments are those of
        `DiffusionGenerator.generate`; keys and styles make no difference.

        Raises FloatingPointError when an image is not finite.
        """
        index_map = to_device(np.stack(index_maps), self._device)
        shapes = self._net.noise_shapes(tuple(index_map.shape[-2:]))
        drawn = [to_device(noise(i, shape), self._device) for i, shape in enumerate(shapes)]
        on_step()
        with autocast(self._device, self._precision):
            x = self._net(index_map, drawn)
        return finite_images(x)

    def forget(self) -> None:
        """Give back the memory that the device holds in reserve."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def finite_images(x: Tensor) -> np.ndarray:
    """`to_images` of the network's output. FloatingPointError where it is not finite."""
    finite = torch.isfinite(x).all()
    images = to_images(x)  # the one place where the device is waited for
    if not bool(finite):
        raise FloatingPointError("an image holds values that are not numbers")
    return images


def check_options(settings: SamplingSettings, sample: Callable[..., Tensor], flag: str = "--set ") -> None:
    """UsageError for an option that the sampler does not have, or a value that it does not take, which is tried on a
    single number: before the judge is trained and the output folder is begun, not at the first image."""
    parameters = inspect.signature(sample).parameters.values()
    known = [*NOT_THE_SAMPLERS, *(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)]
    for name in settings.options:
        if name not in known:
            raise UsageError(f"{flag}{name}: sampler {settings.sampler} has {', '.join(known)}")
    nothing = torch.zeros(1)
    try:
        sample(lambda x_t, alpha_bar: x_t, nothing, [0.5, 1.0], lambda step: nothing, **settings.sampler_options)
    except ValueError as error:
        raise UsageError(f"{flag}{error}") from None


class BatchLimit:
    """How many images of a size make a batch: as told, or as many as keep the device busy; halved when memory
    runs out.

    base: (h, w) of the pictures of a cascade's first stage; only they are made many at a time.
    """

    # Pixels a batch. More gains nothing: a CPU's caches overflow, a GPU is busy.
    PIXELS: ClassVar[dict[str, int]] = {"cpu": 1 << 16, "cuda": 1 << 21, "mps": 1 << 19}
    MOST, MOST_LARGE = 256, 4  # the latter of a cascade: what a stopped run must still finish

    def __init__(self, fixed: int | None, device: torch.device, base: tuple[int, int] | None = None):
        self._fixed, self._pixels, self._base = fixed, self.PIXELS[device.type], base
        self._halved: dict[tuple[int, int], int] = {}

    def __call__(self, size: tuple[int, int]) -> int:
        height, width = self._base or size
        most = self.MOST_LARGE if self._base else self.MOST
        found = self._fixed or min(most, max(1, self._pixels // (height * width)))
        return min(found, self._halved.get(size, found))

    def halve(self, size: tuple[int, int], failed: int) -> None:
        """Note that `failed` images of a size were too many. Raises ModelError when one is."""
        if failed == 1:
            raise ModelError(
                f"out of memory with a single image of {size[0]}x{size[1]}; "
                "give a smaller --size or a lower --precision"
            )
        self._halved[size] = failed // 2
