"""What commands share."""

import os
import pwd

from commands.options import name_caller
from tests.crashing import at_once


def test_an_account_without_a_name_is_named_by_its_number():
    def as_somebody_else() -> None:
        for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            os.environ.pop(variable, None)
        known = {account.pw_uid: account.pw_name for account in pwd.getpwall()}
        # Only root can become an account without a name.
        if os.getuid() == 0:
            os.setuid(max(known) + 1)
        assert name_caller() == known.get(os.getuid(), f"uid {os.getuid()}")

    at_once([as_somebody_else])
