"""What Schemathesis loads: most calls are about things that there are, where arguments of its own invention find nothing."""

import json
import os
import zlib

import schemathesis

# By the name of a member: what the account holds.
KNOWN = json.loads(os.environ.get("CAIRN_KNOWN", "{}"))
ARGUMENT = "Dropbox-API-Arg"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts known things into an argument, by its own bytes, so that each run does the same."""
    if isinstance(case.body, dict):
        case.body = known(case.body)
        if case.path.endswith("/longpoll"):
            # Nobody waits for what does not come.
            case.body["timeout"] = 0
    argument = (case.headers or {}).get(ARGUMENT)
    if argument:
        try:
            value = json.loads(argument)
        except ValueError:
            return
        if isinstance(value, dict):
            if case.path.endswith("/append_batch") and len(argument) % 2:
                # As many bytes as known pieces are long together.
                case.body = b""
            case.headers[ARGUMENT] = json.dumps(known(value))


def known(value):
    """The same with most of its names of things exchanged."""
    if isinstance(value, list):
        return [known(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: chosen(name, item) if isinstance(item, (str, int)) else known(item) for name, item in value.items()}


def chosen(name, item):
    """Something known, or what was there."""
    things = KNOWN.get(name, [])
    number = zlib.crc32(f"{name} {item!r}".encode(errors="replace"))
    return things[number // 4 % len(things)] if things and number % 4 else item
