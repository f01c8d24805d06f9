#!/bin/sh
# Make the local cluster's secrets, random and its own, once: those that are there stay.
set -eu
kubectl=${KUBECTL:-kubectl}

random() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }
word() { head -c 24 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '\n'; }
# Dex keeps its people's passwords as bcrypt: Apache's htpasswd makes it, and so does the C library of Linux.
bcrypt() {
    if command -v htpasswd >/dev/null 2>&1; then
        hash=$(htpasswd -nbBC 10 x "$1" | head -n 1 | cut -d: -f2)
    else
        hash=$(perl -e 'print crypt($ARGV[0], "\$2b\$10\$$ARGV[1].")' "$1" "$(word | cut -c1-21)")
    fi
    case $hash in
        '$2'*) echo "$hash" ;;
        *) echo "no bcrypt on this machine: install htpasswd (apache2-utils)" >&2; exit 1 ;;
    esac
}
make_secret() {
    namespace=$1 name=$2
    shift 2
    $kubectl get namespace "$namespace" >/dev/null 2>&1 || $kubectl create namespace "$namespace"
    # Kubeflow's namespace outlives ours, and then holds a secret that no longer fits.
    $kubectl --namespace "$namespace" delete secret "$name" --ignore-not-found
    $kubectl --namespace "$namespace" create secret generic "$name" "$@"
}

if ! $kubectl --namespace foreact get secret dex >/dev/null 2>&1; then
    admin=$(word) planner=$(word)
    admin_hash=$(bcrypt "$admin") planner_hash=$(bcrypt "$planner")
    make_secret foreact dex \
        --from-literal=client-secret="$(word)" \
        --from-literal=admin-password="$admin" \
        --from-literal=admin-hash="$admin_hash" \
        --from-literal=planner-password="$planner" \
        --from-literal=planner-hash="$planner_hash"
fi
if $kubectl --namespace azurite get secret azurite >/dev/null 2>&1; then
    echo "the secrets are there already"
    exit 0
fi

key=$(random)
blob="DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=$key;BlobEndpoint=http://azurite.azurite.svc.cluster.local:10000/devstoreaccount1;"
admin=$(word) pipelines=$(word) database=$(word) ray=$(word) metrics=$(word)

make_secret foreact foreact-serving \
    --from-literal=FOREACT_SESSION_SECRET="$(word)$(word)" \
    --from-literal=FOREACT_METRICS_TOKEN="$metrics" \
    --from-literal=FOREACT_BLOB_CONNECTION_STRING="$blob"
make_secret kubeflow foreact-pipelines \
    --from-literal=MLFLOW_TRACKING_USERNAME=foreact-pipelines \
    --from-literal=MLFLOW_TRACKING_PASSWORD="$pipelines" \
    --from-literal=RAY_AUTH_TOKEN="$ray" \
    --from-literal=FOREACT_BLOB_CONNECTION_STRING="$blob"
make_secret mlflow mlflow \
    --from-literal=admin-password="$admin" \
    --from-literal=pipelines-password="$pipelines" \
    --from-literal=session-key="$(word)" \
    --from-literal=database-password="$database" \
    --from-literal=backend-store-uri="postgresql+psycopg2://mlflow:$database@postgres:5432/mlflow" \
    --from-literal=blob-connection-string="$blob"
make_secret ray ray \
    --from-literal=auth_token="$ray" \
    --from-literal=blob-connection-string="$blob"
make_secret monitoring prometheus --from-literal=metrics-token="$metrics"
# Last, because its presence says that all of them were made.
make_secret azurite azurite \
    --from-literal=accounts="devstoreaccount1:$key" \
    --from-literal=connection-string="$blob"
