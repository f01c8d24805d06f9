"""What must hold of every object, each rule a function that names those which break it."""

import re
from collections.abc import Callable, Iterator

from pydantic_settings import BaseSettings

from foreact.kubeflow.settings import KubeflowSettings
from foreact.settings import PipelineSettings
from serving.settings import ServingSettings
from tests.kustomize.manifests import Object, name, namespace, pods, selects

Rule = Callable[[list[Object]], Iterator[str]]
CLIENT_ID = "azure.workload.identity/client-id"
USES_IDENTITY = "azure.workload.identity/use"
SECRET_WORDS = re.compile(r"(SECRET|PASSWORD|TOKEN|_KEY|CONNECTION_STRING|ACCOUNTS)$")
DEPRECATED_APIS = re.compile(r"(extensions/|v\d+beta\d+$|v\d+alpha\d+$)")
# Envoy Gateway's own kinds have no stable version yet.
UNSTABLE = "gateway.envoyproxy.io/v1alpha1"
DEPRECATED_FIELDS = {"serviceAccount", "dnsPolicyLegacy", "serviceAccountNameDeprecated"}
# Kubeflow's namespace has policies of its own for pods of its own.
FOREIGN = {"kubeflow"}


def probes(items: list[Object]) -> Iterator[str]:
    """Every lasting container is probed; the service by three paths."""
    for made in pods(items):
        for container in made.containers if made.lasting else ():
            for probe in ("livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"{name(made.owner)}: container {container['name']} has no {probe}"
        if made.owner["metadata"]["name"] == "foreact-serving" and made.lasting:
            found = {made.containers[0].get(f"{kind}Probe", {}).get("httpGet", {}).get("path") for kind in PROBES}
            if len(found - {None}) != len(PROBES):
                yield f"{name(made.owner)}: its probes share a path or lack one"


PROBES = ("startup", "liveness", "readiness")


def limits(items: list[Object]) -> Iterator[str]:
    """Every container says what it needs and what it may take."""
    for made in pods(items):
        for container in made.containers:
            for bound in ("requests", "limits"):
                if not {"cpu", "memory"} <= container.get("resources", {}).get(bound, {}).keys():
                    yield f"{name(made.owner)}: container {container['name']} has no cpu and memory {bound}"


def restricted(items: list[Object]) -> Iterator[str]:
    """Nobody runs as root, gains rights, writes to the root or reaches into the node."""
    for item in items:
        labels = item["metadata"].get("labels", {})
        if item["kind"] == "Namespace" and labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name(item)}: takes pods that are not restricted"
    for made in pods(items):
        pod = made.spec.get("securityContext", {})
        if not pod.get("runAsNonRoot") or pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name(made.owner)}: its pods may run as root or without seccomp"
        if made.spec.get("hostNetwork") or any("hostPath" in volume for volume in made.spec.get("volumes", [])):
            yield f"{name(made.owner)}: reaches into the node"
        for container in made.containers:
            context = container.get("securityContext", {})
            if (
                context.get("allowPrivilegeEscalation") is not False
                or context.get("readOnlyRootFilesystem") is not True
                or context.get("capabilities", {}).get("drop") != ["ALL"]
            ):
                yield f"{name(made.owner)}: container {container['name']} is not confined"


def identities(items: list[Object]) -> Iterator[str]:
    """Workload identity has both halves, and pods without rights carry no token."""
    accounts = {(namespace(item), item["metadata"]["name"]): item for item in items if item["kind"] == "ServiceAccount"}
    bound = {
        (subject.get("namespace", namespace(item)), subject["name"])
        for item in items
        if item["kind"] == "RoleBinding"
        for subject in item["subjects"]
    }
    for made in pods(items):
        wanted = made.spec.get("serviceAccountName")
        key = (namespace(made.owner), wanted)
        if wanted and key not in accounts:
            yield f"{name(made.owner)}: its service account {wanted} is not there"
            continue
        annotated = bool(wanted) and CLIENT_ID in accounts[key]["metadata"].get("annotations", {})
        if annotated != (made.labels.get(USES_IDENTITY) == "true"):
            yield f"{name(made.owner)}: workload identity needs the annotation and the pod's label, both or neither"
        automount = made.spec.get(
            "automountServiceAccountToken", accounts.get(key, {}).get("automountServiceAccountToken", True)
        )
        # KubeRay grants the head's account its rights.
        if automount and key not in bound and wanted != "ray-head":
            yield f"{name(made.owner)}: its pods carry a token that nothing needs"


