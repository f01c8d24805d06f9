# Two images from one file:
#   pipeline  every step, Ray worker and MLflow server
#   serving   the API and the dashboard, light
# BASE is any Debian-like image with python3 (3.11 or newer) and its venv module.
ARG BASE=python:3.11-slim-bookworm

# --- build: what is needed to install, and never ships -----------------------------------------------------------------
FROM ${BASE} AS build
WORKDIR /src
COPY locks/build.txt locks/
RUN python3 -m venv /build \
    && /build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r locks/build.txt
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1

# The code alone, as a layer of its own: a change of it re-ships a few hundred kilobytes, not the dependencies.
FROM build AS code
COPY pyproject.toml README.md LICENSE ./
COPY commands commands
COPY foreact foreact
COPY components components
COPY pipelines pipelines
COPY serving serving
RUN /build/bin/uv build --quiet --wheel --no-build-isolation --python /build/bin/python --out-dir /wheels . \
    && python3 -m venv --without-pip /opt/foreact \
    && /build/bin/uv pip install --quiet --no-deps --python /opt/foreact/bin/python --offline /wheels/*.whl \
    && mkdir -p /code/opt/foreact/bin /code/opt/foreact/lib \
    && cp -a /opt/foreact/lib/. /code/opt/foreact/lib \
    && cp -a /opt/foreact/bin/foreact /code/opt/foreact/bin/

FROM build AS serving-dependencies
COPY locks/serving.txt locks/
RUN python3 -m venv --without-pip /opt/foreact \
    && /build/bin/uv pip sync --quiet --require-hashes --python /opt/foreact/bin/python locks/serving.txt
COPY docker/slim.sh /build/
RUN sh /build/slim.sh /opt/foreact

# kfp itself, without its many dependencies: with _KFP_RUNTIME=true neither its executor nor the steps' modules need them.
# Its version and hash are those of the development lock file, so that what compiles is what runs.
FROM build AS pipeline-dependencies
COPY locks/pipeline.txt locks/dev.txt locks/
RUN python3 -m venv --without-pip /opt/foreact \
    && /build/bin/uv pip sync --quiet --require-hashes --python /opt/foreact/bin/python locks/pipeline.txt \
    && sed -n '/^kfp==/,/[^\\]$/p' locks/dev.txt > locks/kfp.txt \
    && /build/bin/uv pip install --quiet --no-deps --require-hashes --python /opt/foreact/bin/python -r locks/kfp.txt
COPY docker/slim.sh /build/
RUN sh /build/slim.sh /opt/foreact

# The compiled pipelines, their tasks' image set to the one that was pushed, and its commit noted.
FROM build AS compiled
COPY compiled /compiled
ARG PIPELINE_IMAGE=foreact-pipeline:dev
ARG COMMIT=unknown
RUN sed -i -e "1i # Commit: ${COMMIT}" -e "s|image: foreact-pipeline:dev$|image: ${PIPELINE_IMAGE}|" /compiled/*.yaml \
    && grep -q "image: ${PIPELINE_IMAGE}$" /compiled/retrain-store.yaml

# --- what both images have in common -----------------------------------------------------------------------------------
FROM ${BASE} AS runtime
RUN if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip uninstall --quiet --yes pip setuptools wheel; fi
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin foreact
ENV PATH=/opt/foreact/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FOREACT_WORKSPACE=/tmp/foreact
WORKDIR /tmp
USER 10001:10001

# --- pipeline ----------------------------------------------------------------------------------------------------------
FROM runtime AS pipeline
# What runs by the clock imports kfp as tasks do. Telemetry off, and no server jobs nobody asked for.
ENV _KFP_RUNTIME=true \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    MPLCONFIGDIR=/tmp/matplotlib \
    RAY_USAGE_STATS_ENABLED=0
COPY --from=pipeline-dependencies /opt/foreact /opt/foreact
COPY --from=code /code/ /
COPY --from=compiled /compiled /opt/foreact/compiled
# No word of the git that is not here.
ENV GIT_PYTHON_REFRESH=quiet
# A task ends by itself, and Ray and MLflow bring health checks of their own where they are deployed.
HEALTHCHECK NONE
CMD ["foreact", "--help"]
ARG VERSION=0.0.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="foreact-pipeline" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV FOREACT_CODE_VERSION=${COMMIT}

# --- serving -----------------------------------------------------------------------------------------------------------
FROM runtime AS serving
COPY --from=serving-dependencies /opt/foreact /opt/foreact
COPY --from=code /code/ /
COPY --from=compiled /compiled /opt/foreact/compiled
ENV FOREACT_REFRESH_PACKAGE=/opt/foreact/compiled/retrain-store.yaml
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["foreact", "serve", "--host", "0.0.0.0", "--port", "8000"]
ARG VERSION=0.0.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="foreact-serving" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV FOREACT_CODE_VERSION=${COMMIT}
