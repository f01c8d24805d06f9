# From the code to a cluster: make image push deploy smoke. Included by the Makefile.
DOCKER ?= docker
KUBECTL ?= kubectl
# Where images go, as in REGISTRY=foreactexampledev.azurecr.io; empty: they stay on this machine.
REGISTRY ?=
# Which of kustomize/overlays, and which of kubectl's contexts: a place's own, so that prod never lands on dev's cluster.
OVERLAY ?= dev
CONTEXT ?= $(if $(filter local,$(OVERLAY)),,foreact-$(OVERLAY))
of_place = $(shell sed -n 's/^$(1)=//p' kustomize/overlays/$(OVERLAY)/values/values.env)
# Where the service answers, for make smoke; a laptop's by a port of this machine, since its certificate is its own.
URL ?= $(if $(filter local,$(OVERLAY)),http://localhost:{port},$(call of_place,PUBLIC_URL))
# How many seconds make smoke waits for a service that has forecasts.
WAIT ?= 120
# What the first and the nightly run are given besides: SCHEDULE="--known URL --columns k=v"; a laptop's, its demo data and less memory.
SCHEDULE ?= $(if $(filter local,$(OVERLAY)),$(demo_known) --parameter 'train_memory="2Gi"')
demo_known = $(foreach table,calendar.csv offers.parquet stores.csv,--known $(dir $(call of_place,HISTORY_URL))known/$(table))
# What an evaluation is given besides: EVALUATE="--known URL --known URL --columns k=v --store S --version N".
EVALUATE ?=
# Images are named by what they are made of; what is not committed says so.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BASE ?=
TAG ?= $(COMMIT)

prefix := $(if $(REGISTRY),$(REGISTRY)/)
pipeline := $(prefix)foreact-pipeline
serving := $(prefix)foreact-serving
# What images are for: the cluster's nodes, whatever machine builds them, or this machine where they stay on it. Several, as in
# PLATFORM=linux/amd64,linux/arm64, take docker buildx; a registry then gives one digest for all of them.
PLATFORM ?= $(if $(REGISTRY),linux/amd64)
comma := ,
several := $(findstring $(comma),$(PLATFORM))
build_image := $(DOCKER) $(if $(several),buildx build,build) $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT)
kube := $(KUBECTL) $(if $(CONTEXT),--context $(CONTEXT))
# The digest that a registry gave a pushed image, asked for when the recipe's line runs.
digest_of_one = $$($(DOCKER) image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' $(1):$(TAG) | sed -n 's|^$(1)@||p')
digest_of_several = $$($(DOCKER) buildx imagetools inspect --format '{{.Manifest.Digest}}' $(1):$(TAG))
digest = $(if $(several),$(digest_of_several),$(digest_of_one))

# The images that a place's cluster runs; with a folder behind it, its pipelines are written there.
running = $(PYTHON) kustomize/running.py $(1) "$(2)"
# What promote takes instead of what dev runs.
IMAGES ?=
# What make verify goes by: OWNER/NAME of the repository whose workflow built them, the certificate that they were signed with, or both.
REPOSITORY ?=
CERTIFICATE ?=
# What make sign signs by: SIGN="--key NAME" of notation's own, or, in a vault, SIGN="--plugin azure-kv --id KEY --plugin-config self_signed=true".
SIGN ?=
NOTATION := $(or $(shell command -v notation),build/bin/notation)
azure_kv = https://github.com/Azure/notation-azure-kv/releases/download/v1.2.1/notation-azure-kv_1.2.1_linux_amd64.tar.gz
azure_kv_sum = 67c5ccaaf28dd44d2b6572684d84e344a02c2258af1d65ead3910b3156d3eaf5
# Kubeflow's API by a port of this machine, for one command, unless FOREACT_KFP_HOST says where it is; pages as the runbook forwards them.
in_kubeflow = $(if $(FOREACT_KFP_HOST),,$(PYTHON) kustomize/forward.py "$(kube)" kubeflow/ml-pipeline:8888 env FOREACT_KFP_HOST=http://localhost:{port} FOREACT_RUN_URL=$(or $(FOREACT_RUN_URL),http://localhost:8080/\#/runs/details/{run}))
at_service = $(if $(findstring {port},$(URL)),$(PYTHON) kustomize/forward.py "$(kube)" foreact/foreact-serving:80)
# A key made for one command, unless FOREACT_API_KEY has one.
with_key = $(if $(FOREACT_API_KEY),,$(PYTHON) kustomize/with_key.py "$(kube)")

.PHONY: image push pushed az sign verify deploy running promote rollback smoke packages schedule first-run evaluate secrets-local

image:  ## Build both images, tagged by git hash
	$(build_image) --target pipeline --tag $(pipeline):$(TAG) .
	$(build_image) --target serving --build-arg PIPELINE_IMAGE=$(pipeline):$(TAG) --tag $(serving):$(TAG) .

.PHONY: operations
operations:  ## Build an image with the runbook's tools: OpenTofu, az, kubectl, kubelogin, make, git, Python
	$(DOCKER) build $(if $(BASE),--build-arg BASE=$(BASE)) --tag foreact-operations:$(TAG) docker/operations

push:  ## Push both images to REGISTRY, serving with the digest of its pipelines' image
	@test -n "$(REGISTRY)" || { echo "say where to: make push REGISTRY=HOST"; exit 1; }
	@case "$(TAG)" in *-dirty) echo "commit first: an image is named by its commit"; exit 1;; esac
	$(if $(several),$(build_image) --target pipeline --push --tag $(pipeline):$(TAG) .,$(DOCKER) push --quiet $(pipeline):$(TAG))
	$(build_image) --target serving $(if $(several),--push) --build-arg PIPELINE_IMAGE=$(pipeline)@$(call digest,$(pipeline)) --tag $(serving):$(TAG) .
	$(if $(several),,$(DOCKER) push --quiet $(serving):$(TAG))

pushed:  ## Print the images that were pushed, by their digests
	@echo $(pipeline)@$(call digest,$(pipeline)) $(serving)@$(call digest,$(serving))

az:  ## Install Azure's command line into build/az, by the operations image's lock file
	python3 -m venv build/az && build/az/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r docker/operations/az.txt

build/bin/notation: docker/notation/go.mod docker/notation/go.sum
	go build -C docker/notation -o $(CURDIR)/$@ github.com/notaryproject/notation/cmd/notation

sign: $(filter build/%,$(NOTATION))  ## Sign what was pushed (or IMAGES="TASKS SERVICE"), as SIGN says, into the registry
	@test -n "$(SIGN)" || { echo "say by which key: make sign SIGN=\"--key NAME\"" >&2; exit 1; }
	$(if $(findstring azure-kv,$(SIGN)),$(NOTATION) plugin list | grep --quiet azure-kv || $(NOTATION) plugin install --url $(azure_kv) --sha256sum $(azure_kv_sum))
	for image in $(or $(IMAGES),$(pipeline)@$(call digest,$(pipeline)) $(serving)@$(call digest,$(serving))); do \
		$(NOTATION) sign --signature-format cose $(SIGN) "$$image" || exit 1; done

# Notation looks for whom to trust in a folder of settings, here one of ours with the certificate alone.
trusted = XDG_CONFIG_HOME=$(CURDIR)/build/trusted $(NOTATION)

verify: $(if $(CERTIFICATE),$(filter build/%,$(NOTATION)))  ## Check what dev runs (or IMAGES="TASKS SERVICE"): built by REPOSITORY's workflow from main (wants gh 2.49), signed with CERTIFICATE
	@test -n "$(REPOSITORY)$(CERTIFICATE)" || { echo "say whose: make verify REPOSITORY=OWNER/NAME CERTIFICATE=FILE, or one of them" >&2; exit 1; }
	@rm -rf build/trusted && install -D -m 644 docker/notation/trustpolicy.json build/trusted/notation/trustpolicy.json
	@$(if $(CERTIFICATE),install -D -m 644 "$(CERTIFICATE)" build/trusted/notation/truststore/x509/ca/foreact/foreact.pem)
	images="$(IMAGES)" && images=$${images:-$$($(call running,dev,$(KUBECTL) --context foreact-dev))} && for image in $$images; do \
		$(if $(CERTIFICATE),$(trusted) verify "$$image" || exit 1;) \
		$(if $(REPOSITORY),gh attestation verify "oci://$$image" --repo $(REPOSITORY) --source-ref refs/heads/main \
			--signer-workflow $(REPOSITORY)/.github/workflows/delivery.yaml || exit 1;) done

deploy:  ## Set what was pushed in OVERLAY, apply it and wait for the rollout
	$(PYTHON) kustomize/set_images.py $(OVERLAY) $(pipeline)@$(call digest,$(pipeline)) $(serving)@$(call digest,$(serving))
	$(MAKE) --no-print-directory apply

.PHONY: apply
apply:  ## Apply OVERLAY as it is and wait for the rollout
	@$(PYTHON) kustomize/set_images.py $(OVERLAY) --check
	@# Scaling by the clock and Ray's autoscaler write into objects of ours: a deploy takes them back.
	$(kube) apply --server-side --force-conflicts --kustomize kustomize/overlays/$(OVERLAY)
	$(kube) --namespace mlflow rollout status deployment/mlflow --timeout 10m
	$(kube) --namespace foreact rollout status deployment/foreact-serving --timeout 10m

running:  ## Print the images that OVERLAY's cluster runs, its tasks' and its service's; SET=1 sets them in OVERLAY too
	@images=$$($(call running,$(OVERLAY),$(kube))) && echo $$images $(if $(SET),&& $(PYTHON) kustomize/set_images.py $(OVERLAY) $$images)

promote:  ## Give prod the images that dev runs (or IMAGES="TASKS SERVICE"), apply and wait
	images="$(IMAGES)" && images=$${images:-$$($(call running,dev,$(KUBECTL) --context foreact-dev))} && $(PYTHON) kustomize/set_images.py prod $$images
	$(MAKE) --no-print-directory apply OVERLAY=prod

# What runs the tasks' image by itself; MLflow stays, because its database may have moved on.
rolled_back = app.kubernetes.io/name in (ray, foreact-reforecast, foreact-warm-node)

rollback:  ## Run again what OVERLAY served before: the service, the Ray cluster, what runs by the clock and the nightly run
	@case $(OVERLAY) in local) echo "local runs a tag, and no image of before: check out its commit, then make image" >&2; exit 1;; esac
	$(kube) --namespace foreact rollout undo deployment/foreact-serving
	$(kube) --namespace foreact rollout status deployment/foreact-serving --timeout 10m
	$(MAKE) --no-print-directory running SET=1
	@# Tasks of the old image would meet Ray and code of the new one, and the service forecasts of a newer release.
	$(kube) apply --server-side --force-conflicts --kustomize kustomize/overlays/$(OVERLAY) --selector '$(rolled_back)'
	$(MAKE) --no-print-directory schedule