def selectors(items: list[Object]) -> Iterator[str]:
    """Whoever selects pods or names a target finds one."""
    found = list(pods(items))
    for item in items:
        near = [made for made in found if namespace(made.owner) == namespace(item)]
        spec = item.get("spec", {})
        match item["kind"]:
            case "Deployment" | "StatefulSet":
                if not selects(spec["selector"], spec["template"]["metadata"]["labels"]):
                    yield f"{name(item)}: does not select its own pods"
            case "Service":
                taken = [made for made in near if selects({"matchLabels": spec["selector"]}, made.labels)]
                ports = {port["name"] for made in taken for c in made.containers for port in c.get("ports", [])}
                if not taken or not {port["targetPort"] for port in spec["ports"]} <= ports:
                    yield f"{name(item)}: selects no pod with its ports"
            case "PodDisruptionBudget":
                if not any(selects(spec["selector"], made.labels) for made in near):
                    yield f"{name(item)}: protects no pod"
            case "HorizontalPodAutoscaler":
                target = spec["scaleTargetRef"]
                if not _find(items, target["kind"], namespace(item), target["name"]):
                    yield f"{name(item)}: scales nothing"
            case "HTTPRoute":
                for rule in spec["rules"]:
                    for backend in rule.get("backendRefs", []):
                        if not _find(items, "Service", namespace(item), backend["name"]):
                            yield f"{name(item)}: leads to no service"


def _find(items: list[Object], kind: str, space: str, wanted: str) -> list[Object]:
    return [
        item
        for item in items
        if item["kind"] == kind and namespace(item) == space and item["metadata"]["name"] == wanted
    ]


def images(items: list[Object]) -> Iterator[str]:
    """Every image says which one it is."""
    for made in pods(items):
        for container in made.containers:
            image = container["image"]
            if "@sha256:" not in image and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")):
                yield f"{name(made.owner)}: image {image} names no version"


def digests(items: list[Object]) -> Iterator[str]:
    """Every image is fixed by its digest."""
    for made in pods(items):
        for container in made.containers:
            if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
                yield f"{name(made.owner)}: image {container['image']} has no digest"


def disruption(items: list[Object]) -> Iterator[str]:
    """A node can always be drained, and one party alone decides how many replicas run."""
    for item in items:
        if item["kind"] == "PodDisruptionBudget" and item["spec"].get("maxUnavailable") != 1:
            yield f"{name(item)}: must let one pod go at a time, maxUnavailable: 1"
        if item["kind"] == "HorizontalPodAutoscaler":
            for target in _find(items, "Deployment", namespace(item), item["spec"]["scaleTargetRef"]["name"]):
                if "replicas" in target["spec"]:
                    yield f"{name(target)}: has replicas under an autoscaler"


def policies(items: list[Object]) -> Iterator[str]:
    """Every namespace of ours denies by default, and every pod has a policy that says what it may."""
    rules = [item for item in items if item["kind"] == "NetworkPolicy"]
    both = {"Ingress", "Egress"}
    for space in sorted({namespace(made.owner) for made in pods(items)} - FOREIGN):
        denying = [
            rule
            for rule in rules
            if namespace(rule) == space
            and rule["spec"]["podSelector"] == {}
            and set(rule["spec"]["policyTypes"]) == both
            and not rule["spec"].get("ingress")
            and not rule["spec"].get("egress")
        ]
        if not denying:
            yield f"Namespace -/{space}: nothing denies by default"
    for made in pods(items):
        near = [rule for rule in rules if namespace(rule) == namespace(made.owner) and rule["spec"]["podSelector"]]
        if not any(selects(rule["spec"]["podSelector"], made.labels) for rule in near):
            yield f"{name(made.owner)}: no network policy is about its pods"


