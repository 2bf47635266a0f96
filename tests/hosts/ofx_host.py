"""The OpenFX host for tests, as tests import it.

with OfxHost("build/plugin/Latensify.ofx.bundle", variant=NATRON) as host:
    shot = Clip(frames={t: plate(t) for t in range(1, 9)}, layout=Layout(rows="down", padding=12))
    inst = host.instance("org.latensify.restyle", "general", params={"strength": 0.5}, clips={"Source": shot})
    result = inst.render(3, abort=Abort(after_s=0.5))
    host.check()
"""

from __future__ import annotations

from .ofx.api import REQUIRED_SUITES, STATUS_NAMES, SUITES, K
from .ofx.child import Crashed, in_child
from .ofx.clips import Clip
from .ofx.description import ClipDescription, Description, ParamDescription
from .ofx.host import OfxHost
from .ofx.instance import Instance
from .ofx.params import Animated
from .ofx.pixels import DTYPES, Layout, to_components, to_depth
from .ofx.rendering import Abort, Rendered
from .ofx.runtime import ActionFailed, Message, Violation
from .ofx.variants import EVERY, GENERIC, MLT, NATRON, NUKE, RESOLVE, HostVariant

__all__ = [
    "DTYPES",
    "EVERY",
    "GENERIC",
    "MLT",
    "NATRON",
    "NUKE",
    "REQUIRED_SUITES",
    "RESOLVE",
    "STATUS_NAMES",
    "SUITES",
    "Abort",
    "ActionFailed",
    "Animated",
    "Clip",
    "ClipDescription",
    "Crashed",
    "Description",
    "HostVariant",
    "Instance",
    "K",
    "Layout",
    "Message",
    "OfxHost",
    "ParamDescription",
    "Rendered",
    "Violation",
    "in_child",
    "to_components",
    "to_depth",
]
