"""Files that cannot be sales, told from their shape before anything is read into memory."""

from pathlib import Path

from foreact.errors import ForeactError

# A row longer than this is none; the reader's own limit.
LONGEST_LINE = 4_000_000
# Sales as text shrink to a tenth or a fiftieth.
MOST_PACKED = 200
# Wider tables have a column for each day, where a row is wanted.
MOST_COLUMNS = 1_000
BLOCK = 1 << 20
QUOTE, BREAK = b'"', b"\n"


def check_width(columns: int, name: str) -> None:
    """Raise if a file has more columns than a table of sales."""
    if columns > MOST_COLUMNS:
        raise ForeactError(
            f"{name} has {columns:,} columns, more than the {MOST_COLUMNS:,} that are read: a history has a row, not a "
            "column, for each date; leave out what forecasts need not."
        )


def check_shape(path: Path, name: str, delimiter: str, gzipped: bool) -> None:
    """Raise if a CSV file unpacks to far more than it is, or has a line or a cell that no table has."""
    if gzipped:
        _check_packing(path, name)
        return
    starts = tuple(sign + QUOTE for sign in (delimiter.encode(), BREAK, b"\r"))
    # How many bytes there were since the last line break and since the last quote, and whether that one opens a cell.
    line = quoted = 0
    opens, before, position = False, BREAK, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found = block.find(BREAK) if BREAK in block else block.find(b"\r")
            if line + (len(block) if found < 0 else found) > LONGEST_LINE and not opens:
                raise ForeactError(
                    f"Line {_count_line(path, position):,} of {name} is longer than {LONGEST_LINE // 10**6} MB: it is "
                    "no CSV, or its rows do not end in line breaks."
                )
            line = line + len(block) if found < 0 else len(block) - max(block.rfind(BREAK), block.rfind(b"\r")) - 1
            found = block.find(QUOTE)
            if opens and quoted + (len(block) if found < 0 else found) > LONGEST_LINE:
                raise ForeactError(
                    f"A quote in line {_count_line(path, position - quoted):,} of {name} is opened and not closed "
                    f"within {LONGEST_LINE // 10**6} MB: close it, or write it twice where it belongs to a name."
                )
            if found < 0:
                quoted += len(block)
            else:
                last = block.rfind(QUOTE)
                opens = (before + block[: last + 1])[-2:] in starts
                quoted = len(block) - last - 1
            before = block[-1:]
            position += len(block)


def _check_packing(path: Path, name: str) -> None:
    """Compare a file with the size that its last bytes promise; of more than 4 GB they tell the rest."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 4))
        unpacked = int.from_bytes(file.read(4), "little")
    if size > BLOCK and unpacked > MOST_PACKED * size:
        raise ForeactError(
            f"{name} unpacks to {unpacked // size:,} times its size, which no sales do: its rows are all but the same; "
            "write it again."
        )


def _count_line(path: Path, end: int) -> int:
    """Return the number of the line that a byte is in."""
    count = 1
    with path.open("rb") as file:
        while end > 0 and (block := file.read(min(BLOCK, end))):
            count += block.count(BREAK)
            end -= len(block)
    return count