def secrets(items: list[Object]) -> Iterator[str]:
    """No secret is in the manifests, and what is secret is only referred to."""
    for item in items:
        if item["kind"] == "Secret":
            yield f"{name(item)}: secrets are made elsewhere"
        if item["kind"] == "ConfigMap":
            for key in item.get("data", {}):
                if SECRET_WORDS.search(key):
                    yield f"{name(item)}: {key} belongs in a secret"
    for made in pods(items):
        for container in made.containers:
            for variable in container.get("env", []):
                if SECRET_WORDS.search(variable["name"]) and "value" in variable:
                    yield f"{name(made.owner)}: {variable['name']} is written out"


def rights(items: list[Object]) -> Iterator[str]:
    """Roles name what they mean, which is there, and end at their namespace."""
    there = {(namespace(item), f"{item['kind'].lower()}s", item["metadata"]["name"]) for item in items}
    for item in items:
        if item["kind"].startswith("ClusterRole"):
            yield f"{name(item)}: reaches beyond its namespace"
        for rule in item.get("rules", []) if item["kind"] == "Role" else ():
            broad = "*" in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            if broad or ("secrets" in rule["resources"] and not rule.get("resourceNames")):
                yield f"{name(item)}: grants more than it names"
            for wanted in rule.get("resourceNames", []) if namespace(item) not in FOREIGN else ():
                if not any((namespace(item), resource, wanted) in there for resource in rule["resources"]):
                    yield f"{name(item)}: names {wanted}, which is not there"


def current(items: list[Object]) -> Iterator[str]:
    """Nothing deprecated is used."""
    for item in items:
        if DEPRECATED_APIS.search(item["apiVersion"]) and item["apiVersion"] != UNSTABLE:
            yield f"{name(item)}: {item['apiVersion']} is no stable version"
        if "kubernetes.io/ingress.class" in item["metadata"].get("annotations", {}):
            yield f"{name(item)}: ingressClassName replaces the annotation"
    for made in pods(items):
        for field in DEPRECATED_FIELDS & made.spec.keys():
            yield f"{name(made.owner)}: {field} is deprecated"


def settings(items: list[Object]) -> Iterator[str]:
    """Every FOREACT_ variable is a setting that the code knows."""
    known = {
        "foreact-serving-settings": _names(ServingSettings) | _names(KubeflowSettings),
        "foreact-pipelines": _names(PipelineSettings),
    }
    for item in items:
        names = known.get(re.sub(r"-[a-z0-9]{10}$", "", item["metadata"]["name"]))
        for key in item.get("data", {}) if item["kind"] == "ConfigMap" and names else ():
            if key.startswith("FOREACT_") and key not in names:
                yield f"{name(item)}: {key} is no setting"


def _names(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config["env_prefix"]
    return {f"{prefix}{field}".upper() for field in settings.model_fields}


def references(items: list[Object]) -> Iterator[str]:
    """Every ConfigMap that a pod needs is there, and every Secret, where a vault provides them."""
    maps = {(namespace(item), item["metadata"]["name"]) for item in items if item["kind"] == "ConfigMap"}
    vaults = [item for item in items if item["kind"] == "SecretProviderClass"]
    kept = {
        (namespace(vault), secret["secretName"], entry["key"])
        for vault in vaults
        for secret in vault["spec"]["secretObjects"]
        for entry in secret["data"]
    }
    for made in pods(items):
        space = namespace(made.owner)
        for container in made.containers:
            for source in container.get("envFrom", []):
                wanted = source.get("configMapRef", {}).get("name")
                if wanted and (space, wanted) not in maps:
                    yield f"{name(made.owner)}: ConfigMap {wanted} is not there"
                wanted = source.get("secretRef", {}).get("name")
                if vaults and wanted and not any(key[:2] == (space, wanted) for key in kept):
                    yield f"{name(made.owner)}: no vault provides Secret {wanted}"
            for variable in container.get("env", []):
                ref = variable.get("valueFrom", {}).get("secretKeyRef")
                if vaults and ref and (space, ref["name"], ref["key"]) not in kept:
                    yield f"{name(made.owner)}: no vault provides {ref['key']} of Secret {ref['name']}"


EVERYWHERE: tuple[Rule, ...] = (
    probes,
    limits,
    restricted,
    identities,
    selectors,
    images,
    disruption,
    policies,
    secrets,
    rights,
    current,
    settings,
    references,
)