packages:  ## Write the pipelines that OVERLAY's service holds into build/compiled
	$(call running,$(OVERLAY),$(kube)) build/compiled

schedule: setup packages  ## Bring OVERLAY's nightly run up to what was deployed
	FOREACT_KFP_TIMEZONE=$(call of_place,TIMEZONE) $(in_kubeflow) $(BIN)/foreact schedule apply --packages build/compiled --history $(call of_place,HISTORY_URL) $(SCHEDULE)

first-run: setup packages  ## Retrain every store in OVERLAY's cluster now, with what was deployed, and follow it
	$(in_kubeflow) $(BIN)/foreact submit retrain-all --package build/compiled/retrain-all.yaml --history $(call of_place,HISTORY_URL) $(SCHEDULE)

evaluate:  ## Backtest OVERLAY's history in its cluster, beside the baselines, into MLflow; EVALUATE="..." go to foreact evaluate
	images=$$($(call running,$(OVERLAY),$(kube))) && \
	  job=$$($(KUBECTL) kustomize kustomize/platform/evaluate | $(PYTHON) kustomize/own_job.py $${images%% *} $(EVALUATE) | $(kube) create --output name --filename -) && \
	  $(kube) --namespace kubeflow wait --for jsonpath='{.status.ready}'=1 --timeout 15m $$job && \
	  $(kube) --namespace kubeflow logs --follow $$job && \
	  $(kube) --namespace kubeflow wait --for condition=complete --timeout 1m $$job

