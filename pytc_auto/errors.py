"""What a user is told when something is wrong.

    PytcError
    ├── DataError      a volume, a label file or dataset.yaml
    ├── PlanError      a plan, a fingerprint or an override
    ├── ModelError     a model folder
    ├── OutputError    a result that exists already or cannot be written
    └── BudgetError    too little time or memory for the smallest sound plan

Every message tells what was wrong, where, and what to do.
"""


class PytcError(Exception):
    """A fault a user can mend; the command line prints it without a traceback."""


class DataError(PytcError):
    """A volume or a data set cannot be used as it is."""


class PlanError(PytcError):
    """A plan or another document of ours is not valid."""


class ModelError(PytcError):
    """A model folder is incomplete or does not fit its plan."""


class OutputError(PytcError):
    """A result cannot be written where it was asked for."""


class BudgetError(PytcError):
    """The given time or memory does not suffice.

    Attributes:
        enough_seconds: Time that would do; None where time is not what is missing.
    """

    def __init__(self, message: str, enough_seconds: float | None = None) -> None:
        super().__init__(message)
        self.enough_seconds = enough_seconds
