"""Programs under the shim, for the tests of the tools themselves and for the broker's."""

import os

SHIM = os.environ.get("GNATTER_FAULT_SHIM", "")


def environment(folder, trace=None, sync_us=0, kind=None, call=None, at=1, until=None):
    """os.environ with the shim at work on FOLDER; what the words mean stands in shim.c."""
    words = {"LD_PRELOAD": SHIM, "GNATTER_FAULT_DIR": folder, "GNATTER_FAULT_TRACE": trace,
             "GNATTER_FAULT_SYNC_US": sync_us, "GNATTER_FAULT_KIND": kind,
             "GNATTER_FAULT_CALL": call, "GNATTER_FAULT_AT": at, "GNATTER_FAULT_UNTIL": until}
    return {**os.environ, **{word: str(value) for word, value in words.items() if value is not None}}