# What comes from upstream, in the order in which one part needs another; a laptop has no gateway, and AKS may have one of its own.
own_gateway = $(if $(shell grep -l components/app-routing kustomize/overlays/$(OVERLAY)/kustomization.yaml),,upstream/envoy-gateway upstream/envoy-class)
of_azure = $(own_gateway) upstream/cert-manager-gateway upstream/azure
parts = upstream/kubeflow-definitions overlays/$(OVERLAY)/kubeflow upstream/kuberay $(if $(filter local,$(OVERLAY)),upstream/cert-manager,$(of_azure))

.PHONY: platform platform-diff
platform:  ## Install or upgrade what comes from upstream in OVERLAY's cluster: pinned, with our settings
	for part in $(parts); do $(kube) apply --server-side --force-conflicts --kustomize kustomize/$$part || exit; done
	@# It reads its time zone when it starts.
	$(kube) --namespace kubeflow rollout restart deployment/ml-pipeline-scheduledworkflow
	$(kube) --namespace kubeflow rollout status deployment/ml-pipeline --timeout 15m
	$(kube) --namespace default rollout status deployment/kuberay-operator --timeout 5m
	$(kube) --namespace cert-manager rollout status deployment/cert-manager-webhook --timeout 5m

platform-diff:  ## Show what make platform would change in OVERLAY's cluster
	@# kubectl diff ends with 1 where something differs.
	for part in $(parts); do $(kube) diff --server-side --force-conflicts --kustomize kustomize/$$part || test $$? -eq 1 || exit; done

smoke: setup  ## Wait for URL's forecasts and call every route as a viewer; fails if an answer is not as expected
	$(at_service) $(with_key) $(BIN)/foreact smoke --wait $(WAIT) $(if $(at_service),--host $(call of_place,HOSTNAME)) $(URL)

secrets-local:  ## Make the local cluster's secrets
	KUBECTL="$(kube)" sh kustomize/overlays/local/secrets.sh

.PHONY: validate-terraform
validate-terraform:  ## Check terraform/ with OpenTofu and its provider, built from the Go module proxy
	bash terraform/validate.sh
