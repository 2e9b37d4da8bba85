"""Where a figure was taken, and of which commit."""
import os
import platform
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def machine(variant=None):
    """The CPU and the best of its instructions; or, if one is given, the variant that engines were kept to."""
    with open("/proc/cpuinfo") as info:
        text = info.read()
    flags = next((line.split(":")[1].split() for line in text.splitlines() if line.startswith("flags")), [])
    isa = "AMX" if "amx_int8" in flags else "AVX-512 VNNI" if "avx512_vnni" in flags else "AVX2"
    cpu = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "isa": variant or isa, "cores": os.cpu_count()}


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
