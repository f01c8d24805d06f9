#!/usr/bin/env bash
# Run the real `tofu fmt`, `validate` and mocked `test`, with OpenTofu and azurerm built from the Go module proxy: a quarter of
# an hour of CPU the first time, seconds from Go's cache after that. For machines that reach no provider registry; elsewhere
# `tofu init -backend=false && tofu validate && tofu test` does it.
set -euo pipefail
cd "$(dirname "$0")"
azurerm=v1.44.1-0.20260824201233-fae580791926   # 5.2.0: its tags are no Go versions
tools=${XDG_CACHE_HOME:-$HOME/.cache}/foreact-tools
export GOFLAGS=-buildvcs=false GOBIN=$tools
mkdir -p "$tools"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The very one of the operations image.
[ -x "$tools/tofu" ] || go build -C ../docker/operations/tofu -o "$tools/tofu" github.com/opentofu/opentofu/cmd/tofu
[ -x "$tools/terraform-provider-azurerm" ] || go install "github.com/hashicorp/terraform-provider-azurerm@$azurerm"

cat >"$work/tofurc" <<END
provider_installation {
  dev_overrides {
    "hashicorp/azurerm" = "$tools"
    "hashicorp/azuread" = "${AZUREAD:-$tools}"
  }
}
END
export TF_CLI_CONFIG_FILE=$work/tofurc
"$tools/tofu" fmt -check -recursive .

# The provider of random passwords is in no Go module: in a copy, an ephemeral variable stands for its results. Nor need the proxy
# have azuread's, and sign_in.tf is left out, unless AZUREAD names a folder with terraform-provider-azuread built from its source.
mkdir "$work/copy"
cp -r ./*.tf tests "$work/copy"
cp -r ../observability "$work"
AZUREAD=${AZUREAD:-} python3 - "$work/copy" <<'END'
import os, pathlib, re, sys

for file in pathlib.Path(sys.argv[1]).glob("*.tf"):
    text = file.read_text()
    text = re.sub(r'ephemeral "random_password" "\w+" \{.*?\n\}\n', "", text, flags=re.S)
    text = re.sub(r"ephemeral\.random_password\.\w+(\[each\.key\])?\.result", "var.password", text)
    text = re.sub(r"    random = \{.*?\n    \}\n", "", text, flags=re.S)
    text = re.sub(r'  backend "azurerm" \{.*?\n  \}\n', "", text, flags=re.S)
    if not os.environ["AZUREAD"]:
        text = re.sub(r"    azuread = \{.*?\n    \}\n", "", text, flags=re.S)
    file.write_text(text)
if not os.environ["AZUREAD"]:
    stand_in = 'locals {\n  sign_in_client_id = var.sign_in_client_id\n  oidc_roles = "{}"\n}\n'
    (pathlib.Path(sys.argv[1]) / "sign_in.tf").write_text(stand_in)
    tests = pathlib.Path(sys.argv[1]) / "tests/place.tftest.hcl"
    without = tests.read_text().split("# Planners' sign-in")[0]
    tests.write_text(re.sub(r'mock_provider "azuread" \{\n.*?\n\}\n', "", without, flags=re.S))
password = 'variable "password" {\n  type      = string\n  ephemeral = true\n  default   = "x"\n}\n'
(pathlib.Path(sys.argv[1]) / "password.tf").write_text(password)
END
"$tools/tofu" -chdir="$work/copy" validate
"$tools/tofu" -chdir="$work/copy" test
