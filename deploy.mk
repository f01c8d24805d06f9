# From the code to a cluster: make image push deploy smoke. Included by the Makefile.
DOCKER ?= docker
KUBECTL ?= kubectl
# Where images go, as in REGISTRY=foreactexampledev.azurecr.io; empty: they stay on this machine.
REGISTRY ?=
# Which of kustomize/overlays, and which of kubectl's contexts: a place's own, so that prod never lands on dev's cluster.
OVERLAY ?= dev
CONTEXT ?= $(if $(filter local,$(OVERLAY)),,foreact-$(OVERLAY))
of_place = $(shell sed -n 's/^$(1)=//p' kustomize/overlays/$(OVERLAY)/values/values.env)
# Where the service answers, for make smoke.
URL ?= $(call of_place,PUBLIC_URL)
# What the nightly run is given besides: SCHEDULE="--known URL --columns k=v".
SCHEDULE ?=
# Images are named by what they are made of; what is not committed says so.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BASE ?=
TAG ?= $(COMMIT)

prefix := $(if $(REGISTRY),$(REGISTRY)/)
pipeline := $(prefix)foreact-pipeline
serving := $(prefix)foreact-serving
build_image := $(DOCKER) build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT)
kube := $(KUBECTL) $(if $(CONTEXT),--context $(CONTEXT))
# The digest that a registry gave a pushed image, asked for when the recipe's line runs.
digest = $$($(DOCKER) image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' $(1):$(TAG) | sed -n 's|^$(1)@||p')

# The images that a place's cluster runs; with a folder behind it, its pipelines are written there.
running = $(PYTHON) kustomize/running.py $(1) "$(2)"
# What promote takes instead of what dev runs.
IMAGES ?=
# OWNER/NAME of the repository whose workflow built them, for make verify.
REPOSITORY ?=

.PHONY: image push pushed verify deploy running promote rollback smoke packages schedule evaluate secrets-local

image:  ## Build both images, tagged by git hash
	$(build_image) --target pipeline --tag $(pipeline):$(TAG) .
	$(build_image) --target serving --build-arg PIPELINE_IMAGE=$(pipeline):$(TAG) --tag $(serving):$(TAG) .

push:  ## Push both images to REGISTRY, serving with the digest of its pipelines' image
	@test -n "$(REGISTRY)" || { echo "say where to: make push REGISTRY=HOST"; exit 1; }
	@case "$(TAG)" in *-dirty) echo "commit first: an image is named by its commit"; exit 1;; esac
	$(DOCKER) push --quiet $(pipeline):$(TAG)
	$(build_image) --target serving --build-arg PIPELINE_IMAGE=$(pipeline)@$(call digest,$(pipeline)) --tag $(serving):$(TAG) .
	$(DOCKER) push --quiet $(serving):$(TAG)

pushed:  ## Print the images that were pushed, by their digests
	@echo $(pipeline)@$(call digest,$(pipeline)) $(serving)@$(call digest,$(serving))

verify:  ## Check that REPOSITORY's workflow built what dev runs (or IMAGES="TASKS SERVICE") from main; wants gh 2.49
	@test -n "$(REPOSITORY)" || { echo "say whose: make verify REPOSITORY=OWNER/NAME" >&2; exit 1; }
	images="$(IMAGES)" && images=$${images:-$$($(call running,dev,$(KUBECTL) --context foreact-dev))} && for image in $$images; do \
		gh attestation verify "oci://$$image" --repo $(REPOSITORY) --source-ref refs/heads/main \
			--signer-workflow $(REPOSITORY)/.github/workflows/delivery.yaml || exit 1; done

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

rollback:  ## Run again what OVERLAY served before: the service, the Ray cluster and the nightly run
	@case $(OVERLAY) in local) echo "local runs a tag, and no image of before: check out its commit, then make image" >&2; exit 1;; esac
	$(kube) --namespace foreact rollout undo deployment/foreact-serving
	$(kube) --namespace foreact rollout status deployment/foreact-serving --timeout 10m
	$(MAKE) --no-print-directory running SET=1
	@# Tasks of the old image would meet Ray and code of the new one.
	$(kube) apply --server-side --force-conflicts --kustomize kustomize/overlays/$(OVERLAY) --selector app.kubernetes.io/name=ray
	$(MAKE) --no-print-directory schedule

packages:  ## Write the pipelines that OVERLAY's service holds into build/compiled
	$(call running,$(OVERLAY),$(kube)) build/compiled

schedule: setup packages  ## Bring OVERLAY's nightly run up to what was deployed; FOREACT_KFP_HOST says where
	FOREACT_KFP_TIMEZONE=$(call of_place,TIMEZONE) $(BIN)/foreact schedule apply --packages build/compiled --history $(call of_place,HISTORY_URL) $(SCHEDULE)

evaluate:  ## Backtest OVERLAY's history in its cluster, beside the baselines, into MLflow
	images=$$($(call running,$(OVERLAY),$(kube))) && $(KUBECTL) kustomize kustomize/platform/evaluate | sed "s|image: foreact-pipeline$$|image: $${images%% *}|" | $(kube) replace --force --filename -
	$(kube) --namespace kubeflow wait --for jsonpath='{.status.ready}'=1 --timeout 15m job/evaluate
	$(kube) --namespace kubeflow logs --follow job/evaluate
	$(kube) --namespace kubeflow wait --for condition=complete --timeout 1m job/evaluate

# What comes from upstream, in the order in which one part needs another; a laptop has no gateway.
of_azure := upstream/envoy-gateway upstream/cert-manager-gateway upstream/azure
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

smoke: setup  ## Call every route of URL; fails if an answer is not as expected
	$(BIN)/foreact smoke $(URL)

secrets-local:  ## Make the local cluster's secrets
	sh kustomize/overlays/local/secrets.sh

.PHONY: validate-terraform
validate-terraform:  ## Check terraform/ with OpenTofu and its provider, built from the Go module proxy
	bash terraform/validate.sh
