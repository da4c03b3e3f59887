"""
The venue's credentials: who may hold them, and how they are written down.

They come from one file that is its owner's alone, or from the directory that systemd made for them; never from the
environment, the command line or a default. No secret is ever part of a message, a representation or a record.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interlock.core.errors import InterlockError
from interlock.service.home.home import Home
from interlock.service.private import FilesExposed, read_plain, read_private

API_KEY: Final = "INTERLOCK_VENUE_API_KEY"
API_SECRET: Final = "INTERLOCK_VENUE_API_SECRET"  # noqa: S105 (the name of a variable)
ENVIRONMENT: Final = "INTERLOCK_ENVIRONMENT"
NAMES: Final = (API_KEY, API_SECRET, ENVIRONMENT)


class CredentialsMissing(InterlockError):
    """There is no credentials file; put one there, with the three names that it needs."""


class CredentialsRefused(InterlockError):
    """The credentials file is not used; `problems` lists everything that is wrong with it and holds no secret."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the venue asks for; it shows neither key nor secret to whoever prints it."""

    environment: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)


def credentials_path(home: Home, environ: Mapping[str, str] = os.environ) -> Path:
    """The file in the directory that systemd made for credentials, where there is one, else in the home."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) / home.credentials.name if directory else home.credentials


def read_credentials(path: Path, environment: str, environ: Mapping[str, str] = os.environ) -> Credentials:
    """
    The credentials in the file, made for this environment.

    Raises:
        CredentialsMissing: there is no such file.
        CredentialsRefused: others may use it, or it does not hold exactly what it should.
    """
    text = _read(path, environ)
    found: dict[str, str] = {}
    problems = [*_parse(text, found)]
    problems += [f"{name} is missing: write {name}=..." for name in NAMES if name not in found and not problems]
    stated = found.get(ENVIRONMENT)
    if stated is not None and stated != environment:
        problems.append(
            f"{ENVIRONMENT} is not {environment}, as runtime.toml says: use the credentials made for {environment}"
        )
    if problems:
        raise CredentialsRefused(tuple(f"{path}: {problem}" for problem in problems))
    return Credentials(environment, found[API_KEY], found[API_SECRET])


def _read(path: Path, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    try:
        if directory and path.parent.resolve() == Path(directory).resolve():
            data, problem = read_plain(path)
            if problem:
                raise CredentialsRefused((problem,))
        else:
            data = read_private(path)
    except FileNotFoundError:
        raise CredentialsMissing(f"there is no {path}: write it with {', '.join(NAMES)}, and chmod 600 it") from None
    except FilesExposed as error:
        raise CredentialsRefused(error.problems) from None
    except OSError as error:
        raise CredentialsRefused((f"{path}: {error.strerror or error}: make it readable for this user",)) from None
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise CredentialsRefused((f"{path} is not plain ASCII: write it again",)) from None


def _parse(text: str, found: dict[str, str]) -> Iterator[str]:
    """Everything that is wrong with the text, by line and never by value; what is right is in `found`."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name not in NAMES:
            yield f"line {number}: write one of {', '.join(NAMES)}, '=' and its value, without spaces"
        elif name in found:
            yield f"line {number}: {name} stands twice: remove one"
        elif not value or not value.isprintable() or set(value) & set(" '\"\\"):
            yield f"line {number}: the value of {name} is empty, or has spaces, quotes or a foreign line end: write it bare"
        else:
            found[name] = value
