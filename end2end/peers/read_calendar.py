"""Reads a calendar file from standard input and prints its only event as JSON."""

import json
import sys

from icalendar import Calendar


def main() -> None:
    calendar = Calendar.from_ical(sys.stdin.buffer.read())
    (event,) = calendar.walk("VEVENT")
    names = ("summary", "description", "location", "url", "uid")
    found = {name: str(event[name]) for name in names}
    for name in ("dtstart", "dtend", "dtstamp"):
        found[name] = event.decoded(name).isoformat()
    found["errors"] = [str(error) for error in event.errors]
    json.dump(found, sys.stdout)


main()
