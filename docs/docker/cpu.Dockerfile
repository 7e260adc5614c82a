# viubench with vLLM on the CPU, from a checkout: docker build -f docs/docker/cpu.Dockerfile -t viubench:cpu .
FROM python:3.12-slim-bookworm

# vLLM needs libnuma, and a C++ compiler for the kernels that torch compiles.
RUN apt-get update && apt-get install -y --no-install-recommends g++ libnuma1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/viubench
COPY pyproject.toml README.md LICENSE ./
COPY viubench viubench
COPY evaluators evaluators
COPY reports reports
COPY task_yamls task_yamls
COPY trainer trainer
RUN python viubench/system/install.py --venv /opt/venv

# Models, data sets and decoded frames; any user may write there.
RUN mkdir -m 1777 /cache /work && useradd --uid 1000 --create-home viubench
ENV PATH=/opt/venv/bin:$PATH HF_HOME=/cache/huggingface XDG_CACHE_HOME=/cache
USER viubench
WORKDIR /work
ENTRYPOINT ["viubench"]
CMD ["--help"]
