# The kit in an image: libraries, code and command line, without weights (docs/container.md).
#
# Plain instructions only, no RUN --mount and no heredoc: the Docker API that Python's docker package
# speaks knows no BuildKit, and docker, podman and buildah shall all build this same file.

# The tag says what the digest is. The -base image is enough: torch brings CUDA's libraries as wheels.
ARG BASE_IMAGE=docker.io/nvidia/cuda:13.0.2-base-ubuntu24.04@sha256:2ab6381d970b211fb93853796dc6707eb8a72575a375c422b17cf4d8b2641701

# --- system: the base and its own Python ---------------------------------------------------------
FROM ${BASE_IMAGE} AS system
# Distributions delete old builds from their archives, so a release can be pinned and no more:
# 3.12 on Ubuntu 24.04, 3.11 on Debian 12.
ARG PYTHON_VERSION=3.12
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        "python3=${PYTHON_VERSION}.*" \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

# --- libraries: the hashed lock in a virtual environment; stays behind, but for /opt/venv --------
FROM system AS libraries
ARG PYTHON_VERSION=3.12
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        "python3-venv=${PYTHON_VERSION}.*" \
    && rm -rf /var/lib/apt/lists/*
# pip gets an environment of its own, so that the final image has none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
COPY requirements/ /build/requirements/
# What pip needs on the builder's network (certificate, pip.conf, wheels); empty in the repository.
COPY scripts/container/local/ /build/local/
WORKDIR /build/local
# SAM2_BUILD_CUDA=0: the CUDA kernel of sam2 would need a compiler, and the kit does not use it.
ENV PIP_CONFIG_FILE=/build/local/pip.conf \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_PROGRESS_BAR=off \
    PIP_PYTHON=/opt/venv/bin/python \
    PIP_ROOT_USER_ACTION=ignore \
    SAM2_BUILD_CUDA=0
# cuda, cuda12 or cpu. The CPU build of torch is looked for where pip.conf says, and then at PyTorch's own.
ARG LOCK=cuda
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN set -eu; \
    install() { \
        /opt/pip/bin/pip install --no-deps --no-build-isolation --require-hashes "$@"; \
    }; \
    install -r ../requirements/build.txt; \
    if [ "${LOCK}" = cpu ]; then \
        install -r ../requirements/torch-cpu.txt \
            || install -r ../requirements/torch-cpu.txt --extra-index-url "${TORCH_INDEX}"; \
    fi; \
    install -r "../requirements/${LOCK}.txt"
# The lock also holds what tests and lints the kit: out again.
COPY pyproject.toml scripts/container/only_for_development.py /build/
RUN /opt/venv/bin/python /build/only_for_development.py /build/pyproject.toml >/build/unneeded \
    && /opt/pip/bin/pip uninstall -y -r /build/unneeded

# --- package: the kit alone, in a layer of its own: new code changes kilobytes, not gigabytes -----
FROM libraries AS package
COPY LICENSE NOTICE README.md pyproject.toml /build/kit/
COPY submission/ /build/kit/submission/
RUN /opt/pip/bin/pip install --no-deps --no-build-isolation --no-index --target /opt/mevis /build/kit

# --- submission: what runs -----------------------------------------------------------------------
FROM system AS submission
# Any user may write results, also without an entry in /etc/passwd.
RUN mkdir /data /weights && mkdir -m 1777 /runs
COPY --from=libraries /opt/venv /opt/venv
COPY --from=package /opt/mevis /opt/mevis
# The root file system may be read-only: short-lived files go to /tmp, and what is worth keeping
# between runs (hashes of checkpoints) beside the results. USER and LOGNAME answer for users without
# a name. Relative paths begin at /, so that runs/NAME is the same place inside and outside.
ENV PATH=/opt/mevis/bin:/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/mevis \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    USER=mevis \
    LOGNAME=mevis \
    XDG_CACHE_HOME=/runs/.cache \
    HF_HOME=/tmp/huggingface \
    TRITON_CACHE_DIR=/tmp/triton \
    TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor \
    CUDA_CACHE_PATH=/tmp/cuda \
    MEVIS_WEIGHTS=/weights \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# What the driver must run, where it is less than the base says (LOCK=cuda12: cuda>=12.0).
ARG CUDA_NEEDED=
ENV NVIDIA_REQUIRE_CUDA=${CUDA_NEEDED:-${NVIDIA_REQUIRE_CUDA}}
WORKDIR /
USER 10001:10001
# `docker stop` then ends a run as Ctrl-C does: what is finished is kept.
STOPSIGNAL SIGINT
ENTRYPOINT ["mevis-submission"]
CMD ["--help"]
# Last, because every commit changes them. The licence is the kit's; NVIDIA's base and libraries,
# and all other packages, come under their own.
ARG REVISION=unknown
ARG VERSION=unknown
ARG SOURCE=
ENV MEVIS_REVISION=${REVISION}
LABEL org.opencontainers.image.title="mevis-submission" \
      org.opencontainers.image.description="From a MeViS split to a checked submission zip" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}"

# --- with-weights: the same with checkpoints inside: --target with-weights --build-context weights=DIR
FROM submission AS with-weights
# `weights` is the folder that the build is given:
# hadolint ignore=DL3022
COPY --from=weights / /weights/

# --- what a build without --target makes ---------------------------------------------------------
FROM submission
