# A cluster on this machine, from nothing to forecasts: make local-up, make local-down. Included by the Makefile.
KIND ?= kind
# kind's name of it, and kubectl's.
CLUSTER ?= foreact
# Whatever a shell holds for another place, nothing of this goes there.
here := OVERLAY=local CONTEXT=kind-$(CLUSTER) TAG=dev REGISTRY= FOREACT_KFP_HOST= FOREACT_API_KEY=
INGRESS := https://raw.githubusercontent.com/kubernetes/ingress-nginx/controller-v1.13.2/deploy/static/provider/kind/deploy.yaml

.PHONY: local-up local-down local-needs local-cluster local-images local-ingress demo-data

local-up: local-needs  ## A cluster on this machine by kind, with images, platform, demo data, a first run, and smoke
	for step in local-cluster local-ingress image local-images platform secrets-local apply demo-data first-run schedule smoke; do $(MAKE) --no-print-directory $$step $(here) || exit; done
	@echo "Pages: https://foreact.localhost (its certificate is its own). Keys, Kubeflow's pages, the end: kustomize/README.md, make local-down."

local-down:  ## Delete the cluster of make local-up, with all that is in it
	$(KIND) delete cluster --name $(CLUSTER)

local-needs:
	@command -v $(firstword $(DOCKER)) >/dev/null || { echo "install Docker, which runs the cluster and builds its images: https://docs.docker.com/engine/install" >&2; exit 1; }
	@command -v $(firstword $(KIND)) >/dev/null || { echo "install kind, which makes the cluster: go install sigs.k8s.io/kind@v0.33.0, or https://kind.sigs.k8s.io" >&2; exit 1; }
	@command -v $(firstword $(KUBECTL)) >/dev/null || { echo "install kubectl, which every step calls: https://kubernetes.io/docs/tasks/tools" >&2; exit 1; }

local-cluster:  ## Make the cluster, unless it is there
	$(KIND) get clusters | grep --quiet --line-regexp $(CLUSTER) || $(KIND) create cluster --name $(CLUSTER) --config kustomize/overlays/local/kind.yaml --wait 5m

local-images:  ## Hand the built images to the cluster's node
	$(KIND) load docker-image $(pipeline):$(TAG) $(serving):$(TAG) --name $(CLUSTER)

local-ingress:  ## Install the Ingress controller
	$(kube) apply --server-side --filename $(INGRESS)
	$(kube) --namespace ingress-nginx rollout status deployment/ingress-nginx-controller --timeout 5m

demo-data: setup  ## Bring a made-up retailer's sales to the local cluster's Azurite
	@FOREACT_BLOB_CONNECTION_STRING="$$($(kube) --namespace azurite get secret azurite --output go-template='{{index .data "connection-string" | base64decode}}')" \
	$(PYTHON) kustomize/forward.py "$(kube)" azurite/azurite:10000 $(BIN)/python kustomize/overlays/local/demo_data.py http://localhost:{port}/devstoreaccount1/sales
