"""What is wrong with annotated data, one record for each fault: where, how bad, what to do.

Owns the record that readers and checks share. Refuses to carry file contents, save names of classes.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault in one file.

    ``code`` is stable and for programs, such as ``xml-dtd``. ``severity`` is ``error`` for what would break
    training, ``warning`` for what would make it worse, ``note`` for what is good to know. ``file`` is
    relative to the dataset's root; ``line`` counts from 1, None where the fault has no line.
    """

    code: str
    severity: Severity
    file: str
    line: int | None
    message: str
    advice: str

    def __str__(self) -> str:
        """Write one line for a person.

        >>> print(Problem("xml-dtd", "error", "a.xml", 2, "a DTD", "remove it"))
        a.xml:2: error: a DTD; remove it [xml-dtd]
        """
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.severity}: {self.message}; {self.advice} [{self.code}]"
