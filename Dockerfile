# One image for all components: argosy-admin run <component>. The steps are the Makefile's own.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/argosy
COPY requirements.lock setup.cfg pyproject.toml Makefile README.md LICENSE ./
COPY app ./app
COPY agents ./agents
COPY tables ./tables
RUN make venv

FROM python:3.11-slim-bookworm
WORKDIR /opt/argosy
COPY --from=build /opt/argosy /opt/argosy
COPY schemas ./schemas
COPY infra/kafka ./infra/kafka
ENV PATH=/opt/argosy/.venv/bin:$PATH PYTHONUNBUFFERED=1
# Any unprivileged uid; the directories of the settings (…data_dir) are volumes.
USER 65532:65532
ENTRYPOINT ["argosy-admin"]
CMD ["--help"]
