import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "cv2", "OpenImageIO", "PyOpenColorIO", "av")


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ("latensify_bridge.client, latensify_bridge.generate", HEAVY),
        (
            "latensify_server.service, latensify_server.jobs, latensify_server.worker",
            ("torch", "diffusers", "transformers"),
        ),
        ("latensify_server.cli", HEAVY),
    ],
)
def test_what_is_light_stays_light(modules: str, without: tuple[str, ...]) -> None:
    code = f"import {modules}, sys; print([name for name in {without!r} if name in sys.modules])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[]"
