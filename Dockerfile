# Two stages: the first installs, the second runs. No secret is needed to build it, and none is in it.
FROM python:3.11-slim AS build
RUN python -m venv /opt/rushes
ENV PATH=/opt/rushes/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
# Wheels only: what would have to be compiled fails here, instead of asking for a compiler.
RUN pip install --require-hashes --only-binary :all: -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY jobs jobs
COPY webhooks webhooks
COPY storage storage
COPY rushes rushes
COPY sandbox sandbox
# The console's style sheets and scripts, from the registry of npm that NPM_CONFIG_REGISTRY names, verified by their lock.
ARG NPM_CONFIG_REGISTRY
RUN python rushes/console/assets.py
# What builds the package is locked too; pip would else fetch it by name alone.
RUN pip install --require-hashes --only-binary :all: -r requirements-build.txt \
 && pip install --no-deps --no-build-isolation . && pip check && pip uninstall --yes uv-build setuptools pip

FROM python:3.11-slim
# Fixed, so that docker-compose.yml and the owners of volumes can name it.
RUN groupadd --gid 10001 rushes \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/rushes --shell /usr/sbin/nologin rushes \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/rushes
COPY --from=build /opt/rushes /opt/rushes
# Bytecode was compiled above; the file system is read-only when it runs.
ENV PATH=/opt/rushes/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RUSHES_DATA_DIR=/var/lib/rushes
WORKDIR /var/lib/rushes
USER 10001:10001
# Which process it is, and how it shows that it lives, stands in docker-compose.yml.
CMD ["rushes", "--help"]
