"""The instruments' shapes: parts along a bent centre line, given from the tip backwards.

Lengths are in limbus radii divided by 2.5, that is in frame heights for an eye of the usual zoom (radius 0.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAR = 3.0
"""A length that leaves the frame from anywhere inside."""

Profile = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Part:
    """Half widths (and offsets from the centre line) by distance from the tip, or from the joint for a handle."""

    width: Profile
    material: str = "steel"
    offset: Profile = ((0.0, 0.0),)


@dataclass(frozen=True)
class Tool:
    """One instrument: where its centre line bends (length, degrees), its parts, and the handle (its own class id)."""

    parts: tuple[Part, ...]
    bends: tuple[tuple[float, float], ...] = ()
    bend_radius: float = 0.04
    handle: tuple[Part, ...] = ()
    handle_id: int | None = None
    where: str = "pupil"
    heading: tuple[float, float] = (88.0, 24.0)
    free: Profile = field(default=())


TOOLS: dict[int, Tool] = {
    7: Tool(  # Hydrodissection Cannula: fine, one blunt bend, widening to its hub
        (Part(((0, 0.005), (0.01, 0.009), (0.22, 0.0105), (0.3, 0.02), (FAR, 0.034))),),
        ((0.2, 34),),
        handle=(Part(((0, 0.016), (0.012, 0.03), (0.05, 0.032), (0.06, 0.026), (FAR, 0.04)), "hub"),),
        handle_id=32,
        where="limbus_in",
        heading=(110, 30),
    ),
    8: Tool(  # Viscoelastic Cannula: fine and straight
        (Part(((0, 0.006), (0.008, 0.0085), (FAR, 0.0095)), "brass"),),
        ((0.3, 9), (0.2, 9)),
        heading=(100, 30),
        where="limbus_in",
    ),
    9: Tool(  # Capsulorhexis Cystotome: a needle with a barb bent at its very tip
        (Part(((0, 0.002), (0.012, 0.006), (0.3, 0.0085), (FAR, 0.014)), "dark_steel"),),
        ((0.022, 80), (0.26, -22)),
        bend_radius=0.008,
        handle=(Part(((0, 0.011), (0.015, 0.02), (0.11, 0.022), (0.13, 0.034), (FAR, 0.036)), "amber"),),
        handle_id=22,
    ),
    10: Tool(  # Rycroft Cannula: one sharp bend
        (Part(((0, 0.005), (0.01, 0.0085), (0.25, 0.009), (0.4, 0.012), (FAR, 0.016)), "dark_steel"),),
        ((0.19, 47),),
        bend_radius=0.015,
        handle=(Part(((0, 0.018), (0.02, 0.055), (0.16, 0.06), (0.17, 0.07), (FAR, 0.075)), "hub"),),
        handle_id=20,
        where="limbus_in",
        heading=(125, 28),
    ),
    11: Tool(  # Bonn Forceps: two broad grained prongs that meet in a fine point
        (
            Part(((0, 0.003), (0.04, 0.005), (0.35, 0.024), (0.75, 0.036), (FAR, 0.04)), "grained",
                 ((0, 0.003), (0.04, 0.006), (0.7, 0.066), (FAR, 0.085))),
            Part(((0, 0.003), (0.04, 0.005), (0.35, 0.024), (0.75, 0.036), (FAR, 0.04)), "grained",
                 ((0, -0.003), (0.04, -0.006), (0.7, -0.066), (FAR, -0.085))),
        ),
        where="limbus_out",
        heading=(165, 20),
    ),
    12: Tool(  # Primary Knife: broad keratome, flat blade, then a shank
        (Part(((0, 0.001), (0.06, 0.04), (0.16, 0.041), (0.22, 0.022), (0.3, 0.032), (FAR, 0.05)), "blade"),),
        ((0.17, 14),),
        handle=(Part(((0, 0.024), (0.03, 0.045), (FAR, 0.05)), "knife_handle"),),
        handle_id=28,
        where="limbus_cut",
        heading=(75, 32),
    ),
    13: Tool(  # Phacoemulsifier Handpiece: bell-ended needle in a pale silicone sleeve
        (
            Part(((0.0, 0.016), (0.07, 0.02), (FAR, 0.022)), "steel"),
            Part(((0.05, 0.018), (0.08, 0.027), (0.3, 0.029), (0.5, 0.036), (FAR, 0.048)), "sleeve"),
        ),
        handle=(Part(((0, 0.04), (0.02, 0.075), (0.1, 0.08), (0.11, 0.09), (FAR, 0.1)), "titanium"),),
        handle_id=21,
        heading=(88, 14),
    ),
    14: Tool(  # Lens Injector: translucent cartridge that widens from its nozzle
        (Part(((0, 0.03), (0.01, 0.044), (0.1, 0.052), (0.28, 0.1), (0.45, 0.115), (FAR, 0.125)), "cartridge"),),
        handle=(Part(((0, 0.1), (0.03, 0.14), (0.14, 0.14), (0.16, 0.12), (FAR, 0.13)), "pale_plastic"),),
        handle_id=24,
        where="limbus_cut",
        heading=(88, 26),
    ),
    15: Tool(  # I/A Handpiece: polished round-ended tube with a port, thickening
        (Part(((0, 0.009), (0.008, 0.018), (0.025, 0.022), (0.3, 0.025), (0.5, 0.036), (FAR, 0.04)), "ported"),),
        ((0.2, 7), (0.15, 7)),
        handle=(Part(((0, 0.036), (0.015, 0.062), (0.06, 0.066), (0.07, 0.058), (FAR, 0.075)), "titanium"),),
        handle_id=18,
        heading=(92, 18),
    ),
    16: Tool(  # Secondary Knife: slim leaf blade on a thin neck
        (Part(((0, 0.001), (0.03, 0.017), (0.1, 0.028), (0.18, 0.023), (0.28, 0.015), (FAR, 0.026)), "blade"),),
        ((0.12, 16),),
        handle=(Part(((0, 0.018), (0.03, 0.05), (0.1, 0.062), (FAR, 0.062)), "knife_handle"),),
        handle_id=23,
        where="limbus_cut",
        heading=(65, 30),
    ),
    17: Tool(  # Micromanipulator: thin curved rod, small hook at its end
        (Part(((0, 0.004), (0.006, 0.0085), (0.03, 0.0075), (0.3, 0.011), (0.6, 0.016), (FAR, 0.024))),),
        ((0.028, 70), (0.14, -8), (0.14, -8), (0.14, -8)),
        bend_radius=0.012,
        heading=(148, 20),
    ),
    19: Tool(  # Capsulorhexis Forceps: two long fine parallel prongs, bent, from a stout body
        (
            Part(((0, 0.003), (0.01, 0.0065), (0.34, 0.0085), (0.42, 0.014), (FAR, 0.02)), "bronze",
                 ((0, 0.011), (0.3, 0.017), (0.42, 0.014), (FAR, 0.02))),
            Part(((0, 0.003), (0.01, 0.0065), (0.34, 0.0085), (0.42, 0.014), (FAR, 0.02)), "bronze",
                 ((0, -0.011), (0.3, -0.017), (0.42, -0.014), (FAR, -0.02))),
            Part(((0.34, 0.012), (0.44, 0.034), (0.7, 0.042), (FAR, 0.05)), "bronze"),
        ),
        ((0.3, 30),),
        heading=(100, 34),
    ),
    25: Tool(  # Suture Needle: a free arc
        (Part(((0, 0.002), (0.02, 0.0045), (0.19, 0.006), (0.2, 0.005)), "steel"),),
        ((0.03, 35), (0.03, 35), (0.03, 35), (0.03, 35), (0.03, 20)),
        where="limbus_out",
        free=((0.0, 0.2),),
    ),
    26: Tool(  # Needle Holder: short stout jaws, then two arms
        (
            Part(((0, 0.02), (0.02, 0.034), (0.24, 0.055), (0.3, 0.048), (FAR, 0.055)), "steel",
                 ((0, 0.016), (0.2, 0.02), (0.34, 0.06), (FAR, 0.15))),
            Part(((0, 0.02), (0.02, 0.034), (0.24, 0.055), (0.3, 0.048), (FAR, 0.055)), "steel",
                 ((0, -0.016), (0.2, -0.02), (0.34, -0.06), (FAR, -0.15))),
        ),
        where="limbus_out",
        heading=(40, 22),
    ),
    27: Tool(  # Charleux Cannula: a long even curve
        (Part(((0, 0.008), (0.01, 0.0115), (0.4, 0.0125), (0.55, 0.018), (FAR, 0.024)), "brass"),),
        ((0.1, 14), (0.1, 14), (0.1, 14), (0.1, 14)),
        where="limbus_in",
        heading=(120, 30),
    ),
    29: Tool(  # Vitrectomy Handpiece: straight cutter from a thick white body
        (
            Part(((0, 0.012), (0.006, 0.0145), (FAR, 0.015)), "ported"),
            Part(((0.26, 0.016), (0.3, 0.045), (0.36, 0.05), (0.38, 0.07), (FAR, 0.075)), "pale_plastic"),
        ),
        heading=(75, 18),
    ),
    33: Tool(  # Troutman Forceps: dark, two curved prongs apart
        (
            Part(((0, 0.005), (0.03, 0.014), (0.4, 0.036), (FAR, 0.05)), "black_steel",
                 ((0, 0.02), (0.25, 0.055), (0.7, 0.06), (FAR, 0.08))),
            Part(((0, 0.005), (0.03, 0.014), (0.4, 0.036), (FAR, 0.05)), "black_steel",
                 ((0, -0.02), (0.25, -0.055), (0.7, -0.06), (FAR, -0.08))),
        ),
        ((0.12, 12), (0.12, 12), (0.12, 10)),
        where="limbus_out",
        heading=(20, 22),
    ),
    34: Tool(  # Cotton: a woolly swab on a stick
        (
            Part(((0.12, 0.012), (FAR, 0.014)), "pale_plastic"),
            Part(((0, 0.03), (0.025, 0.07), (0.1, 0.1), (0.22, 0.09), (0.32, 0.06), (0.38, 0.025)), "cotton"),
        ),
        where="limbus_out",
        heading=(120, 60),
    ),
}  # fmt: skip

TIP_OF_HANDLE: dict[int, int] = {t.handle_id: i for i, t in TOOLS.items() if t.handle_id is not None}
