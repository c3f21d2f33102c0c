# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Fetches what the plugin is compared with, into the build directory: no package is
installed in the system, no service started. What cannot be fetched is named."""
import os
import shutil
import subprocess

PACKAGES = {"nginx": "nginx-light", "vsftpd": "vsftpd"}
TUS = ("@tus/server@2.4.5", "@tus/file-store@2.1.1")
HERE = os.path.dirname(os.path.abspath(__file__))


class Missing(Exception):
    """Why a peer cannot run, in one line."""


def _run(command, cwd, why, seconds=300):
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, check=False, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{why}: {error}") from None
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or ["no output"]
        raise Missing(f"{why}: {last[0][:200]}")
    return done.stdout


def _closure(package, cwd):
    """The package and what it needs that the system lacks."""
    shown = _run(["apt-get", "-s", "-o", "Debug::NoLocking=1", "install",
                  "--no-install-recommends", package], cwd, f"apt knows no {package}")
    return [line.split()[1] for line in shown.splitlines() if line.startswith("Inst ")]


def _unpack(package, root):
    cache = root + ".debs"
    shutil.rmtree(cache, ignore_errors=True)
    os.makedirs(cache)
    names = _closure(package, cache) or [package]
    _run(["apt-get", "download"] + names, cache, f"cannot download {package}")
    for deb in os.listdir(cache):
        _run(["dpkg", "-x", os.path.join(cache, deb), root], cache, f"cannot unpack {deb}")
    shutil.rmtree(cache)


def _libraries(root):
    return [folder for folder, _, files in os.walk(root)
            if any(name.startswith("lib") and ".so." in name for name in files)]


def debian(name, build):
    """(path of the program, environment) of a server that Debian packages."""
    installed = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if installed:
        return installed, dict(os.environ)
    root = os.path.join(build, "peers", name)
    program = os.path.join(root, "usr/sbin", name)
    if not os.access(program, os.X_OK):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        _unpack(PACKAGES[name], root)
    if not os.access(program, os.X_OK):
        raise Missing(f"no {name} in the package")
    return program, dict(os.environ, LD_LIBRARY_PATH=":".join(_libraries(root)))


def tus(build):
    """(command, folder) of the official tus server."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("needs node and npm")
    root = os.path.join(build, "peers", "tus")
    if not os.path.isdir(os.path.join(root, "node_modules", "@tus", "server")):
        os.makedirs(root, exist_ok=True)
        with open(os.path.join(root, "package.json"), "w", encoding="utf-8") as out:
            out.write('{"private": true, "type": "module"}\n')
        _run([npm, "install", "--no-audit", "--no-fund", "--prefix", root, *TUS], root,
             "npm cannot install the tus server")
    shutil.copy(os.path.join(HERE, "tus.mjs"), os.path.join(root, "tus.mjs"))
    return [node, os.path.join(root, "tus.mjs")], root
