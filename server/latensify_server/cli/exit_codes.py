"""The exit codes, as the help and docs/headless.md show them."""

EXIT_CODES = {
    0: "all frames are written (or were already, with --resume)",
    1: "something unexpected; set LATENSIFY_DEBUG=1 to see where",
    2: "the command makes no sense: an unknown effect, parameter or option, a value out of its limits",
    3: "a plate or matte is missing, damaged, unreadable or does not fit",
    4: "the output cannot be written: a full disk, a folder without permission",
    5: "no installed model can do this",
    6: "no server answers, or it died, went silent or speaks another protocol",
    7: "the server is at a limit: jobs, frames or memory",
    8: "the edit itself failed",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"{code:5}  {meaning}" for code, meaning in EXIT_CODES.items())
