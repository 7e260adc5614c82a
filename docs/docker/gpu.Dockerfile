# viubench with vLLM on NVIDIA GPUs, from a checkout: docker build -f docs/docker/gpu.Dockerfile -t viubench:gpu .
# CUDA comes with torch; the host brings the driver and the NVIDIA Container Toolkit.
FROM python:3.12-slim-bookworm

# The kernels that Triton compiles need a C compiler.
RUN apt-get update && apt-get install -y --no-install-recommends g++ libnuma1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/viubench
COPY pyproject.toml README.md LICENSE ./
COPY viubench viubench
COPY evaluators evaluators
COPY reports reports
COPY task_yamls task_yamls
COPY trainer trainer
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir ".[gpu]"

# Models, data sets and decoded frames; any user may write there.
RUN mkdir -m 1777 /cache /work && useradd --uid 1000 --create-home viubench
ENV PATH=/opt/venv/bin:$PATH HF_HOME=/cache/huggingface XDG_CACHE_HOME=/cache
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER viubench
WORKDIR /work
ENTRYPOINT ["viubench"]
CMD ["--help"]
