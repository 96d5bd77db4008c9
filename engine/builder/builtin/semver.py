"""Version ranges as package.json has them: `20.x`, `^18.12 || >=20`, `>=18 <21`, `18 - 20`, `~20.1`."""

import re

Version = tuple[int, int, int]
PART = re.compile(
    r"(>=|<=|>|<|=|\^|~>?|v)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.-]+)?"
)
ANY = {"", "*", "x", "X", "latest", "current", "lts", "lts/*", "node", "stable"}
TOP = 2**31


def parse(text: str) -> Version | None:
    """The version that a program printed: `v20.20.2`."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def fits(version: Version, wanted: str) -> bool | None:
    """Whether a version is in a range; None if the range cannot be read."""
    answers = [_all_of(version, part.strip()) for part in wanted.split("||")]
    return None if None in answers else any(answers)


def _all_of(version: Version, text: str) -> bool | None:
    if text in ANY:
        return True
    between = re.fullmatch(r"(\S+)\s+-\s+(\S+)", text)
    if between:
        text = f">={between[1]} <={between[2]}"
    text = re.sub(r"(>=|<=|>|<|=|\^|~>?)\s+", r"\1", text)
    answers = []
    for word in text.split():
        match = PART.fullmatch(word)
        if match is None:
            return None
        low, high = _bounds(match)
        answers.append(low <= version < high)
    return all(answers)


def _bounds(match: re.Match[str]) -> tuple[Version, Version]:
    """Lowest version inside and lowest version above."""
    operator = match[1] or ""
    numbers = [int(part) for part in match.groups()[1:] if part and part.isdigit()]
    low = _full(numbers)
    above = _full([*numbers[:-1], numbers[-1] + 1]) if numbers else (TOP, 0, 0)
    if operator == ">=":
        return low, (TOP, 0, 0)
    if operator == "<":
        return (0, 0, 0), low
    if operator == ">":
        return above, (TOP, 0, 0)
    if operator == "<=":
        return (0, 0, 0), above
    if operator == "^" and numbers:
        fixed = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
        return low, _full([*numbers[:fixed], numbers[fixed] + 1])
    if operator.startswith("~") and len(numbers) > 1:
        return low, (numbers[0], numbers[1] + 1, 0)
    return low, above


def _full(numbers: list[int]) -> Version:
    padded = [*numbers, 0, 0, 0]
    return padded[0], padded[1], padded[2]
