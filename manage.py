#!/usr/bin/env python
"""Slipway's command line for operators: `manage.py help` lists the commands."""

import os
import sys

from core import garbage


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    garbage.look_seldom()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
