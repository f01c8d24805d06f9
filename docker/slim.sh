#!/bin/sh
# Take out of an installed environment what never runs here: headers, sources, tests, and Arrow's network service.
set -eu
packages=$(echo "$1"/lib/python3.*/site-packages)
arrow=$packages/pyarrow
rm -rf "$arrow/include" "$arrow/tests" "$arrow/src"
find "$arrow" \( -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd' \) -delete
# pyarrow imports Flight only when asked; nothing else links to it.
rm -f "$arrow"/libarrow_flight* "$arrow"/libarrow_python_flight* "$arrow"/_flight.*
find "$packages/numpy" -depth -type d -name tests -exec rm -rf {} +
