"""Host variants: what a host says about itself and how it behaves, well or badly. Named ones follow real hosts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .api import SUITES, K

EVERY = frozenset({"*"})
DEPTHS = {"byte": K.kOfxBitDepthByte, "short": K.kOfxBitDepthShort, "half": K.kOfxBitDepthHalf,
          "float": K.kOfxBitDepthFloat}  # fmt: skip
COMPONENTS = {"RGBA": K.kOfxImageComponentRGBA, "RGB": K.kOfxImageComponentRGB, "Alpha": K.kOfxImageComponentAlpha}
CONTEXTS = {
    "filter": K.kOfxImageEffectContextFilter,
    "general": K.kOfxImageEffectContextGeneral,
    "generator": K.kOfxImageEffectContextGenerator,
}


@dataclass(frozen=True)
class HostVariant:
    """One host. `null_strings` and `unknown` name properties that read as NULL or as unknown; `EVERY` means all
    of those on the host, effects, clips and parameters (not the instance data, images or arguments of actions).
    """

    name: str = "org.latensify.testhost"
    label: str = "Test host"
    version: tuple[int, ...] = (1, 0, 0)
    api: tuple[int, int] | None = (1, 4)
    contexts: tuple[str, ...] = ("filter", "general", "generator")
    depths: tuple[str, ...] = ("float", "half", "short", "byte")
    components: tuple[str, ...] = ("RGBA", "RGB", "Alpha")
    background: bool = False
    tiles: bool = True
    multi_resolution: bool = True
    multiple_depths: bool = True
    overlays: bool = False
    temporal: bool = True
    temporal_lie: bool = False  # a fetch of another frame says OK and gives the current one
    animates_strings: bool = True
    animates_choices: bool = True
    animates_booleans: bool = True
    str_choice: bool = False
    suites: frozenset[tuple[str, int]] = frozenset(SUITES)
    null_entries: frozenset[str] = frozenset()  # function names left NULL in the suites
    message_varargs: bool = True  # False: arguments after the format print as garbage
    dummy_threads: bool = False  # multiThread runs all of it on the calling thread
    null_strings: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    frame_ranges: bool = True  # clips have a frame range property
    project_known: bool = True  # instances have the project's size, extent and duration
    clips: frozenset[str] | None = None  # the clips that have handles; None: all that were defined
    unconnected: str = "fail"  # fetching an unconnected clip: fail, null (OK with NULL data) or black
    all_connected: bool = False  # every clip claims to be connected
    random_identifiers: bool = False
    never_calls: frozenset[str] = frozenset()  # actions that this host does not send
    echoes_edits: bool = True  # a paramSetValue sends InstanceChanged with the reason plugin-edited
    describes_twice: bool = False  # Load, Describe, DescribeInContext, Unload and all again
    instance_per_frame: bool = False
    ignores_status: bool = False  # a failed frame does not stop a sequence
    cleans_up: bool = True  # sends DestroyInstance and Unload at exit

    def without(self, *suites: tuple[str, int]) -> HostVariant:
        return replace(self, suites=self.suites - set(suites))

    def but(self, **changes: object) -> HostVariant:
        return replace(self, **changes)  # type: ignore[arg-type]


GENERIC = HostVariant()

MLT = HostVariant(
    name="MLT",
    label="MLT",
    version=(7, 42, 0),
    api=(1, 5),
    contexts=("filter",),
    background=True,
    tiles=False,
    overlays=True,
    temporal=False,
    temporal_lie=True,
    project_known=False,
    clips=frozenset({"Source", "Mask", "Output"}),
    unconnected="null",
    random_identifiers=True,
    never_calls=frozenset(
        {
            K.kOfxImageEffectActionIsIdentity,
            K.kOfxImageEffectActionGetFramesNeeded,
            K.kOfxImageEffectActionGetTimeDomain,
            K.kOfxActionInstanceChanged,
        }
    ),
    describes_twice=True,
    instance_per_frame=True,
    ignores_status=True,
    cleans_up=False,
)

RESOLVE = HostVariant(
    name="DaVinciResolve",
    label="DaVinci Resolve",
    version=(19, 0, 0),
    depths=("float", "short", "byte"),
    tiles=False,
    multi_resolution=False,
    multiple_depths=False,
    animates_strings=False,
    null_entries=frozenset({"setPersistentMessage", "clearPersistentMessage"}),
    dummy_threads=True,
    unconnected="black",
    all_connected=True,
    never_calls=frozenset({K.kOfxImageEffectActionGetRegionOfDefinition}),
)

NUKE = HostVariant(
    name="uk.co.thefoundry.nuke",
    label="nuke",
    version=(15, 0, 0),
    api=(1, 2),
    depths=("float",),
    multiple_depths=False,
    overlays=True,
    animates_strings=False,
)

NATRON = HostVariant(
    name="fr.inria.Natron",
    label="Natron",
    version=(2, 6, 0),
    contexts=("general", "generator"),
    depths=("float", "short", "byte"),
    overlays=True,
    message_varargs=False,
)
