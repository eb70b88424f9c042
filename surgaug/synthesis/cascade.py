"""Two stages: the first synthesizes a small picture of the scene, the second makes it large (`models/upsampler.py`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion import samplers
from surgaug.diffusion.guidance import Denoise, conditional_denoiser
from surgaug.diffusion.parameterisation import add_noise, clip_x0
from surgaug.diffusion.schedules import Schedule
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.labels.resize import fit_size, resize_label_map
from surgaug.models.checkpoint import LoadedModel
from surgaug.models.style import DIMENSION
from surgaug.models.tiles import part, tiles
from surgaug.models.unet import Conditioning, conditioned
from surgaug.models.upsampler import Window, enlarge
from surgaug.runtime.device import autocast, to_device, to_tensor
from surgaug.synthesis.generators import DiffusionGenerator, check_options, finite_images
from surgaug.synthesis.sampling_settings import SamplingSettings

Noise = Callable[[int, tuple[int, ...]], np.ndarray]
# Numbers of the second stage's draws of noise begin here, behind any of the first one's steps.
SECOND = 1 << 24
GRAIN = SECOND << 1  # and behind any of the second one's
# Larger images are made in tiles of this side: more would take memory and gain no time.
WHOLE_PIXELS, TILE = 1 << 21, 1024


class SmallPictures:
    """Synthesizes batches of small pictures, each from a large label map, with the first stage of a cascade."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, device: torch.device, precision: torch.dtype | None
    ):
        first = model.stages[0]
        self._base, self._detail, self._indices = first.size, first.net.config.label_detail, model.space.of_indices
        self._generator = DiffusionGenerator(first, settings, device, precision)
        self._maps: dict[Hashable, np.ndarray] = {}

    def generate(
        self,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Noise,
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Pictures uint8 [B, h, w, 3]; arguments as of `CascadeGenerator.generate`."""
        hw, detail = fit_size(index_maps[0].shape, self._base), self._detail
        fine = (detail * hw[0], detail * hw[1])
        known, self._maps = self._maps, {}
        for key, index_map in zip(keys, index_maps, strict=True):
            if key not in self._maps:
                same = known[key] if key in known and known[key].shape == fine else None
                self._maps[key] = resize_label_map(index_map, fine, self._indices) if same is None else same
        codes = None if styles is None else styles[:, :DIMENSION]
        return self._generator.generate([self._maps[key] for key in keys], keys, noise, codes, on_step, hw)

    def forget(self) -> None:
        """Give back what is remembered of the last batch, and the memory that the device holds in reserve."""
        self._maps = {}
        self._generator.forget()


class CascadeGenerator:
    """Synthesizes batches of images, each from a label map, with both stages of a cascade."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, device: torch.device, precision: torch.dtype | None
    ):
        self.first = SmallPictures(model, settings, device, precision)
        self._second = Enlarger(model.stages[1], settings.second or SamplingSettings(), device, precision)

    def generate(
        self,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Noise,
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Images uint8 [B, H, W, 3] of B label maps of one size; arguments as of `DiffusionGenerator.generate`.

        styles: float32 [B, 14], the codes of either stage's size one behind the other.
        """
        small = self.first.generate(index_maps, keys, noise, styles, on_step)
        codes = None if styles is None else self._second.asked(styles[:, DIMENSION:])
        return self._second.enlarge(small, index_maps, keys, noise, codes, on_step)

    def forget(self) -> None:
        """Give back what is remembered of the last batch, and the memory that the device holds in reserve."""
        self._second.forget()
        self.first.forget()


class Enlarger:
    """Makes small pictures large, each with its full-size label map."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, device: torch.device, precision: torch.dtype | None
    ):
        self._model, self._settings, self._device, self._precision = model, settings, device, precision
        self._net = model.net.to(device)
        check_options(settings, samplers.get(settings.sampler), "--set second.")
        schedule = replace(Schedule.from_dict(model.schedule), hand_over=settings.start)
        self._alpha_bars = schedule.sampling_levels(settings.steps, settings.spacing)
        self._encoded: dict[tuple[Hashable, Window], Conditioning] = {}

    def asked(self, codes: np.ndarray) -> np.ndarray:
        """Style codes [B, 7] as much sharper as the network must be asked to be."""
        return codes + np.eye(DIMENSION, dtype=codes.dtype)[-1] * codes.dtype.type(self._settings.sharper)

    @torch.inference_mode()
    def enlarge(
        self,
        small: np.ndarray,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Noise,
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Images uint8 [B, H, W, 3] from small pictures uint8 [B, h, w, 3]; the rest as of `CascadeGenerator`.

        One image at a time: at this size that fills any device.
        """
        frame = index_maps[0].shape
        codes = None if styles is None else to_device(styles, self._device)
        pictures = to_tensor(small, self._device)
        pictures = pictures + self._settings.picture_noise * to_device(noise(SECOND, pictures.shape[1:]), self._device)
        eps = noise(SECOND + 1, (3, *frame))
        grain = self._settings.grain * noise(GRAIN, (3, *frame)) if self._settings.grain else None
        out = []
        for i, (index_map, key) in enumerate(zip(index_maps, keys, strict=True)):
            self._encoded = {known: cond for known, cond in self._encoded.items() if known[0] == key}
            code = None if codes is None else codes[i : i + 1]
            denoise = self._denoiser(pictures[i : i + 1], index_map, key, code, on_step)
            window = Window.whole(frame)
            start = add_noise(
                enlarge(pictures[i : i + 1], [window]),
                to_device(eps[i : i + 1], self._device),
                float(self._alpha_bars[0]),
            )
            x_0 = samplers.get(self._settings.sampler)(
                clip_x0(denoise),
                start,
                self._alpha_bars,
                lambda step, i=i: to_device(noise(SECOND + 2 + step, (3, *frame))[i : i + 1], self._device),
                **self._settings.sampler_options,
            )
            if grain is not None:
                x_0 = x_0 + to_device(grain[i : i + 1], self._device)
            out.append(finite_images(x_0))
        return np.concatenate(out)

    def forget(self) -> None:
        """Give back what is remembered of the last image."""
        self._encoded = {}

    def _denoiser(
        self, picture: Tensor, index_map: np.ndarray, key: Hashable, code: Tensor | None, on_step: Callable[[], None]
    ) -> Denoise:
        """The denoiser of one image [1, 3, H, W], in tiles where it is large."""
        frame = index_map.shape
        if frame[0] * frame[1] <= WHOLE_PIXELS:
            return self._in_window(Window.whole(frame), picture, index_map, key, code, on_step)

        def denoise(x_t: Tensor, alpha_bar: float) -> Tensor:
            out = torch.empty_like(x_t)
            for tile in tiles(frame, self._net.config, TILE):
                rows, columns = part(tile.window)
                inside = self._in_window(tile.window, picture, index_map, None, code, on_step)
                made = inside(x_t[:, :, rows, columns], alpha_bar)
                kept = part(tile.kept)
                out[:, :, kept[0], kept[1]] = made[:, :, tile.inside[0], tile.inside[1]]
            return out

        return denoise

    def _in_window(
        self,
        window: Window,
        picture: Tensor,
        index_map: np.ndarray,
        key: Hashable | None,
        code: Tensor | None,
        on_step: Callable[[], None],
    ) -> Denoise:
        """The denoiser of a window of an image; key None: what the label map contributes is not remembered."""
        cond = self._condition(window, picture, self._encode(index_map, window, key), code)
        network = partial(conditioned, self._net, device=self._device, dtype=self._precision, on_step=on_step)

        def null() -> Conditioning:
            encoded = self._encode(np.full_like(index_map, IGNORE_INDEX), window, None)
            return self._condition(window, picture, encoded, code)

        guidance = self._settings.guidance, self._settings.guidance_below
        return conditional_denoiser(self._model.prediction, network, cond, null, *guidance)

    def _condition(self, window: Window, picture: Tensor, cond: Conditioning, code: Tensor | None) -> Conditioning:
        level = picture.new_full((1,), self._settings.picture_noise)
        place = self._net.places([window]).to(self._device)
        with autocast(self._device, self._precision):
            return self._net.with_picture(self._net.in_style(cond, code), enlarge(picture, [window]), level, place)

    def _encode(self, index_map: np.ndarray, window: Window, key: Hashable | None) -> Conditioning:
        """What the label map contributes in a window; computed once for images of one map that come in a row."""
        if (known := self._encoded.get((key, window))) is not None:
            return known
        rows, columns = part(window)
        with autocast(self._device, self._precision):
            cond = self._net.encode(to_device(np.ascontiguousarray(index_map[rows, columns])[None], self._device))
        if key is not None:
            self._encoded[key, window] = cond
        return cond
