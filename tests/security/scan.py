"""Looks for secrets in everything that git keeps, offline; `python -m tests.security.scan` names what it finds.

Known forms of credentials, and long random-looking text beside a word that says secret. A line that must hold such
text says `not a secret` and is then passed over.
"""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PASSED_OVER = "not a secret"
# Lock files are hashes throughout; pictures are no text.
LEFT_OUT = re.compile(r"^(locks/.*\.txt|.*go\.sum|.*\.lock\.hcl|.*\.(png|jpg|svg|ico|parquet|woff2?))$")
FORMS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an Azure account key": re.compile(r"AccountKey=[A-Za-z0-9+/]{40,}"),
    "the emulator's account key": re.compile("Eby8vdM0" + "2xNO"),
    "a client secret": re.compile(r"(?i:client_secret)\s*[=:]\s*['\"][A-Za-z0-9~._-]{30,}['\"]"),
    "a shared access signature": re.compile(r"[?&]sig=[A-Za-z0-9%+/]{20,}"),
    "a token": re.compile(r"\b(ghp_|gho_|github_pat_|glpat-|xox[bap]-|sk_live_|AKIA)[A-Za-z0-9_-]{16,}"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "an API key of ours": re.compile(r"\bfa_[A-Za-z0-9_-]{40,}"),
    "a password in an address": re.compile(r"://[^/\s:@{}$<>\"']+:[^/\s:@{}$<>\"']{6,}@"),
    "a webhook": re.compile(r"https://[\w.-]+\.(webhook\.office\.com|logic\.azure\.com)/\S{20,}"),
}
NAMED = re.compile(
    r"(?i)(?:secret|password|passwd|token|api_?key|credential)\w*[\"']?\s*[:=]\s*[\"']([A-Za-z0-9+/=_-]{20,})[\"']"
)
BITS = 3.7


def scan(paths: list[Path]) -> Iterator[str]:
    """Name each place that seems to hold a secret, never the secret."""
    for path in paths:
        try:
            lines = path.read_text("utf-8").splitlines()
        except (UnicodeDecodeError, OSError):
            continue
        for number, line in enumerate(lines, 1):
            if PASSED_OVER in line:
                continue
            found = next((form for form, pattern in FORMS.items() if pattern.search(line)), None)
            named = NAMED.search(line)
            if found is None and named and entropy(named[1]) > BITS and re.search(r"\d", named[1]):
                found = "random text named as a secret"
            if found:
                yield f"{path}:{number}: {found}"


def entropy(text: str) -> float:
    """Return the bits a character of a text's own distribution."""
    counts = [text.count(character) for character in set(text)]
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def kept_files(root: Path = ROOT) -> list[Path]:
    """List what git keeps or is about to keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout.split("\0")
    return [root / name for name in names if name and not LEFT_OUT.match(name)]


def main() -> None:
    found = list(scan(kept_files()))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
