"""Names of classes, from the csv files that come with video data sets."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from distillbench.data.places import Place, files_in, opened_text
from distillbench.errors import DataError

_NUMBERS = ("index",)
_NAMES = ("display_name", "name")


def read_vocabulary(path: Place) -> list[str]:
    """Reads the name of every class from a csv with columns `index` and `name` or `display_name`.

    Letters' case does not matter; a class that has no row or no name is called by its number.
    Raises `DataError`.
    """
    names = _names(path)
    if names is None:
        raise DataError(
            f"{path}: no vocabulary; it needs a column 'index' and one called 'name' or"
            " 'display_name'"
        )
    return names


def find_vocabulary(folders: Iterable[Place]) -> list[str] | None:
    """Reads the only csv with class names in these folders.

    None if there is none, `DataError` if several.
    """
    files = sorted({path for folder in folders for path in files_in(folder, ".csv")}, key=str)
    found = {path: names for path in files if (names := _names(path)) is not None}
    if len(found) > 1:
        raise DataError(
            f"several vocabularies: {', '.join(map(str, found))}; set data.vocabulary to the"
            " right one"
        )
    return next(iter(found.values()), None)


def _names(path: Place) -> list[str] | None:
    try:
        with opened_text(path) as file:
            rows = csv.DictReader(file)
            columns = {str(column).lower(): column for column in rows.fieldnames or ()}
            number = next((columns[each] for each in _NUMBERS if each in columns), None)
            name = next((columns[each] for each in _NAMES if each in columns), None)
            if number is None or name is None:
                return None
            named = {int(row[number]): row[name] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: this vocabulary cannot be read: {error}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: a class of this vocabulary has no number: {error}") from error
    if not named or min(named) < 0 or max(named) > 10 * len(named) + 1000:
        raise DataError(f"{path}: the class numbers of this vocabulary do not count from 0")
    return [named.get(each) or f"class {each}" for each in range(max(named) + 1)]
