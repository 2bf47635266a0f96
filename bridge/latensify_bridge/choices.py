"""The choices that parameters offer, and the ready prompts among them.

A choice travels as its string and is stored by hosts as an index: append to a choice, never reorder it.
"""

from __future__ import annotations

import enum
from typing import Self


class Choice(enum.StrEnum):
    """An ordered choice: the value travels, the label is what a panel shows."""

    label: str

    def __new__(cls, value: str, label: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member


class ColourSpace(Choice):
    AUTO = "auto", "Auto"
    SRGB = "srgb", "sRGB"
    REC709 = "rec709", "Rec.709"
    LINEAR_REC709 = "linear_rec709", "Linear Rec.709"
    ACESCG = "acescg", "ACEScg"
    ACESCCT = "acescct", "ACEScct"
    DAVINCI_INTERMEDIATE = "davinci_intermediate", "DaVinci Wide Gamut Intermediate"
    LOGC4 = "logc4", "ARRI LogC4"
    SLOG3 = "slog3", "Sony S-Log3"
    LOG3G10 = "log3g10", "RED Log3G10"


class Quality(Choice):
    DRAFT = "draft", "Draft"
    FINAL = "final", "Final"


class Precision(Choice):
    AUTO = "auto", "Auto"
    FLOAT32 = "float32", "32-bit float"
    BFLOAT16 = "bfloat16", "bfloat16"
    FLOAT16 = "float16", "16-bit float"


class MaskSource(Choice):
    NONE = "none", "None (whole frame)"
    CLIP = "clip", "Mask input"
    SOURCE_ALPHA = "source_alpha", "Alpha of the source"
    BOX = "box", "Box below"


class MaskChannel(Choice):
    ALPHA = "alpha", "Alpha"
    LUMINANCE = "luminance", "Luminance"


class Preset(Choice):
    """A ready prompt, for where a host shows no text field; `prompt` is what the model is told."""

    prompt: str

    def __new__(cls, value: str, label: str, prompt: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.prompt = prompt
        return member


class Look(Preset):
    """The looks that Restyle offers."""

    PROMPT = "prompt", "Use the prompt", ""
    WINTER = "winter", "Winter", "winter, snow covered, overcast"
    AUTUMN = "autumn", "Autumn", "autumn, orange leaves, soft light"
    NIGHT = "night", "Night", "at night, street lights"
    GOLDEN_HOUR = "golden_hour", "Golden hour", "golden hour, warm low sun"
    SUNSET = "sunset", "Sunset", "sunset, red sky"
    RAIN = "rain", "Rain", "rain, wet ground, grey sky"
    FOG = "fog", "Fog", "thick fog"
    NOIR = "noir", "Film noir", "black and white, film noir, high contrast"
    TEAL_ORANGE = "teal_orange", "Teal and orange", "teal and orange, cinematic grade"
    VINTAGE = "vintage", "Vintage film", "vintage film, faded colours"
    WATERCOLOUR = "watercolour", "Watercolour", "watercolour painting"
    OIL = "oil", "Oil painting", "oil painting"
    SKETCH = "sketch", "Pencil sketch", "pencil sketch on paper"
    CYBERPUNK = "cyberpunk", "Cyberpunk", "cyberpunk, neon light, night"


class Background(Preset):
    """What Remove paints where no frame shows what is behind."""

    PROMPT = "prompt", "Use the prompt", ""
    SURROUNDINGS = "surroundings", "Like its surroundings", ""
    SKY = "sky", "Sky", "clear sky"
    WATER = "water", "Water", "water"
    GRASS = "grass", "Grass", "grass field"
    ROAD = "road", "Road", "road"
    WALL = "wall", "Wall", "plain wall"


class Instruction(Preset):
    """What Instruct is told to do."""

    PROMPT = "prompt", "Use the prompt", ""
    NIGHT = "night", "Make it night", "make it night"
    DAY = "day", "Make it day", "make it day"
    SUNSET = "sunset", "Make it sunset", "make it sunset"
    SNOW = "snow", "Make it snow", "make it snow"
    RAIN = "rain", "Make it rain", "make it rain"
    FOG = "fog", "Make it foggy", "make it foggy"
    CLEAR = "clear", "Clear weather", "clear weather"
    WINTER = "winter", "Make it winter", "make it winter"
    AUTUMN = "autumn", "Make it autumn", "make it autumn"
    SUMMER = "summer", "Make it summer", "make it summer"


class NewObject(Preset):
    """What Replace puts into the matte."""

    PROMPT = "prompt", "Use the prompt", ""
    RED_BALL = "red_ball", "Red ball", "a red ball"
    BLUE_BOX = "blue_box", "Blue box", "a blue box"
    YELLOW_CONE = "yellow_cone", "Yellow cone", "a yellow cone"
    ORANGE_CYLINDER = "orange_cylinder", "Orange cylinder", "an orange cylinder"
    GREEN_TREE = "green_tree", "Green tree", "a green tree"
    WHITE_HOUSE = "white_house", "White house", "a white house"
    RED_CAR = "red_car", "Red car", "a red car"


class Scene(Preset):
    """What Generate shows."""

    PROMPT = "prompt", "Use the prompt", ""
    MEADOW = "meadow", "Meadow", "an empty view on grass, hills"
    TREE = "tree", "Tree on a meadow", "a green tree on grass, hills"
    DESERT = "desert", "Desert at sunset", "an empty view on sand, plain, at sunset"
    LAKE = "lake", "Lake", "an empty view on water, mountains"
    CITY_NIGHT = "city_night", "City at night", "a white car on a road, city, at night"
    SNOWFALL = "snowfall", "House in snow", "a red house on grass, forest, in snow"
    FOG = "fog", "Road in fog", "an empty view on a road, forest, in fog"


class CameraMove(Choice):
    STILL = "still", "Still"
    PUSH_IN = "push_in", "Push in"
    PULL_OUT = "pull_out", "Pull out"
    PAN_LEFT = "pan_left", "Pan left"
    PAN_RIGHT = "pan_right", "Pan right"


class Aspect(Choice):
    """A width-to-height ratio, as its value says; NONE is none."""

    NONE = "none", "As the margins say"
    SCOPE = "2.39:1", "2.39:1"
    FLAT = "1.85:1", "1.85:1"
    HD = "16:9", "16:9"
    ACADEMY = "4:3", "4:3"
    SQUARE = "1:1", "1:1"
    PORTRAIT = "4:5", "4:5"
    VERTICAL = "9:16", "9:16"


class Motion(Choice):
    STATIC = "static", "Locked-off camera"
    HOMOGRAPHY = "homography", "Camera moves"
    FLOW = "flow", "Camera and background move"


class Fill(Choice):
    DIFFUSION = "diffusion", "Diffusion model"
    CLASSICAL = "classical", "Classical inpainting"
    FITTED = "fitted", "Model fitted to the shot"


class Output(Choice):
    """What Remove shows."""

    RESULT = "result", "Result"
    PROVENANCE = "provenance", "Where pixels come from"
